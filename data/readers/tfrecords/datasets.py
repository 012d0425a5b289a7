"""From the index of TFRecords to a `Dataset`: what the classes are called, and the columns of each task."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.masks.classes import classes_of
from retinue.data.readers.masks.folders import mask_dataset
from retinue.data.readers.objects import object_columns
from retinue.data.readers.tfrecords.label_map import read_label_map

# The columns of flags of objects, and the features that set them.
FLAGS = {
    "crowd": ("image/object/is_crowd", "image/object/group_of"),
    "difficult": ("image/object/difficult",),
    "occluded": ("image/object/occluded",),
}

Pair = tuple[int | None, str]  # the id and the name of a class, as a record has them


def records_dataset(
    source: str,
    task: str,
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    label_maps: Sequence[str],
    findings: list[Finding],
) -> Dataset:
    """Build a `Dataset` of the rows of an index.

    Args:
        source: What the user gave.
        task: "detection", "segmentation" or "classification".
        folder: The folder of the files that the rows name.
        rows: The rows, as `tfrecords` writes them.
        label_maps: The label maps of the source.
        findings: What was noticed so far; receives what is noticed here.

    Raises:
        RetinueError: There is nothing for this task, or the classes contradict each other.
    """
    if task == "segmentation":
        return _mask_dataset(source, folder, [row for row in rows if "mask" in row], findings)
    if task == "classification":
        num_unlabeled = sum(row["label"] is None and not row["text"] for row in rows)
        rows = [row for row in rows if row["label"] is not None or row["text"]]
        if num_unlabeled:
            reason = f"{num_unlabeled:,} of its images have no label"
            findings.append(Finding(WARNING, "no label", source, "", reason, "skipped"))
        pairs = [(row["label"], row["text"]) for row in rows]
    else:
        pairs = [pair for row in rows for pair in zip(row["labels"], row["texts"], strict=True)]
    if not rows:
        raise RetinueError(f"{source}: no record has an image for {task}")
    names, ids, label_of = _classes(source, pairs, label_maps, findings)
    splits = _splits(rows)
    if task == "classification":
        columns: dict[str, Any] = {"label": np.array([label_of[pair] for pair in pairs], np.int64)}
    else:
        columns = _object_columns(source, rows, label_of, findings)
    return Dataset(
        task=task,
        files=_paths(folder, rows, "file"),
        classes=tuple(names),
        class_ids=tuple(ids),
        columns=columns,
        splits=np.array(splits, dtype=object),
        source=source,
        format="tfrecord",
        findings=tuple(findings),
    )


def _object_columns(
    source: str, rows: Sequence[Mapping[str, Any]], label_of: Mapping[Pair, int], findings: list[Finding]
) -> dict[str, Any]:
    """Return the columns of objects. Those of an unknown class are findings."""
    flat: dict[str, list[Any]] = {name: [] for name in ("rows", "boxes", "labels", "object_id", *FLAGS)}
    for index, row in enumerate(rows):
        for number, pair in enumerate(zip(row["labels"], row["texts"], strict=True)):
            if pair not in label_of:
                item = f"object {number + 1} of {row['location']}"
                reason = f"{item}: unknown class, its label {pair[0]} is not in the label map"
                action = "skipped; add the class, or correct the label"
                findings.append(Finding(INVALID, "unknown class", source, item, reason, action))
                continue
            flat["rows"].append(index)
            flat["boxes"].append(row["boxes"][number])
            flat["labels"].append(label_of[pair])
            flat["object_id"].append(number + 1)
            for name in FLAGS:
                flat[name].append(row[name][number])
    if not any(flat["occluded"]):
        del flat["occluded"]
    return object_columns(
        **flat,
        image_id=_image_ids(rows),
        location=[row["location"] for row in rows],
        size=[row["size"] if row["size"] != [1, 1] else [0, 0] for row in rows],
    )


def _mask_dataset(source: str, folder: Path, rows: Sequence[Mapping[str, Any]], findings: list[Finding]) -> Dataset:
    if not rows:
        raise RetinueError(f"{source}: no record has an image for segmentation")
    masks = _paths(folder, rows, "mask")
    beside = source if os.path.isdir(source) else os.path.dirname(source)
    classes, values = classes_of(source, [beside], list(masks), findings)
    return mask_dataset(
        source, "tfrecord", _paths(folder, rows, "file"), masks, _splits(rows), classes, values, findings
    )


def _classes(
    source: str, pairs: Sequence[Pair], label_maps: Sequence[str], findings: list[Finding]
) -> tuple[list[str], list[int], dict[Pair, int]]:
    """Return the class names and their ids, and the index of the class of each pair of an id and a name.

    A label map names the classes; without one, the names in the records do; without these, the ids are the names.

    Raises:
        RetinueError: No label map, or several, agree with the records, or one id has two names.
    """
    used = dict.fromkeys(pairs)
    maps = {path: read_label_map(path) for path in label_maps}
    distinct = list({tuple(names.items()): path for path, names in maps.items()}.values())
    fitting = [path for path in distinct if not _contradictions(used, maps[path])]
    if len(fitting) > 1:
        known = [path for path in fitting if all(_id_of(pair, maps[path]) is not None for pair in used)]
        fitting = known or fitting
    if len(fitting) > 1:
        raise RetinueError(f"{source}: {' and '.join(fitting)} name its classes differently; remove the wrong one")
    if distinct and not fitting:
        first = distinct[0]
        raise RetinueError(f"{first}: {_contradictions(used, maps[first])[0]}; give the label map of these records")
    if fitting:
        names_of = maps[fitting[0]]
    else:
        names_of = _names_in_records(source, used, findings)
    ids = list(names_of)
    index_of = {number: index for index, number in enumerate(ids)}
    label_of = {pair: index_of[number] for pair in used if (number := _id_of(pair, names_of)) is not None}
    has_ids = bool(fitting) or all(label is not None for label, _ in used)
    return [names[0] for names in names_of.values()], ids if has_ids else [], label_of


def _names_in_records(
    source: str, used: Sequence[Pair] | dict[Pair, None], findings: list[Finding]
) -> dict[int, tuple[str, ...]]:
    """Return the names of the classes by their ids, as the records have them."""
    if all(label is None for label, _ in used):
        return {number: (name,) for number, name in enumerate(sorted({text for _, text in used}), 1)}
    names_of: dict[int, tuple[str, ...]] = {}
    for label, text in sorted((label, text) for label, text in used if label is not None):
        earlier = names_of.get(label)
        if earlier and earlier[0] and text and earlier[0] != text:
            raise RetinueError(
                f"{source}: records call the class {label} both {earlier[0]} and {text}; write them again with one "
                "label map"
            )
        if not earlier or not earlier[0]:
            names_of[label] = (text,)
    unnamed = [label for label, names in names_of.items() if not names[0]]
    if unnamed:
        reason = f"nothing names {len(unnamed):,} of its classes (no label_map.pbtxt)"
        findings.append(Finding(NOTE, "no class names", source, "", reason, "their numbers are taken as names"))
    return {label: (names[0] or str(label),) for label, names in names_of.items()}


def _contradictions(used: Sequence[Pair] | dict[Pair, None], names_of: Mapping[int, tuple[str, ...]]) -> list[str]:
    """Return what records and a label map say differently."""
    return [
        f"the class {label} is {names_of[label][0]} here, but {text} in the records"
        for label, text in used
        if label is not None and label in names_of and text and text not in names_of[label]
    ]


def _id_of(pair: Pair, names_of: Mapping[int, tuple[str, ...]]) -> int | None:
    """Return the id of a class in a label map, None if it has no such class."""
    label, text = pair
    if label is not None:
        return label if label in names_of else None
    return next((number for number, names in names_of.items() if text in names), None)


def _image_ids(rows: Sequence[Mapping[str, Any]]) -> list[int | str]:
    """Return the ids of the images: as the records have them if they are unique, else the names of the files."""
    ids = [row["id"] for row in rows]
    if "" in ids or len(set(ids)) < len(ids):
        return [os.path.splitext(row["file"])[0] for row in rows]
    if all(text.isascii() and text.isdecimal() and str(int(text)) == text and len(text) < 19 for text in ids):
        return [int(text) for text in ids]
    return ids


def _splits(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the splits; none where nothing is in train, since then "val" is only a name."""
    splits = [row["split"] for row in rows]
    return splits if "train" in splits else [""] * len(rows)


def _paths(folder: Path, rows: Sequence[Mapping[str, Any]], column: str) -> np.ndarray:
    return np.array([os.path.join(folder, row[column]) for row in rows], dtype=object)
