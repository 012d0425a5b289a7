"""From the annotated images of labeling tools to a `Dataset` for any task."""

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Columns, Dataset, Ragged
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.labeling_tools.annotated_images import BACKGROUND_NAME, VOID_NAME, AnnotatedImage, clean_name
from retinue.data.readers.labeling_tools.polygon_masks import read_polygon_masks
from retinue.data.readers.objects import object_columns


def annotated_dataset(
    source: str,
    source_format: str,
    task: str,
    images: Sequence[AnnotatedImage],
    classes: Sequence[str],
    class_ids: Sequence[int],
    findings: list[Finding],
) -> Dataset:
    """Build a `Dataset` of annotated images.

    Args:
        source: Where they were read from.
        source_format: The name of the format.
        task: "detection", "segmentation" or "classification".
        images: The images, whose files have been found.
        classes: The class names in the order that the source defines; the others follow in sorted order.
        class_ids: The ids of `classes`, or ().
        findings: What was noticed so far; receives what is noticed here.

    Raises:
        RetinueError: There is nothing for this task.
    """
    splits = [image.split for image in images]
    if "train" not in splits:  # then "val" is only a name: there is nothing else to train on
        splits = [""] * len(images)
    if task == "segmentation":
        names = _class_names([entry.name for image in images for entry in image.objects], classes)
        return read_polygon_masks(source, source_format, images, names, splits, findings)
    if task == "classification":
        return _label_dataset(source, source_format, images, classes, splits, findings)
    return _box_dataset(source, source_format, images, classes, class_ids, splits, findings)


def _box_dataset(
    source: str,
    source_format: str,
    images: Sequence[AnnotatedImage],
    classes: Sequence[str],
    class_ids: Sequence[int],
    splits: Sequence[str],
    findings: list[Finding],
) -> Dataset:
    objects = [(row, entry) for row, image in enumerate(images) for entry in image.objects]
    ignored = Counter(entry.name for _, entry in objects if _is_no_object(entry.name))
    objects = [(row, entry) for row, entry in objects if not _is_no_object(entry.name)]
    for name, count in ignored.items():
        reason = f"{count:,} shapes are named {name}"
        findings.append(Finding(NOTE, "no object", source, name, reason, "skipped: in detection they are not objects"))
    used = [entry.name for _, entry in objects]
    names = [name for name in _class_names(used, classes) if not _is_no_object(name)]
    id_of = dict(zip(map(clean_name, classes), class_ids, strict=False))
    label_of = {name: index for index, name in enumerate(names)}
    columns = object_columns(
        [row for row, _ in objects],
        [entry.box for _, entry in objects],
        [label_of[name] for name in used],
        [entry.number for _, entry in objects],
        image_ids(images),
        location=[image.location for image in images],
        crowd=[entry.crowd for _, entry in objects],
        difficult=[entry.difficult for _, entry in objects],
        occluded=[entry.occluded for _, entry in objects] if any(entry.occluded for _, entry in objects) else None,
        size=[image.size for image in images],
    )
    return Dataset(
        task="detection",
        files=np.array([image.file for image in images], dtype=object),
        classes=tuple(names),
        class_ids=tuple(id_of[name] for name in names) if set(names) <= id_of.keys() else (),
        columns=columns,
        splits=np.array(splits, dtype=object),
        source=source,
        format=source_format,
        findings=tuple(findings),
    )


def _label_dataset(
    source: str,
    source_format: str,
    images: Sequence[AnnotatedImage],
    classes: Sequence[str],
    splits: Sequence[str],
    findings: list[Finding],
) -> Dataset:
    multi_label = any(len(image.labels) > 1 for image in images)
    rows = [row for row, image in enumerate(images) if image.labels or multi_label]
    if len(rows) < len(images):
        reason = f"{len(images) - len(rows):,} of its images have no label"
        findings.append(Finding(WARNING, "no label", source, "", reason, "skipped; label them"))
    if not rows:
        raise RetinueError(f"{source}: no image has a label of its own; use it for detection")
    labels_of = [[clean_name(name) for name in images[row].labels] for row in rows]
    used = {name for labels in labels_of for name in labels}
    names = [name for name in _class_names(sorted(used), classes) if name in used]
    label_of = {name: index for index, name in enumerate(names)}
    columns: Columns
    if multi_label:
        columns = {
            "labels": Ragged.from_rows([sorted({label_of[name] for name in row}) for row in labels_of], np.int64)
        }
    else:
        columns = {"label": np.array([label_of[row[0]] for row in labels_of], np.int64)}
    return Dataset(
        task="classification",
        files=np.array([images[row].file for row in rows], dtype=object),
        classes=tuple(names),
        columns=columns,
        splits=np.array([splits[row] for row in rows], dtype=object),
        source=source,
        format=source_format,
        findings=tuple(findings),
    )


def image_ids(images: Sequence[AnnotatedImage]) -> list[int | str]:
    """Return the id of each image in its source; their file names where these ids are missing or not unique."""
    ids: list[int | str] = [image.image_id for image in images]
    fits = all(isinstance(number, str) or abs(number) < 2**63 for number in ids)
    if fits and "" not in ids and len(set(ids)) == len(ids):
        return ids
    names = [os.path.basename(image.file) for image in images]
    return list(names) if len(set(names)) == len(names) else [image.file for image in images]


def _class_names(used: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Return all class names: those that the source orders, then the others that are used, sorted."""
    names = list(dict.fromkeys(map(clean_name, classes)))
    return names + sorted(set(used) - set(names))


def _is_no_object(name: str) -> bool:
    return name in (VOID_NAME, BACKGROUND_NAME)
