"""Objects with boxes: the columns that every detection reader gives, made in one place.

`boxes` Ragged float32 `[m, 4]`: x1, y1, x2, y2 in pixels of the upright picture, x2 and y2 exclusive.
`labels` Ragged int64 `[m]`.
`crowd` Ragged bool `[m]`: the box is around many objects, and is neither learnt nor counted.
`difficult` Ragged bool `[m]`: VOC's mark for objects that its scores pass over.
`object_id` Ragged int64 `[m]`: where the box is written, for messages (`object_place`): COCO's annotation id, VOC's
number of the object in its file, or the line in YOLO's file or in the table.
`place`: str objects `[n]`, where the picture is written, for messages: "image 7 of boxes.json", "line 3", or the path
of its own XML or label file, relative to the source; "" where it is not known.
`image_id`: the picture's id in its source, int64 or str objects `[n]`.
`size`: int32 `[n, 2]`, height and width that the annotation gives, 0 where it gives none.
`area` Ragged float32 `[m]`: COCO's area of the object's mask, where the source is COCO.
"""

import os

import numpy as np

from retinue.data.dataset import Ragged

PLACES = {
    "coco": "annotation {}",
    "voc": "object {} of {place}",
    "yolo": "line {} of {place}",
    "boxes csv": "line {}",
    "tfds": "object {}",
}


def object_columns(
    rows, boxes, labels, object_id, image_id, *, place=None, crowd=None, difficult=None, size=None, area=None
):
    """The columns of a detection dataset from flat arrays of objects in any order.

    rows: int `[m]`, the file of each object; boxes `[m, 4]`, labels, object_id, crowd, difficult, area `[m]`;
    image_id, place `[n]`; size `[n, 2]`. Objects keep their order within a file.
    """
    count, rows = len(image_id), np.asarray(rows, np.int64)
    order = np.argsort(rows, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))]).astype(np.int64)

    def column(values, dtype, width=()):
        values = np.zeros(len(rows), dtype) if values is None else np.asarray(values, dtype).reshape(-1, *width)
        return Ragged(values[order], offsets)

    if size is None:
        size = np.zeros((count, 2), np.int32)
    columns = {
        "boxes": column(boxes, np.float32, (4,)),
        "labels": column(labels, np.int64),
        "crowd": column(crowd, bool),
        "difficult": column(difficult, bool),
        "object_id": column(object_id, np.int64),
        "image_id": _ids(image_id),
        "place": np.array([""] * count if place is None else list(place), object),
        "size": np.asarray(size, np.int32).reshape(count, 2),
    }
    return columns if area is None else columns | {"area": column(area, np.float32)}


def object_place(form, object_id, place=""):
    """Where an object is written, in words, for messages: "annotation 17", "line 3 of labels/a.txt".

    place: that of its picture.
    """
    return PLACES[form].format(object_id, place=place)


def relative_place(path, source):
    """The path of an annotation file as messages say it: relative to the source, a folder or a file in one."""
    folder = source if os.path.isdir(source) else os.path.dirname(source)
    return os.path.relpath(path, folder or ".")


def keep_objects(dataset, kept):
    """The columns of `dataset` with those objects alone for which `kept`, bool `[m]`, is true."""
    return {
        name: column.filter_values(kept) if isinstance(column, Ragged) else column
        for name, column in dataset.columns.items()
    }


def _ids(values):
    whole = all(isinstance(value, int | np.integer) for value in values)
    return np.array(values, np.int64 if whole else object)
