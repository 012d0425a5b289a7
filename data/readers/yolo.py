"""YOLO's text files: a line `class cx cy width height` an object, as shares of the picture, and a data.yaml."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import yaml

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.dataset import Dataset
from retinue.data.decoding.image_file import image_size
from retinue.data.finding import BAD, NOTE, Finding
from retinue.data.readers.objects import object_columns, object_place, relative_place
from retinue.data.storage.file_names import SPLIT_NAMES, looks_like_image

USUAL = ("data.yaml", "data.yml")
MOST_SHARE = 1.5  # a share of a picture above this is none; a box may reach out a little, that is for the check


def yolo_yaml(folder):
    """The data.yaml of a folder, or its first YAML file that names classes and pictures; None when there is none."""
    names = [name for name in sorted(os.listdir(folder)) if name.lower().endswith((".yaml", ".yml"))]
    names.sort(key=lambda name: name.lower() not in USUAL)
    return next((path for name in names if _is_data_yaml(path := os.path.join(folder, name))), None)


def is_yolo_folder(folder):
    """Whether there is a data.yaml, or pictures below `images` and text files below `labels`."""
    if yolo_yaml(folder):
        return True
    inner = [os.path.join(folder, name) for name in ("images", "labels")]
    return all(map(os.path.isdir, inner)) and any(name.endswith(".txt") for name in _below(inner[1]))


def read_yolo(source):
    """Read a YOLO data.yaml, or its folder, into a `Dataset` for detection.

    The yaml's `names` is a list, or a dict by number (without it `classes.txt` beside it names them, or nothing, and
    their numbers are their names); `train`, `val` and `test` are folders of pictures, text files of
    paths, or lists of such. Without a yaml the pictures are those below `images`, with names from `classes.txt`.
    The labels of `a/images/b.jpg` are in `a/labels/b.txt`, or beside the picture; without such a file, or with an empty
    one, it has no objects. A line with more numbers is a polygon: the box around it is taken.
    The numbers are shares of the upright picture, whose header is read for its size. Raises RetinueError when the yaml
    can't be understood or no picture is there; a line that can't be understood is a finding.
    """
    source = os.fspath(source)
    settings = yolo_yaml(source) if os.path.isdir(source) else source
    if settings:
        names, listed = _read_yaml(settings)
        names = names or _names_of(os.path.dirname(settings))
    else:
        names, listed = _names_of(source), _pictures(os.path.join(source, "images"), source)
        listed = [(file, _split_in(os.path.relpath(file, source))) for file in listed]
    if not listed:
        raise RetinueError(f"{source}: no pictures; correct the paths train and val in {settings or 'the folder'}")
    files, splits = [file for file, _ in listed], [split for _, split in listed]
    if not any(split == "train" for split in splits):
        splits = [""] * len(splits)
    with ThreadPoolExecutor(usable_cores()) as pool:
        labels = list(pool.map(_read_labels, files))
        sizes = list(pool.map(_size, files))
    findings, objects = [], []
    places = [relative_place(label_file(file), source) for file in files]
    if names is None:
        largest = max((entry[0] for entries in labels for entry in entries or () if len(entry) > 1), default=0)
        names = {number: str(number) for number in range(int(largest) + 1)}
        lacking = "no names in it" if settings else "no data.yaml"
        reason = f"nothing names the classes ({lacking}, no classes.txt)"
        file = settings or source
        findings.append(Finding(NOTE, "no class names", file, "", reason, "their numbers are taken as names"))
    label_of = {number: index for index, number in enumerate(names)}
    for row, (file, entries, (height, width)) in enumerate(zip(files, labels, sizes, strict=True)):
        for line, entry in enumerate(entries or (), 1):
            if not entry:
                continue
            problem = _problem(entry, label_of)
            if problem:
                item = object_place("yolo", line, places[row])
                kind, reason, cure = problem
                findings.append(Finding(BAD, kind, file, item, f"{item}: {reason}", f"left out; {cure}"))
                continue
            corners = _corners(entry) * np.array([width, height] * 2)
            objects.append((row, corners, label_of[int(entry[0])], line))
    unlabelled = sum(entries is None for entries in labels)
    if unlabelled == len(files):
        raise RetinueError(f"{source}: none of the {len(files):,} pictures has a label file; {_cure(files[0])}")
    if unlabelled:
        reason = f"{unlabelled:,} of {len(files):,} pictures have no label file"
        findings.append(Finding(NOTE, "no label file", source, "", reason, "taken as pictures without objects"))
    findings += _without_picture(files, source)
    rows, boxes, classes, lines = zip(*objects, strict=True) if objects else ((),) * 4
    return Dataset(
        task="detection",
        files=files,
        classes=list(names.values()),
        class_ids=list(names),
        columns=object_columns(rows, boxes, classes, lines, [_stem(file) for file in files], place=places),
        splits=np.array(splits, dtype=object),
        source=source,
        format="yolo",
        findings=tuple(findings),
    )


def label_file(file):
    """Where the labels of a picture are written: `labels` for the last folder `images`, else beside it."""
    folders = os.path.dirname(file).split(os.sep)
    if "images" in folders:
        last = len(folders) - 1 - folders[::-1].index("images")
        path = os.path.join(os.sep.join([*folders[:last], "labels", *folders[last + 1 :]]), f"{_stem(file)}.txt")
        if os.path.isfile(path):
            return path
    return os.path.splitext(file)[0] + ".txt"


def _without_picture(files, source):
    """A finding for each label file beside those of `files` that has no picture."""
    folders_of, findings = {}, []  # the folders of pictures for each folder of labels
    for file in files:
        folders_of.setdefault(os.path.dirname(label_file(file)), set()).add(os.path.dirname(file))
    listed = {(os.path.dirname(file), _stem(file)) for file in files}
    for labels, folders in folders_of.items():
        stems = {_stem(name) for folder in folders for name in _names_in(folder) if looks_like_image(name)}
        stems |= {stem for folder, stem in listed if folder in folders}
        for name in sorted(_names_in(labels)):
            path = os.path.join(labels, name)
            if not name.endswith(".txt") or name == "classes.txt" or _stem(name) in stems or not _holds_labels(path):
                continue
            place = relative_place(path, source)
            reason = f"{place}: no picture has its name in {' or '.join(sorted(folders))}"
            action = "left out; put the picture there, or take the label file out"
            findings.append(Finding(BAD, "label file without picture", path, "", reason, action))
    return findings


def _names_in(folder):
    return os.listdir(folder) if os.path.isdir(folder) else []


def _holds_labels(path):
    """Whether a text file has nothing but lines of numbers, as label files have: five or more a line."""
    return all(not entry or (entry != (None,) and len(entry) >= 5) for entry in _numbers_in(path) or ())


def _read_labels(file):
    """A tuple of numbers a line (empty for an empty line, of one None for what is no numbers); None without a file."""
    return _numbers_in(label_file(file))


def _numbers_in(path):
    try:
        with open(path, encoding="utf-8-sig") as lines:
            return [_numbers(line) for line in lines]
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return [(None,)]


def _numbers(line):
    try:
        return tuple(float(word) for word in line.split())
    except ValueError:
        return (None,)


def _problem(entry, label_of):
    """(kind, reason, cure) of a line that is no object, else None."""
    if (
        entry == (None,)
        or (len(entry) != 5 and (len(entry) < 7 or len(entry) % 2 == 0))
        or not np.isfinite(entry).all()
    ):
        return "not a box", "not five numbers", "write class, centre x, centre y, width, height"
    if entry[0] not in label_of:
        return "unknown class", f"unknown class {entry[0]:g}", "name it in data.yaml, or correct the number"
    if max(entry[1:]) > MOST_SHARE:
        reason = f"{max(entry[1:]):g} is no share of a picture; are these pixels?"
        return "pixels where shares are expected", reason, "divide by the picture's width and height"
    return None


def _corners(entry):
    """x1, y1, x2, y2 as shares, of centre and size or of a polygon."""
    if len(entry) == 5:
        _, x, y, width, height = entry
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    points = np.array(entry[1:]).reshape(-1, 2)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _size(file):
    """(height, width) upright; of a picture that can't be read 1, 1: the check leaves it out anyway."""
    try:
        width, height = image_size(file)
    except (OSError, ValueError):
        return 1, 1
    return height, width


def _is_data_yaml(path):
    try:
        content = _load_yaml(path)
    except RetinueError:
        return False
    named = os.path.basename(path).lower() in USUAL or (isinstance(content, dict) and "names" in content)
    return isinstance(content, dict) and named and ("train" in content or "val" in content)


def _load_yaml(path):
    try:
        with open(path, encoding="utf-8-sig") as file:
            return yaml.safe_load(file)
    except OSError as error:
        raise RetinueError(f"{path}: can't be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RetinueError(f"{path}: not YAML ({' '.join(str(error).split())})") from None


def _read_yaml(path):
    """({number: name}, None where it names none; [(picture, split)])."""
    content = _load_yaml(path)
    if not isinstance(content, dict) or not {"train", "val", "test", "names"} & content.keys():
        raise RetinueError(f"{path}: this is no YOLO data.yaml, which has names, train and val")
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
    if not os.path.isdir(base):  # as it was on the machine that wrote it
        base = folder
    listed = {}
    for split in ("train", "val", "test"):
        places = content.get(split) or []
        for place in [places] if isinstance(places, str) else places:
            for file in _pictures(_found(path, base, folder, str(place), split), folder):
                listed.setdefault(os.path.normpath(file), split)
    return names, list(listed.items())


def _found(path, base, folder, place, split):
    """Where `place` is. Roboflow writes ../train/images for train/images."""
    for candidate in (os.path.join(base, place), os.path.join(folder, place), os.path.join(folder, place.lstrip("./"))):
        if os.path.exists(candidate):
            return candidate
    raise RetinueError(f"{path}: {split} is {place}, but there is no {os.path.join(base, place)}; correct the path")


def _pictures(place, folder):
    """The pictures below a folder, or those that a text file lists, relative to itself or to the yaml's folder."""
    if os.path.isdir(place):
        return [os.path.join(place, name) for name in _below(place) if looks_like_image(name)]
    with open(place, encoding="utf-8-sig") as lines:
        names = [line.strip() for line in lines if line.strip()]
    beside = os.path.dirname(place)
    return [os.path.join(beside if os.path.exists(os.path.join(beside, name)) else folder, name) for name in names]


def _below(folder):
    """Every file below `folder`, relative to it, in sorted order."""
    found = []
    for here, folders, names in os.walk(folder):
        folders.sort()
        found += [os.path.relpath(os.path.join(here, name), folder) for name in names if name[0] != "."]
    return sorted(found)


def _names_of(folder):
    """{number: name} of classes.txt, or None."""
    for path in (os.path.join(folder, "classes.txt"), os.path.join(folder, "labels", "classes.txt")):
        if os.path.isfile(path):
            with open(path, encoding="utf-8-sig") as lines:
                return dict(enumerate(line.strip() for line in lines if line.strip()))
    return None


def _split_in(path):
    return next((SPLIT_NAMES[part.lower()] for part in path.split(os.sep) if part.lower() in SPLIT_NAMES), "")


def _cure(file):
    return f"the labels of {file} belong into {os.path.join(os.path.dirname(file), _stem(file))}.txt, or below labels"


def _stem(file):
    return os.path.splitext(os.path.basename(file))[0]
