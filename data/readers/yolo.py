"""YOLO's text files: a line `class cx cy width height` for each object, as fractions of the image, and a data.yaml."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import yaml

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.dataset import Dataset
from retinue.data.decoding.image_file import image_size
from retinue.data.finding import INVALID, NOTE, Finding
from retinue.data.readers.explanation import Explanation
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.objects import object_columns, object_location, relative_location
from retinue.data.storage.file_names import SPLIT_NAMES, looks_like_image

YAML_NAMES = ("data.yaml", "data.yml")
MAX_FRACTION = 1.5  # above it a number is not a fraction of an image; a box may reach out a little, the check sees it

Line = tuple[float | None, ...]  # the numbers of a line; (None,) for a line that is not numbers
ClassNames = dict[int, str]


def explain(tree: FileTree) -> list[Explanation]:
    """Return what YOLO's text files explain of a source."""
    return [_explanation(tree.root, tree.image_paths)] if is_yolo_folder(tree.root) else []


def explain_file(path: str) -> Explanation | None:
    """Return what a data.yaml explains, if the file is one."""
    return _explanation(path, frozenset()) if path.lower().endswith((".yaml", ".yml")) else None


def _explanation(source: str, images: frozenset[str]) -> Explanation:
    return Explanation("yolo", ("detection",), source, images, "labels/*.txt", lambda options: read_yolo(source))


def yolo_yaml(folder: str) -> str | None:
    """Return the data.yaml of a folder, or its first YAML file that names classes and images, or None."""
    names = [name for name in sorted(os.listdir(folder)) if name.lower().endswith((".yaml", ".yml"))]
    names.sort(key=lambda name: name.lower() not in YAML_NAMES)
    paths = [os.path.join(folder, name) for name in names]
    return next((path for path in paths if _is_data_yaml(path)), None)


def is_yolo_folder(folder: str) -> bool:
    """Return whether there is a data.yaml, or images below `images` and text files below `labels`."""
    if yolo_yaml(folder):
        return True
    inner = [os.path.join(folder, name) for name in ("images", "labels")]
    return all(map(os.path.isdir, inner)) and any(name.endswith(".txt") for name in _files_below(inner[1]))


def read_yolo(source: str | os.PathLike[str]) -> Dataset:
    """Read a YOLO data.yaml, or its folder, into a `Dataset` for detection.

    The YAML's `names` is a list, or a dict from number to name. Without it `classes.txt` beside it names the classes;
    without that, their numbers are their names. `train`, `val` and `test` are folders of images, text files of paths,
    or lists of such. Without a YAML file the images are those below `images`, with class names from `classes.txt`. The
    labels of `a/images/b.jpg` are in `a/labels/b.txt`, or beside the image. Without such a file, or with an empty one,
    the image has no objects. A line with more numbers is a polygon: the box around it is taken. The numbers are
    fractions of the upright image, whose header is read for its size. A line that can't be understood is a finding.

    Args:
        source: The data.yaml, or the folder.

    Raises:
        RetinueError: The YAML file can't be understood, there is no image, or no image has a label file.
    """
    source = os.fspath(source)
    settings = yolo_yaml(source) if os.path.isdir(source) else source
    if settings:
        names, listed = _read_yaml(settings)
        names = names or _read_class_names(os.path.dirname(settings))
    else:
        names = _read_class_names(source)
        images = _images_of(os.path.join(source, "images"), source)
        listed = [(file, _split_in(os.path.relpath(file, source))) for file in images]
    if not listed:
        raise RetinueError(
            f"{source}: there are no images; correct the paths train and val in {settings or 'the folder'}"
        )
    files, splits = [file for file, _ in listed], [split for _, split in listed]
    if not any(split == "train" for split in splits):
        splits = [""] * len(splits)
    with ThreadPoolExecutor(usable_cores()) as pool:
        lines_of = list(pool.map(_read_labels, files))
        sizes = list(pool.map(_upright_size, files))
    num_without = sum(lines is None for lines in lines_of)
    if num_without == len(files):
        raise RetinueError(f"{source}: none of the {len(files):,} images has a label file; {_label_cure(files[0])}")
    findings: list[Finding] = []
    if names is None:
        names = _number_names(lines_of)
        what_is_missing = "no names in it" if settings else "no data.yaml"
        reason = f"nothing names the classes ({what_is_missing}, no classes.txt)"
        findings.append(
            Finding(NOTE, "no class names", settings or source, "", reason, "their numbers are taken as names")
        )
    label_of = {number: index for index, number in enumerate(names)}
    locations = [relative_location(label_file(file), source) for file in files]
    objects: list[tuple[int, np.ndarray, int, int]] = []  # row of the image, corners, label, line
    for row, (file, lines, (height, width)) in enumerate(zip(files, lines_of, sizes, strict=True)):
        for number, line in enumerate(lines or (), 1):
            if not line:
                continue
            problem = _problem(line, label_of)
            if problem:
                item = object_location("yolo", number, locations[row])
                kind, reason, cure = problem
                findings.append(Finding(INVALID, kind, file, item, f"{item}: {reason}", f"skipped; {cure}"))
                continue
            corners = _corners(line) * np.array([width, height] * 2)
            objects.append((row, corners, label_of[int(line[0] or 0)], number))
    if num_without:
        reason = f"{num_without:,} of {len(files):,} images have no label file"
        findings.append(Finding(NOTE, "no label file", source, "", reason, "taken as images without objects"))
    findings += _labels_without_image(files, source)
    rows, boxes, labels, line_numbers = zip(*objects, strict=True) if objects else ((),) * 4
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
    folders = os.path.dirname(file).split(os.sep)
    if "images" in folders:
        last = len(folders) - 1 - folders[::-1].index("images")
        path = os.path.join(os.sep.join([*folders[:last], "labels", *folders[last + 1 :]]), f"{_stem(file)}.txt")
        if os.path.isfile(path):
            return path
    return os.path.splitext(file)[0] + ".txt"


def _number_names(lines_of: Sequence[Sequence[Line] | None]) -> ClassNames:
    """Return the numbers from 0 to the largest class number as class names."""
    largest = max((line[0] or 0 for lines in lines_of for line in lines or () if len(line) > 1), default=0)
    return {number: str(number) for number in range(int(largest) + 1)}


def _labels_without_image(files: Sequence[str], source: str) -> list[Finding]:
    """Return a finding for each label file beside those of `files` that has no image."""
    image_folders_of: dict[str, set[str]] = {}  # by folder of labels
    for file in files:
        image_folders_of.setdefault(os.path.dirname(label_file(file)), set()).add(os.path.dirname(file))
    listed = {(os.path.dirname(file), _stem(file)) for file in files}
    findings = []
    for label_folder, folders in image_folders_of.items():
        stems = {_stem(name) for folder in folders for name in _names_in(folder) if looks_like_image(name)}
        stems |= {stem for folder, stem in listed if folder in folders}
        for name in sorted(_names_in(label_folder)):
            path = os.path.join(label_folder, name)
            if not name.endswith(".txt") or name == "classes.txt" or _stem(name) in stems or not _holds_labels(path):
                continue
            location = relative_location(path, source)
            reason = f"{location}: no image has its name in {' or '.join(sorted(folders))}"
            action = "skipped; put the image there, or remove the label file"
            findings.append(Finding(INVALID, "label file without image", path, "", reason, action))
    return findings


def _names_in(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def _holds_labels(path: str) -> bool:
    """Return whether a text file only has lines of five or more numbers, as label files have."""
    return all(not line or (line != (None,) and len(line) >= 5) for line in _read_lines(path) or ())


def _read_labels(file: str) -> list[Line] | None:
    """Return the lines of the label file of an image, None when it has none."""
    return _read_lines(label_file(file))


def _read_lines(path: str) -> list[Line] | None:
    try:
        with open(path, encoding="utf-8-sig") as lines:
            return [_parse_line(line) for line in lines]
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return [(None,)]


def _parse_line(line: str) -> Line:
    try:
        return tuple(float(word) for word in line.split())
    except ValueError:
        return (None,)


def _problem(line: Line, label_of: Mapping[int, int]) -> tuple[str, str, str] | None:
    """Return the kind, the reason and the cure of a line that is not an object, else None."""
    numbers = [number for number in line if number is not None]
    has_length = len(numbers) == 5 or (len(numbers) >= 7 and len(numbers) % 2 == 1)
    if not has_length or not np.isfinite(numbers).all():
        return "not a box", "it does not have five numbers", "write class, center x, center y, width, height"
    if numbers[0] not in label_of:
        return "unknown class", f"unknown class {numbers[0]:g}", "name it in data.yaml, or correct the number"
    largest = max(numbers[1:])
    if largest > MAX_FRACTION:
        reason = f"{largest:g} is not a fraction of the image; are these pixels?"
        return "pixels where fractions are expected", reason, "divide by the width and height of the image"
    return None


def _corners(line: Line) -> np.ndarray:
    """Return x1, y1, x2, y2 as fractions, float `[4]`, of a center and a size or of a polygon."""
    numbers = np.array(line[1:], np.float64)
    if len(numbers) == 4:
        x, y, width, height = numbers
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    points = numbers.reshape(-1, 2)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _upright_size(file: str) -> tuple[int, int]:
    """Return height and width of the upright image; 1, 1 where it can't be read, since the check skips it anyway."""
    try:
        width, height = image_size(file)
    except (OSError, ValueError):
        return 1, 1
    return height, width


def _is_data_yaml(path: str) -> bool:
    try:
        content = _load_yaml(path)
    except RetinueError:
        return False
    named = os.path.basename(path).lower() in YAML_NAMES or (isinstance(content, dict) and "names" in content)
    return isinstance(content, dict) and named and ("train" in content or "val" in content)


def _load_yaml(path: str) -> Any:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return yaml.safe_load(file)
    except OSError as error:
        raise RetinueError(f"{path}: this file can't be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RetinueError(f"{path}: this is not YAML ({' '.join(str(error).split())})") from None


def _read_yaml(path: str) -> tuple[ClassNames | None, list[tuple[str, str]]]:
    """Return the class names by number, None where the file has none, and each image with its split."""
    content = _load_yaml(path)
    if not isinstance(content, dict) or not {"train", "val", "test", "names"} & content.keys():
        raise RetinueError(f"{path}: this is not a YOLO data.yaml, which has names, train and val")
    names = content.get("names")
    names = dict(enumerate(names)) if isinstance(names, list) else names
    if names is not None:
        if not isinstance(names, dict) or not names or not all(isinstance(number, int) for number in names):
            raise RetinueError(f"{path}: names must be a list of class names, or a dict from number to name")
        count = content.get("nc", len(names))
        if count != len(names):
            raise RetinueError(f"{path}: nc is {count}, but there are {len(names)} names; make them agree")
        names = {number: str(name) for number, name in sorted(names.items())}
    folder = os.path.dirname(path)
    base = os.path.join(folder, str(content.get("path") or ""))
    if not os.path.isdir(base):  # it is a folder of the machine that wrote the file
        base = folder
    split_of: dict[str, str] = {}
    for split in ("train", "val", "test"):
        entries = content.get(split) or []
        for entry in [entries] if isinstance(entries, str) else entries:
            for file in _images_of(_resolve(path, base, folder, str(entry), split), folder):
                split_of.setdefault(os.path.normpath(file), split)
    return names, list(split_of.items())


def _resolve(path: str, base: str, folder: str, entry: str, split: str) -> str:
    """Return the path that an entry of a data.yaml means. Roboflow writes ../train/images for train/images."""
    for candidate in (os.path.join(base, entry), os.path.join(folder, entry), os.path.join(folder, entry.lstrip("./"))):
        if os.path.exists(candidate):
            return candidate
    raise RetinueError(f"{path}: {split} is {entry}, but there is no {os.path.join(base, entry)}; correct the path")


def _images_of(path: str, folder: str) -> list[str]:
    """Return the images below a folder, or those that a text file lists, relative to itself or to `folder`."""
    if os.path.isdir(path):
        return [os.path.join(path, name) for name in _files_below(path) if looks_like_image(name)]
    with open(path, encoding="utf-8-sig") as lines:
        names = [line.strip() for line in lines if line.strip()]
    beside = os.path.dirname(path)
    return [os.path.join(beside if os.path.exists(os.path.join(beside, name)) else folder, name) for name in names]


def _files_below(folder: str) -> list[str]:
    """Return every file below `folder`, relative to it, in sorted order, without hidden ones."""
    files = []
    for parent, folders, names in os.walk(folder):
        folders.sort()
        files += [os.path.relpath(os.path.join(parent, name), folder) for name in names if name[0] != "."]
    return sorted(files)


def _read_class_names(folder: str) -> ClassNames | None:
    """Return the names of classes.txt by number, or None."""
    for path in (os.path.join(folder, "classes.txt"), os.path.join(folder, "labels", "classes.txt")):
        if os.path.isfile(path):
            with open(path, encoding="utf-8-sig") as lines:
                return dict(enumerate(line.strip() for line in lines if line.strip()))
    return None


def _split_in(path: str) -> str:
    """Return the split that a folder of a path is named after, or ""."""
    return next((SPLIT_NAMES[part.lower()] for part in path.split(os.sep) if part.lower() in SPLIT_NAMES), "")


def _label_cure(file: str) -> str:
    return f"put the labels of {file} into {os.path.splitext(file)[0]}.txt, or below the folder labels"


def _stem(file: str) -> str:
    return os.path.splitext(os.path.basename(file))[0]
