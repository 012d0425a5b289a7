"""COCO's boxes: the files of a source, read into a dataset for detection."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.coco.corners import refuse_corners
from retinue.data.readers.coco.file import CocoFile, Id, number_of, parse_coco_file
from retinue.data.readers.coco.ids import match_ids, object_ids, report_unknown_ids
from retinue.data.readers.coco.layout import KEYPOINTS, CocoLayout, CocoPart, find_images
from retinue.data.readers.objects import object_columns, relative_location


@dataclass
class CocoRows:
    """A COCO file and the rows of the dataset that are its images.

    Attributes:
        file: The parsed file.
        split: Its split.
        paths: The path of each image, `[n]`.
        is_there: bool `[n]`, whether the image is there.
        rows: int64 `[n]`, the row of each image; -1 for an image that another file lists, too, and that is read there.
        image_of: int64 `[m]`, the index of each annotation's image; -1 for none of the images.
        labels: int64 `[m]`, the class of each annotation; -1 for none of the categories.
    """

    file: CocoFile
    split: str
    paths: list[str]
    is_there: np.ndarray
    rows: np.ndarray
    image_of: np.ndarray
    labels: np.ndarray


@dataclass
class CocoData:
    """The parsed files of a source.

    Attributes:
        source: The source.
        files: The files.
        classes: The class names.
        class_ids: The ids of the classes.
        findings: What can't be understood, except boxes.
    """

    source: str
    files: list[CocoRows]
    classes: list[str]
    class_ids: list[Id]
    findings: list[Finding]

    def image_values(self, name: str) -> list[Any]:
        """Return the values of an attribute of the parsed files for each row of the dataset."""
        return [
            value
            for entry in self.files
            for row, value in zip(entry.rows.tolist(), getattr(entry.file, name), strict=True)
            if row >= 0
        ]


def read_coco_boxes(layout: CocoLayout) -> Dataset:
    """Read the COCO files of a source into a `Dataset` for detection.

    Images come in the files' order, including those without objects. Classes are ordered by their ids, which are kept
    in `class_ids`, as are the ids of the images in `image_id`. Boxes x, y, width, height become x1, y1, x2, y2.
    `iscrowd` is kept, `ignore` is read as difficult. Annotations that can't be understood are skipped with a finding
    each, and so are different images that share an id, since nobody can tell whose the boxes are.

    Args:
        layout: The files.

    Raises:
        RetinueError: A file is not a COCO file, none of its annotations has a box, or two files contradict each other.
    """
    data = read_coco_files(layout)
    for entry in data.files:
        _require_boxes(entry.file)
        refuse_corners(entry.file, entry.image_of)
        data.findings += [
            finding
            for index, finding in entry.file.no_box.items()
            if entry.image_of[index] >= 0 and entry.rows[entry.image_of[index]] >= 0
        ]
    parts = [_object_arrays(entry) for entry in data.files]
    return coco_dataset(data, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def coco_dataset(data: CocoData, objects: Mapping[str, np.ndarray]) -> Dataset:
    """Return the dataset for detection of the images of COCO files.

    Args:
        data: The parsed files.
        objects: The arrays of the objects, see `object_columns`.
    """
    paths = [
        path for entry in data.files for row, path in zip(entry.rows.tolist(), entry.paths, strict=True) if row >= 0
    ]
    return Dataset(
        task="detection",
        files=np.array(paths, dtype=object),
        classes=tuple(data.classes),
        class_ids=tuple(data.class_ids),
        columns=object_columns(
            **objects,
            image_id=data.image_values("image_ids"),
            location=[
                f"image {image} of {location}"
                for entry in data.files
                for location in [relative_location(entry.file.path, data.source)]
                for row, image in zip(entry.rows.tolist(), entry.file.image_ids, strict=True)
                if row >= 0
            ],
            size=np.concatenate([entry.file.sizes[entry.rows >= 0] for entry in data.files]),
        ),
        splits=np.repeat(
            np.array([entry.split for entry in data.files], object), [(entry.rows >= 0).sum() for entry in data.files]
        ),
        source=data.source,
        format="coco",
        findings=tuple(data.findings),
    )


def read_coco_files(layout: CocoLayout) -> CocoData:
    """Parse the COCO files of a source, and find the images of each.

    An image that several files list is read once. Files without a split only add images that are in no other file.

    Args:
        layout: The files.

    Raises:
        RetinueError: A file is not a COCO file, or two files contradict each other.
    """
    findings = list(layout.findings)
    parts = _without_copies(sorted(layout.parts, key=lambda part: (not part.split, part.path)), findings)
    parsed = [parse_coco_file(part.path) for part in parts]
    findings += [finding for file in parsed for finding in file.findings]
    classes, class_ids = _merge_categories(parsed, findings)
    files: list[CocoRows] = []
    num_rows, row_of = 0, dict[str, tuple[int, int]]()  # the file and the index of each image that is read
    for part, file in zip(parts, parsed, strict=True):
        entry = _find_and_match(layout, part, file, classes, findings)
        repeated = [index for index, path in enumerate(entry.paths) if entry.is_there[index] and path in row_of]
        if repeated:
            path = entry.paths[repeated[0]]
            first = files[row_of[path][0]].file.path
            _refuse_contradictions(files, entry, repeated, row_of)
            reason = f"{len(repeated):,} of its images are in {first}, too, the first is {path}"
            severity = NOTE if not entry.split else WARNING
            findings.append(Finding(severity, "images in two files", file.path, "", reason, "read once, from there"))
        is_new = np.ones(len(entry.paths), bool)
        is_new[repeated] = False
        entry.rows = np.where(is_new, num_rows + np.cumsum(is_new) - 1, -1)
        num_rows += int(is_new.sum())
        row_of |= {entry.paths[index]: (len(files), index) for index in np.flatnonzero(is_new).tolist()}
        files.append(entry)
        if part.content.kind == KEYPOINTS:
            reason = "it has keypoints, which retinue doesn't predict"
            findings.append(Finding(NOTE, "keypoints", file.path, "", reason, "only the boxes and shapes are read"))
    return CocoData(layout.source, files, classes, class_ids, findings)


def _without_copies(parts: Sequence[CocoPart], findings: list[Finding]) -> list[CocoPart]:
    """Return the parts without files that are equal to an earlier one, byte for byte."""
    of_size: dict[int, list[CocoPart]] = {}
    for part in parts:
        of_size.setdefault(os.path.getsize(part.path), []).append(part)
    kept: dict[str, CocoPart] = {}
    for part in parts:
        key = part.path
        if len(of_size[os.path.getsize(part.path)]) > 1:
            with open(part.path, "rb") as file:
                key = hashlib.file_digest(file, "sha256").hexdigest()
        first = kept.setdefault(key, part)
        if first is not part:
            reason = f"it is a copy of {first.path}"
            findings.append(Finding(WARNING, "copy of a COCO file", part.path, "", reason, "read once"))
    return list(kept.values())


def _find_and_match(
    layout: CocoLayout, part: CocoPart, file: CocoFile, classes: Sequence[str], findings: list[Finding]
) -> CocoRows:
    """Find the images of a file, and match its annotations with images and classes by their ids."""
    found = find_images(layout, part, file.file_names)
    folder = _root_of_names(part, found, file.file_names)
    paths = [
        path or os.path.normpath(os.path.join(folder, name)) for path, name in zip(found, file.file_names, strict=True)
    ]
    index_of = {name: index for index, name in enumerate(classes)}
    image_of = match_ids(
        file, "image_id", file.image_id_of, {image: row for row, image in enumerate(file.image_ids)}, findings
    )
    labels = match_ids(
        file,
        "category_id",
        file.category_ids,
        {number: index_of[name] for number, name in file.category_names.items() if name in index_of},
        findings,
    )
    report_unknown_ids(file, paths, image_of, labels, findings)
    _report_suffixes(file, found, findings)
    is_there = np.array([path is not None for path in found], bool)
    return CocoRows(file, part.split, paths, is_there, np.zeros(0, np.int64), image_of, labels)


def _root_of_names(part: CocoPart, paths: Sequence[str | None], names: Sequence[str]) -> str:
    """Return the folder that the names of images are relative to, as far as the images that are there show it."""
    for path, name in zip(paths, names, strict=True):
        ending = os.path.normpath(name)
        if path:
            return path.removesuffix(ending) or os.curdir if path.endswith(ending) else os.path.dirname(path)
    return os.path.dirname(part.path)


def _report_suffixes(file: CocoFile, found: Sequence[str | None], findings: list[Finding]) -> None:
    """Add a finding if images have other suffixes than the file gives them."""
    suffixes = [(os.path.splitext(path)[1], name) for path, name in zip(found, file.file_names, strict=True) if path]
    others = [(suffix, name) for suffix, name in suffixes if not name.lower().endswith(suffix.lower())]
    if others:
        suffix, name = others[0]
        reason = f"{len(others):,} of its images have another suffix than it gives them, the first is {name} ({suffix})"
        findings.append(Finding(NOTE, "other suffix", file.path, "", reason, "found by their names without suffix"))


def _refuse_contradictions(
    files: Sequence[CocoRows], entry: CocoRows, repeated: Sequence[int], row_of: Mapping[str, tuple[int, int]]
) -> None:
    """Raise RetinueError if two files list an image with different objects."""
    objects = _objects_by_image(entry, set(repeated))
    wanted: dict[int, set[int]] = {}
    for index in repeated:
        number, other = row_of[entry.paths[index]]
        wanted.setdefault(number, set()).add(other)
    others = {number: _objects_by_image(files[number], indices) for number, indices in wanted.items()}
    for index in repeated:
        number, other = row_of[entry.paths[index]]
        if objects.get(index, []) != others[number].get(other, []):
            raise RetinueError(
                f"{entry.file.path}: it has other objects of {entry.paths[index]} than {files[number].file.path} has; "
                "give one of the two files, or remove one"
            )


def _objects_by_image(entry: CocoRows, images: set[int]) -> dict[int, list[tuple[Any, ...]]]:
    """Return the sorted classes and boxes of some images of a file."""
    boxes = np.round(np.array(entry.file.boxes).reshape(-1, 4), 1).tolist()
    objects: dict[int, list[tuple[Any, ...]]] = {}
    for image, label, box in zip(entry.image_of.tolist(), entry.labels.tolist(), boxes, strict=True):
        if image in images and label >= 0:
            objects.setdefault(image, []).append((label, *map(str, box)))
    return {image: sorted(values) for image, values in objects.items()}


def _merge_categories(files: Sequence[CocoFile], findings: list[Finding]) -> tuple[list[str], list[Id]]:
    """Return the names and the ids of the categories of all files, ordered by id.

    Roboflow's category that only groups the others is omitted, and so is the background that labelme lists.
    """
    id_of: dict[str, Id] = {}
    for file in files:
        used = set(file.category_ids)
        for number, name in file.category_names.items():
            is_background = name.strip("_").lower() == "background"
            if number not in used and (name in file.supercategories or is_background):
                what = "is no object" if is_background else "only groups others"
                reason = f"the category {name} {what} and has no annotation"
                findings.append(Finding(NOTE, "unused category", file.path, name, reason, "omitted"))
            elif id_of.setdefault(name, number) != number:
                reason = f"the category {name} has the id {number} here, but {id_of[name]} in {files[0].path}"
                action = f"matched by name; results are written with {id_of[name]}"
                findings.append(Finding(WARNING, "other category id", file.path, name, reason, action))
    names = sorted(id_of, key=lambda name: (*_id_order(id_of[name]), name))
    return names, [id_of[name] for name in names]


def _id_order(number: Id) -> tuple[bool, int, str]:
    """Return the key that sorts ids: whole numbers first, also those that are written as text."""
    whole = number_of(number)
    return whole is None, whole or 0, str(number)


def _object_arrays(entry: CocoRows) -> dict[str, np.ndarray]:
    """Return flat arrays of the objects of one file that have a box, a known image and a known class."""
    file = entry.file
    known = (entry.image_of >= 0) & (entry.labels >= 0)
    known[list(file.no_box)] = False
    rows = np.where(known, entry.rows[entry.image_of], -1)
    known &= rows >= 0
    return {
        "rows": rows[known],
        "boxes": np.array(file.boxes).reshape(-1, 4)[known].astype(np.float32),
        "labels": entry.labels[known],
        "object_id": object_ids(file)[known],
        "crowd": np.array(file.crowd, bool)[known],
        "difficult": np.array(file.difficult, bool)[known],
        "area": np.array(file.areas)[known].astype(np.float32),
    }


def _require_boxes(file: CocoFile) -> None:
    """Raise RetinueError if a file has annotations, but none with a box."""
    without = [finding.reason for finding in file.findings if finding.kind == "no class"]
    without += [finding.reason for finding in file.no_box.values()]
    if without and len(file.no_box) == len(file.annotation_ids):
        raise RetinueError(
            f"{file.path}: none of its {len(without):,} annotations has a bbox and a category_id; {without[0]}; for "
            "detection give the file of instances"
        )
