"""The lists of keras-yolo3 and its relatives: a line for each image, `path x1,y1,x2,y2,class ...`, in pixels.

Roboflow writes them as `_annotations.txt` with `_classes.txt` into the folder of each split.
"""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree, common_folder, split_in_path
from retinue.data.readers.objects import object_columns, object_location, relative_location
from retinue.data.readers.text_file import first_lines, read_text
from retinue.data.readers.yolo.image_by_path import ImageByPath, count_images
from retinue.data.readers.yolo.names import (
    ClassNames,
    find_names_files,
    governing_names_files,
    merged_names,
    number_names,
)
from retinue.data.storage.file_names import IMAGE_SUFFIXES, split_of_name

FORMAT = "keras-yolo"
REPEATS = ("voc", "coco", "yolo")  # from which such lists are often converted
MAX_TEXTS = 100  # a folder with more text files holds label files and no lists
_SUFFIXES = "|".join(re.escape(suffix) for suffix in IMAGE_SUFFIXES)
_LINE = re.compile(rf"(?P<path>.*?(?:{_SUFFIXES}))(?P<boxes>\s.*)?", re.IGNORECASE)
_BOX = re.compile(r"-?[\d.]+(?:,-?[\d.]+){4}")

Box = tuple[float, float, float, float]


@dataclass
class _ListedImage:
    """An image with the boxes of its lines.

    Attributes:
        split: The split of the list.
        path: The list.
        lines: The numbers of its lines in the list.
        boxes: Corners, class number and number of each box.
        num_boxes: The number of its boxes, with those that can't be read.
    """

    split: str
    path: str
    lines: list[int] = field(default_factory=list)
    boxes: list[tuple[Box, float, int]] = field(default_factory=list)
    num_boxes: int = 0

    def location(self, source: str) -> str:
        """Return where the image is listed, for messages."""
        lines = ("line " if len(self.lines) == 1 else "lines ") + ", ".join(map(str, self.lines))
        return f"{lines} of {relative_location(self.path, source)}"


def explain(tree: FileTree) -> list[Explanation]:
    """Return what lists of images with boxes explain of a source."""
    stems = {stem for names in tree.images.values() for stem in names}
    paths = []
    for folder, names in tree.names.items():
        texts = [name for name in names if name.lower().endswith(".txt") and os.path.splitext(name)[0] not in stems]
        if len(texts) <= MAX_TEXTS:
            paths += [os.path.join(folder, name) for name in texts if is_keras_yolo_list(tree.path(folder, name))]
    if not paths:
        return []
    folders = [os.path.dirname(path) for path in paths]
    return [_explanation(tree.path(common_folder(folders)) if all(folders) else tree.root, paths, tree)]


def explain_file(path: str) -> Explanation | None:
    """Return what a list of images with boxes explains, None if the file is none."""
    if not is_keras_yolo_list(path):
        return None
    return _explanation(path, [os.path.basename(path)], FileTree(os.path.dirname(path) or os.curdir))


def is_keras_yolo_list(path: str) -> bool:
    """Return whether the first lines of a text file are images with boxes; some of them may have none."""
    if not path.lower().endswith(".txt"):
        return False
    matches = [_LINE.fullmatch(line) for line in first_lines(path)]
    boxes = [match["boxes"].split() for match in matches if match and match["boxes"]]
    return (
        2 * matches.count(None) <= len(matches)
        and bool(boxes)
        and all(bool(words) and _BOX.fullmatch(words[0]) is not None for words in boxes)
    )


def _explanation(source: str, paths: list[str], tree: FileTree) -> Explanation:
    finder = ImageByPath(tree)
    listed: list[str | None] = []
    error = ""
    try:
        for path in paths:
            matches = map(_LINE.fullmatch, read_text(tree.path("", path)).splitlines())
            folder = tree.path(os.path.dirname(path))
            listed += [finder.find(match["path"].strip(), folder) for match in matches if match]
    except RetinueError as failure:
        error = str(failure)
    images = frozenset(image for image in listed if image)
    if not images and not error:
        error = f"{source}: none of the {len(listed):,} images that {paths[0]} lists is there; correct the paths"

    def read(options: ReadOptions) -> Dataset:
        if error:
            raise RetinueError(error)
        return _read_lists(source, paths, tree)

    return Explanation(
        FORMAT,
        ("detection",),
        source,
        images,
        ", ".join(paths),
        read,
        len(listed),
        repeats=REPEATS,
    )


def _read_lists(source: str, paths: list[str], tree: FileTree) -> Dataset:
    """Read lists of images with boxes into a `Dataset` for detection.

    The split of an image is that of the name or of the folder of its list. A list without one only adds images that are
    in no other. The classes are named by the file of names in the nearest folder. A box that can't be understood is a
    finding. An image with several lines has the boxes of all of them.

    Raises:
        RetinueError: A file can't be read.
    """
    split_of = {path: split_of_name(_stem(path)) or split_in_path(os.path.dirname(path)) for path in paths}
    findings: list[Finding] = []
    images: dict[str, _ListedImage] = {}
    finder = ImageByPath(tree)
    for path in sorted(paths, key=lambda path: not split_of[path]):
        _read_list(tree.path("", path), split_of[path] if len(paths) > 1 else "", finder, images, findings, source)
    names_files = governing_names_files(find_names_files(tree), [os.path.dirname(path) for path in paths])
    names, _ = merged_names([tree.path("", path) for path in names_files])
    if names is None:
        names = number_names(number for image in images.values() for _, number, _ in image.boxes)
        reason, action = "nothing names the classes (no classes.txt)", "their numbers are taken as names"
        findings.append(Finding(NOTE, "no class names", source, "", reason, action))
    rows, boxes, labels, numbers = _objects(images, names, source, findings)
    splits = [image.split for image in images.values()]
    findings += _unlisted(tree, images, source)
    return Dataset(
        task="detection",
        files=np.array(list(images), dtype=object),
        classes=tuple(names.values()),
        class_ids=tuple(names),
        columns=object_columns(
            rows,
            boxes,
            labels,
            numbers,
            [_stem(file) for file in images],
            location=[image.location(source) for image in images.values()],
        ),
        splits=np.array(splits if "train" in splits else [""] * len(splits), dtype=object),
        source=source,
        format=FORMAT,
        findings=tuple(findings),
    )


def _read_list(
    path: str,
    split: str,
    finder: ImageByPath,
    images: dict[str, _ListedImage],
    findings: list[Finding],
    source: str,
) -> None:
    """Read one list: add its images to `images`, and what is wrong to `findings`."""
    missing = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        item = f"line {number} of {relative_location(path, source)}"
        if match is None:
            reason = f"{item}: there is no name of an image"
            findings.append(Finding(INVALID, "no image", path, item, reason, "skipped; correct the line"))
            continue
        file = finder.find(match["path"].strip(), os.path.dirname(path))
        if file is None:
            missing.append(match["path"])
            continue
        image = images.setdefault(file, _ListedImage(split, path))
        if image.path != path:
            continue  # it is in a list of its split already
        image.lines.append(number)
        for word in (match["boxes"] or "").split():
            image.num_boxes += 1
            box = _parse_box(word)
            if box is None:
                name = object_location(FORMAT, image.num_boxes, item)
                reason = f"{name}: {word} is not x1,y1,x2,y2,class"
                findings.append(Finding(INVALID, "not a box", file, name, reason, "skipped; write five numbers"))
            else:
                image.boxes.append((box[:4], box[4], image.num_boxes))
    if missing:
        reason = f"{count_images(len(missing))} not there, the first is {missing[0]}"
        findings.append(Finding(WARNING, "missing images in a list", path, "", reason, "ignored; correct the paths"))


def _parse_box(word: str) -> tuple[float, float, float, float, float] | None:
    """Return x1, y1, x2, y2 and the class number, None if these are not five numbers."""
    try:
        x1, y1, x2, y2, number = (float(part) for part in word.split(","))
    except ValueError:
        return None
    box = x1, y1, x2, y2, number
    return box if all(map(math.isfinite, box)) else None


def _objects(
    images: dict[str, _ListedImage], names: ClassNames, source: str, findings: list[Finding]
) -> tuple[list[int], list[Box], list[int], list[int]]:
    """Return the row, the corners, the label and the number of each box; a finding for each unknown class."""
    label_of = {number: index for index, number in enumerate(names)}
    rows, boxes, labels, numbers = [], [], [], []
    for row, (file, image) in enumerate(images.items()):
        for box, class_number, number in image.boxes:
            label = label_of.get(int(class_number)) if class_number == int(class_number) else None
            if label is None:
                item = object_location(FORMAT, number, image.location(source))
                reason = f"{item}: unknown class {class_number:g}"
                action = "skipped; name it in classes.txt, or correct the number"
                findings.append(Finding(INVALID, "unknown class", file, item, reason, action))
                continue
            rows.append(row)
            boxes.append(box)
            labels.append(label)
            numbers.append(number)
    return rows, boxes, labels, numbers


def _unlisted(tree: FileTree, images: dict[str, _ListedImage], source: str) -> list[Finding]:
    """Return a finding for the images that are in no list, if the lists are those of a folder."""
    others = sorted(tree.image_paths - images.keys()) if os.path.isdir(source) else []
    if not others:
        return []
    names: Sequence[str] = [relative_location(path, source) for path in others[:5]]
    reason = f"{count_images(len(others))} in no list: {', '.join(names)}{' and more' if len(others) > 5 else ''}"
    return [Finding(WARNING, "not listed", source, "", reason, "ignored; add them to a list to use them")]


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
