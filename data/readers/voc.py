"""Pascal VOC: an XML file a picture, in the folders of VOCdevkit or beside the pictures as LabelImg writes them."""

import os
import xml.etree.ElementTree as ElementTree

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import BAD, NOTE, WARNING, Finding
from retinue.data.readers.objects import object_columns, object_place, relative_place
from retinue.data.storage.file_names import looks_like_image

LISTS = ("train", "val", "test", "trainval")  # trainval last: it only adds what is in none of the others


def voc_folders(folder):
    """The folders with VOC annotations in `folder`: itself, or those of the years in a VOCdevkit; empty when none.

    Such a folder has `Annotations/*.xml` and `JPEGImages`, or XML files beside pictures of the same names.
    """
    inner = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    devkit = [path for path in inner if os.path.basename(path) == "VOCdevkit" and os.path.isdir(path)]
    if devkit:
        return voc_folders(devkit[0])
    if _is_voc(folder):
        return [folder]
    return [path for path in inner if os.path.isdir(path) and os.path.isdir(os.path.join(path, "JPEGImages"))]


def read_voc(source):
    """Read Pascal VOC annotations into a `Dataset` for detection.

    The pictures are those of the lists in `ImageSets/Main` (train, val, test; trainval without a split), or without
    lists all that have an XML file. Classes are the names that objects have, in sorted order. VOC counts pixels from 1
    and includes the last one: xmin, ymin, xmax, ymax become xmin - 1, ymin - 1, xmax, ymax. `difficult` is kept; the
    parts of an object are not objects. `image_id` is the name without its ending.
    Raises RetinueError when there is nothing to read; an XML file or an object that can't be understood is a finding.
    """
    source = os.fspath(source)
    findings, files, splits, image_id, places, sizes, objects = [], [], [], [], [], [], []
    for folder in voc_folders(source):
        annotations, pictures = _rooms(folder)
        picture_of = {
            os.path.splitext(name)[0]: name for name in sorted(os.listdir(pictures)) if looks_like_image(name)
        }
        stems, split_of = _listed(folder, annotations, findings)
        for stem in stems:
            file = os.path.join(pictures, picture_of.get(stem, f"{stem}.jpg"))
            path = os.path.join(annotations, f"{stem}.xml")
            place = relative_place(path, source)
            parsed = _parse(path, file, place, findings)
            if parsed is None:
                continue
            objects += [(len(files), *entry) for entry in parsed[1]]
            files.append(file)
            splits.append(split_of.get(stem, ""))
            image_id.append(stem)
            places.append(place)
            sizes.append(parsed[0])
    if not files:
        raise RetinueError(f"{source}: no picture with an annotation; looked for Annotations/*.xml and JPEGImages")
    rows, names, boxes, difficult, number = zip(*objects, strict=True) if objects else ((),) * 5
    classes = sorted(set(names))
    label_of = {name: index for index, name in enumerate(classes)}
    return Dataset(
        task="detection",
        files=files,
        classes=classes,
        columns=object_columns(
            rows,
            boxes,
            [label_of[name] for name in names],
            number,
            image_id,
            place=places,
            difficult=difficult,
            size=sizes,
        ),
        splits=np.array(splits, dtype=object),
        source=source,
        format="voc",
        findings=tuple(findings),
    )


def _is_voc(folder):
    annotations, pictures = _rooms(folder)
    if not os.path.isdir(annotations) or not os.path.isdir(pictures):
        return False
    stems = {os.path.splitext(name)[0] for name in os.listdir(annotations) if name.lower().endswith(".xml")}
    return any(looks_like_image(name) and os.path.splitext(name)[0] in stems for name in os.listdir(pictures))


def _rooms(folder):
    """The folders of annotations and of pictures."""
    annotations = os.path.join(folder, "Annotations")
    pictures = next(
        (path for name in ("JPEGImages", "images") if os.path.isdir(path := os.path.join(folder, name))), folder
    )
    return annotations if os.path.isdir(annotations) else folder, pictures


def _listed(folder, annotations, findings):
    """(names without ending, {name: split}) of the pictures to read."""
    written = sorted(os.path.splitext(name)[0] for name in os.listdir(annotations) if name.lower().endswith(".xml"))
    split_of = {}
    for name in LISTS:
        path = os.path.join(folder, "ImageSets", "Main", f"{name}.txt")
        if os.path.isfile(path):
            with open(path, encoding="utf-8-sig") as lines:
                for stem in (line.split()[0] for line in lines if line.strip()):
                    split_of.setdefault(stem, "" if name == "trainval" else name)
    if not split_of:
        return written, {}
    have = set(written)
    missing = [stem for stem in split_of if stem not in have]
    if missing:
        reason = f"{len(missing):,} listed pictures have no XML file, the first is {missing[0]}"
        findings.append(Finding(WARNING, "no annotation", folder, "", reason, "left out; add it"))
    unlisted = len(have - set(split_of))
    if unlisted:
        reason = f"{unlisted:,} annotations are in no list of ImageSets/Main"
        findings.append(Finding(NOTE, "not listed", folder, "", reason, "passed over"))
    return [stem for stem in split_of if stem in have], split_of


def _parse(path, file, place, findings):
    """((height, width), [(name, box, difficult, number)]) of an XML file, or None when it is no XML."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        reason = f"its annotation {path} can't be read ({error})"
        findings.append(Finding(BAD, "broken annotation", file, "", reason, "left out; write it again"))
        return None
    size = [_number(root.findtext(f"size/{side}")) or 0 for side in ("height", "width")]
    objects = []
    for number, entry in enumerate(root.findall("object"), 1):
        name = (entry.findtext("name") or "").strip()
        box = [_number(entry.findtext(f"bndbox/{corner}")) for corner in ("xmin", "ymin", "xmax", "ymax")]
        if not name or None in box:
            what = "it has no name" if not name else "its bndbox lacks a number"
            item = object_place("voc", number, place)
            findings.append(Finding(BAD, "not a box", file, item, f"{item}: {what}", "left out; correct it"))
            continue
        x1, y1, x2, y2 = box
        difficult = _number(entry.findtext("difficult")) == 1
        objects.append((name, (x1 - 1, y1 - 1, x2, y2), difficult, number))
    return size, objects


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
