"""YOLO's label files: a text file for each image, with a line `class cx cy width height` for each object."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.dataset import Dataset
from retinue.data.decoding.image_file import image_size
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.objects import object_columns, object_location, relative_location
from retinue.data.readers.yolo.data_yaml import YamlSettings
from retinue.data.readers.yolo.labels import corners, line_problem, read_label_file
from retinue.data.readers.yolo.line_forms import decide_form
from retinue.data.readers.yolo.names import number_names
from retinue.data.readers.yolo.polygons import YoloObject, read_yolo_masks
from retinue.data.storage.file_names import looks_like_image

PART = 64  # files that a thread reads at a time
Result = TypeVar("Result")


@dataclass(frozen=True)
class YoloFiles:
    """The images of a YOLO data set with their label files, as its layout determines them.

    Attributes:
        source: The source, for messages.
        files: The paths of the images.
        label_files: The path of the label file of each image, whether it exists or not.
        splits: The split of each image.
        settings: The class names, and what the lines hold. Its path is "" where there is no data.yaml.
        findings: What was found out about the layout.
        task: "detection", or "segmentation" for masks of the polygons.
    """

    source: str
    files: Sequence[str]
    label_files: Sequence[str]
    splits: Sequence[str]
    settings: YamlSettings
    findings: list[Finding] = field(default_factory=list)
    task: str = "detection"


def read_yolo(listed: YoloFiles) -> Dataset:
    """Read the label files of a YOLO data set into a `Dataset` for detection, or for segmentation.

    Without a label file, or with an empty one, an image has no objects. Boxes are those of the lines, the boxes around
    polygons and rotated boxes, and those of poses and tracks (see `decide_form`). The numbers are fractions of the
    upright image, whose header is read for its size. A line that can't be understood is a finding.

    Args:
        listed: The images, their label files and the class names.

    Raises:
        RetinueError: There is no image, no image has a label file, the lines can be understood in two ways, or none
            has a polygon, for segmentation.
    """
    source, files, names = listed.source, listed.files, listed.settings.names
    if not files:
        cure = f"correct the paths train and val in {listed.settings.path}" if listed.settings.path else "add them"
        raise RetinueError(f"{source}: there are no images; {cure}")
    splits = list(listed.splits)
    if not any(split == "train" for split in splits):
        splits = [""] * len(splits)
    with ThreadPoolExecutor(usable_cores()) as pool:
        lines_of = _map_in_parts(pool, read_label_file, listed.label_files)
        labeled = [file for file, lines in zip(files, lines_of, strict=True) if lines and any(lines)]
        size_of = dict(zip(labeled, _map_in_parts(pool, _upright_size, labeled), strict=True))
    num_without = sum(lines is None for lines in lines_of)
    if num_without == len(files):
        raise RetinueError(f"{source}: none of the {len(files):,} images has a label file; {_label_cure(files[0])}")
    form, form_findings = decide_form(lines_of, source, listed.settings.keypoints, listed.settings.task)
    findings = [*listed.findings, *form_findings]
    if names is None:
        names = number_names(line[0] for lines in lines_of for line in lines or () if len(line) >= 5)
        what_is_missing = "no names in it" if listed.settings.path else "no data.yaml"
        reason = f"nothing names the classes ({what_is_missing}, no classes.txt)"
        action = "their numbers are taken as names"
        findings.append(Finding(NOTE, "no class names", listed.settings.path or source, "", reason, action))
    label_of = {number: index for index, number in enumerate(names)}
    folders = {os.path.dirname(path): "" for path in listed.label_files}
    folders = {folder: relative_location(folder, source) for folder in folders}
    locations = [
        os.path.normpath(os.path.join(folders[os.path.dirname(path)], os.path.basename(path)))
        for path in listed.label_files
    ]
    objects: list[YoloObject] = []
    for row, (file, lines) in enumerate(zip(files, lines_of, strict=True)):
        for number, line in enumerate(lines or (), 1):
            if not line:
                continue
            problem = line_problem(line, form, label_of)
            if problem:
                item = object_location("yolo", number, locations[row])
                kind, reason, cure = problem
                findings.append(Finding(INVALID, kind, file, item, f"{item}: {reason}", f"skipped; {cure}"))
                continue
            objects.append((row, line, label_of[int(line[0])], number))
    if num_without:
        reason = f"{num_without:,} of {len(files):,} images have no label file"
        severity = WARNING if 2 * num_without > len(files) else NOTE
        findings.append(Finding(severity, "no label file", source, "", reason, "taken as images without objects"))
    findings += _labels_without_image(listed)
    findings += _shared_label_files(listed)
    if listed.task == "segmentation":
        is_segment = listed.settings.task == "segment"
        return read_yolo_masks(source, files, splits, names, objects, form, size_of, is_segment, findings)
    fractions = [corners(line, form) for _, line, _, _ in objects]
    rows, _, labels, line_numbers = zip(*objects, strict=True) if objects else ((),) * 4
    sizes = np.array([size_of[files[row]] for row in rows], np.float64).reshape(-1, 2)
    boxes = np.array(fractions, np.float64).reshape(-1, 4) * np.tile(sizes, 2)
    return Dataset(
        task="detection",
        files=np.array(files, dtype=object),
        classes=tuple(names.values()),
        class_ids=tuple(names),
        columns=object_columns(rows, boxes, labels, line_numbers, [_stem(file) for file in files], location=locations),
        splits=np.array(splits, dtype=object),
        source=source,
        format="yolo",
        findings=tuple(findings),
    )


def label_file(file: str) -> str:
    """Return where the labels of an image are: `labels` in place of the last folder `images`, else beside it."""
    folder = replace_folder(os.path.dirname(file), "images", "labels")
    path = os.path.join(folder, f"{_stem(file)}.txt") if folder else ""
    return path if folder and os.path.isfile(path) else os.path.splitext(file)[0] + ".txt"


def replace_folder(path: str, old: str, new: str) -> str:
    """Return the path of a folder with the last folder `old` replaced by `new`; "" where there is none in it."""
    parts = path.split(os.sep)
    if old not in parts:
        return ""
    last = len(parts) - 1 - parts[::-1].index(old)
    return os.sep.join([*parts[:last], new, *parts[last + 1 :]])


def _map_in_parts(pool: Executor, function: Callable[[str], Result], paths: Sequence[str]) -> list[Result]:
    """Return `function` of every path. A task of the pool is a part of them, since a task costs more than a file."""
    parts = [paths[start : start + PART] for start in range(0, len(paths), PART)]
    return [result for results in pool.map(lambda part: [function(path) for path in part], parts) for result in results]


def _labels_without_image(listed: YoloFiles) -> list[Finding]:
    """Return a finding for each label file beside those of the images that has no image."""
    image_folders_of: dict[str, set[str]] = {}  # by folder of labels
    stems_of: dict[str, set[str]] = {}  # of the listed images, by folder of labels
    for file, path in zip(listed.files, listed.label_files, strict=True):
        image_folders_of.setdefault(os.path.dirname(path), set()).add(os.path.dirname(file))
        stems_of.setdefault(os.path.dirname(path), set()).add(_stem(path))
    findings = []
    for label_folder, folders in image_folders_of.items():
        stems = {_stem(name) for folder in folders for name in _names_in(folder) if looks_like_image(name)}
        stems |= stems_of[label_folder]
        for name in sorted(_names_in(label_folder)):
            path = os.path.join(label_folder, name)
            if not name.endswith(".txt") or name == "classes.txt" or _stem(name) in stems or not _holds_labels(path):
                continue
            location = relative_location(path, listed.source)
            reason = f"{location}: no image has its name in {' or '.join(sorted(folders))}"
            action = "skipped; put the image there, or remove the label file"
            findings.append(Finding(INVALID, "label file without image", path, "", reason, action))
    return findings


def _shared_label_files(listed: YoloFiles) -> list[Finding]:
    """Return a finding for each label file that belongs to two images, such as 0.jpg and 0.png."""
    files_of: dict[str, list[str]] = {}
    for file, path in zip(listed.files, listed.label_files, strict=True):
        files_of.setdefault(path, []).append(file)
    findings = []
    for path, files in files_of.items():
        if len(files) > 1 and os.path.isfile(path):
            names = " and ".join(os.path.basename(file) for file in files)
            reason = f"{relative_location(path, listed.source)} is the label file of {names}"
            action = "each gets its objects; rename one of the images, and write its own label file"
            findings.append(Finding(WARNING, "one label file for two images", files[1], "", reason, action))
    return findings


def _names_in(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def _holds_labels(path: str) -> bool:
    """Return whether a text file only has lines of five or more numbers, as label files have."""
    lines = read_label_file(path)
    return lines is not None and all(not line or len(line) >= 5 for line in lines)


def _upright_size(file: str) -> tuple[int, int]:
    """Return width and height of the upright image; 1, 1 where it can't be read, since the check skips it anyway."""
    try:
        return image_size(file)
    except (OSError, ValueError):
        return 1, 1


def _label_cure(file: str) -> str:
    return f"put the labels of {file} into {os.path.splitext(file)[0]}.txt, or below the folder labels"


def _stem(file: str) -> str:
    return os.path.splitext(os.path.basename(file))[0]
