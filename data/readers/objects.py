"""Objects with boxes: the columns that every detection reader fills, built in one function.

- `boxes`: Ragged float32 `[m, 4]`, x1, y1, x2, y2 in pixels of the upright image; x2 and y2 are exclusive.
- `labels`: Ragged int64 `[m]`.
- `crowd`: Ragged bool `[m]`: the box surrounds many objects; it is neither trained on nor scored.
- `difficult`: Ragged bool `[m]`: Pascal VOC's flag for objects that its scores ignore.
- `object_id`: Ragged int64 `[m]`: which object of its source it is, for messages (`object_location`): COCO's annotation
  id, the number of the object in a VOC file, the line in a YOLO file or in a table, or the box in a list's line.
- `location`: str objects `[n]`: where the image is listed, for messages: "image 7 of boxes.json", "line 3", or the path
  of its own XML or label file relative to the source; "" where it is not known.
- `image_id`: the id of the image in its source, int64 or str objects `[n]`.
- `size`: int32 `[n, 2]`, height and width that the annotation gives, 0 where it gives none.
- `area`: Ragged float32 `[m]`: COCO's area of the object's mask in pixels, where the source is COCO.
- `occluded`: Ragged bool `[m]`: whether something hides a part of the object, where the source tells it. Such objects
  are trained on and scored like others.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from retinue.data.dataset import Columns, Dataset, Ragged

OBJECT_LOCATIONS = {
    "coco": "annotation {id}",
    "voc": "object {id} of {location}",
    "yolo": "line {id} of {location}",
    "keras-yolo": "box {id} of {location}",
    "boxes csv": "line {id}",
    "tfds": "object {id}",
    "labelme": "shape {id} of {location}",
    "via": "region {id} of {location}",
    "cvat": "shape {id} of {location}",
    "label studio": "region {id} of {location}",
    "createml": "annotation {id} of {location}",
    "tfrecord": "object {id} of {location}",
}


def object_columns(
    rows: ArrayLike,
    boxes: ArrayLike,
    labels: ArrayLike,
    object_id: ArrayLike,
    image_id: Sequence[Any],
    *,
    location: Iterable[str] | None = None,
    crowd: ArrayLike | None = None,
    difficult: ArrayLike | None = None,
    size: ArrayLike | None = None,
    area: ArrayLike | None = None,
    occluded: ArrayLike | None = None,
) -> Columns:
    """Build the columns of a detection dataset from flat arrays of objects in any order.

    Objects keep their order within an image.

    Args:
        rows: int `[m]`, the row of each object's image.
        boxes: float `[m, 4]`, x1, y1, x2, y2 in pixels of the upright image.
        labels: int `[m]`.
        object_id: int `[m]`.
        image_id: int or str `[n]`.
        location: str `[n]`, by default "".
        crowd: bool `[m]`, by default false.
        difficult: bool `[m]`, by default false.
        size: int `[n, 2]`, by default 0.
        area: float `[m]`; without it there is no column `area`.
        occluded: bool `[m]`; without it there is no column `occluded`.

    Returns:
        The columns that the module describes.
    """
    count, rows = len(image_id), np.asarray(rows, np.int64)
    order = np.argsort(rows, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))]).astype(np.int64)

    def column(values: ArrayLike | None, dtype: type, width: tuple[int, ...] = ()) -> Ragged:
        array: np.ndarray = np.zeros(len(rows), dtype)
        if values is not None:
            array = np.asarray(values, dtype).reshape(-1, *width)
        return Ragged(array[order], offsets)

    columns: Columns = {
        "boxes": column(boxes, np.float32, (4,)),
        "labels": column(labels, np.int64),
        "crowd": column(crowd, bool),
        "difficult": column(difficult, bool),
        "object_id": column(object_id, np.int64),
        "image_id": _id_array(image_id),
        "location": np.array([""] * count if location is None else list(location), object),
        "size": np.asarray(np.zeros((count, 2)) if size is None else size, np.int32).reshape(count, 2),
    }
    if area is not None:
        columns["area"] = column(area, np.float32)
    if occluded is not None:
        columns["occluded"] = column(occluded, bool)
    return columns


def object_location(source_format: str, object_id: int, image_location: str = "") -> str:
    """Return where an object is written, for messages: "annotation 17", "line 3 of labels/a.txt".

    Args:
        source_format: The format of the dataset, a key of `OBJECT_LOCATIONS`.
        object_id: The object's value in the column `object_id`.
        image_location: The value of its image in the column `location`.
    """
    return OBJECT_LOCATIONS[source_format].format(id=object_id, location=image_location)


def relative_location(path: str, source: str) -> str:
    """Return the path of an annotation file as messages show it: relative to `source`, a folder or a file in one."""
    folder = source if os.path.isdir(source) else os.path.dirname(source)
    return os.path.relpath(path, folder or ".")


def keep_objects(dataset: Dataset, keep: np.ndarray) -> Columns:
    """Return the columns of a detection dataset with some of its objects.

    Args:
        dataset: The dataset.
        keep: bool `[m]`, whether each object stays.
    """
    return {
        name: column.filter_values(keep) if isinstance(column, Ragged) else column
        for name, column in dataset.columns.items()
    }


def _id_array(values: Sequence[Any]) -> np.ndarray:
    """Return ids as int64 where all are whole numbers, else as objects."""
    all_whole = all(isinstance(value, int | np.integer) for value in values)
    return np.array(values, np.int64 if all_whole else object)
