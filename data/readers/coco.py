"""COCO's annotations: one JSON file with images, annotations and categories, or a folder with one for each split."""

import array
import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import BAD, NOTE, WARNING, Finding
from retinue.data.readers.objects import object_columns, relative_place
from retinue.data.storage.file_names import SPLIT_NAMES

ROBOFLOW = "_annotations.coco.json"
OTHER_KINDS = ("captions", "person_keypoints", "panoptic", "stuff", "image_info")  # of COCO's own annotation files
NO_BOX = "no box"
LOOKED_AT = 50  # files, to find out which folder the pictures are in


def coco_files(folder):
    """[(JSON file, split)] of a folder as COCO, CVAT or Roboflow lay it out; empty when it is none.

    That is `annotations/*.json` (those named "instances" where there are any), or Roboflow's `_annotations.coco.json`
    in the folder itself or in its split folders, or one COCO file beside its pictures.
    """
    found = []
    for name in ("annotations", "Annotations"):
        inner = os.path.join(folder, name)
        if os.path.isdir(inner):
            names = [name for name in sorted(os.listdir(inner)) if name.endswith(".json") and name[0] != "."]
            names = [name for name in names if not name.startswith(OTHER_KINDS)]
            names = [name for name in names if "instances" in name] or names
            found = [(os.path.join(inner, name), _split_of(name)) for name in names]
            break
    for name in [] if found else sorted(os.listdir(folder)):
        if os.path.isfile(os.path.join(folder, name, ROBOFLOW)) and name.lower() in SPLIT_NAMES:
            found.append((os.path.join(folder, name, ROBOFLOW), SPLIT_NAMES[name.lower()]))
    if not found and os.path.isfile(os.path.join(folder, ROBOFLOW)):
        found = [(os.path.join(folder, ROBOFLOW), "")]
    if not found:  # one file beside its pictures
        beside = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".json")]
        beside = [path for path in beside if _looks_like_coco(path)]
        found = [(path, "") for path in beside] if len(beside) == 1 else []
    if not any(split == "train" for _, split in found):  # then "val" is but a name: it is all there is to learn from
        found = [(path, "") for path, _ in found]
    return found


def _looks_like_coco(path):
    """Whether the beginning of a JSON file has one of COCO's lists."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and any(
        name in head for name in (b'"images"', b'"annotations"', b'"categories"')
    )


def read_coco(source):
    """Read a COCO file, or a folder with several, into a `Dataset` for detection.

    Images come in the file's order, those without objects too; classes are ordered by their ids, which are kept in
    `class_ids`, as are the images' in `image_id`. In a folder each file is a split, by its name; a file that is named
    itself has none. Boxes x, y, width, height become x1, y1, x2, y2; `iscrowd` is kept, `ignore` is read as difficult.
    Annotations that can't be understood are left out with a finding each, and so are images that share an id: nobody
    can tell whose the boxes are.
    Raises RetinueError for a file that is no COCO file and when no picture is there.
    """
    source = os.fspath(source)
    files = coco_files(source) if os.path.isdir(source) else [(source, "")]
    parsed = [_parse(path) for path, _ in files]
    findings = [finding for part in parsed for finding in part.findings]
    classes, class_ids = _classes(parsed, findings)
    names, splits, places, columns, first_row = [], [], [], {}, 0
    for part, (path, split) in zip(parsed, files, strict=True):
        folder = _picture_folder(path, part.file_names, split)
        names += [os.path.normpath(os.path.join(folder, name)) for name in part.file_names]
        splits += [split] * len(part.file_names)
        places += [image_place(image, path, source) for image in part.image_ids]
        for name, values in _objects(part, classes, names[first_row:], findings).items():
            columns.setdefault(name, []).append(values + first_row if name == "rows" else values)
        first_row = len(names)
    flat = {name: np.concatenate(values) for name, values in columns.items()}
    return Dataset(
        task="detection",
        files=names,
        classes=classes,
        class_ids=class_ids,
        columns=object_columns(
            **flat,
            image_id=[image for part in parsed for image in part.image_ids],
            place=places,
            size=np.concatenate([part.sizes for part in parsed]),
        ),
        splits=np.array(splits, dtype=object),
        source=source,
        format="coco",
        findings=tuple(findings),
    )


def image_place(image, path, source):
    """Where the image with the id `image` is written, in words, for messages: see `data.objects`."""
    return f"image {image} of {relative_place(path, source)}"


@dataclass
class _Parsed:
    """One file in columns. Called as the JSON decoder's `object_hook`, it takes each image and each annotation as soon
    as it is decoded and keeps what is needed, so that polygons, most of a file, never pile up in memory."""

    path: str
    image_ids: list = field(default_factory=list)
    file_names: list = field(default_factory=list)
    sizes: object = field(default_factory=lambda: array.array("q"))
    images: list = field(default_factory=list)  # of the annotations: their image, category and own id
    categories: list = field(default_factory=list)
    ids: list = field(default_factory=list)
    boxes: object = field(default_factory=lambda: array.array("d"))
    areas: object = field(default_factory=lambda: array.array("d"))
    crowd: object = field(default_factory=lambda: array.array("b"))
    difficult: object = field(default_factory=lambda: array.array("b"))
    category_names: dict = field(default_factory=dict)
    supercategories: set = field(default_factory=set)
    findings: list = field(default_factory=list)
    doubled: set = field(default_factory=set)  # ids that several images have, whose boxes are nobody's

    def __call__(self, entry):
        if "image_id" in entry and "file_name" not in entry:
            return self._annotation(entry)
        if "bbox" in entry and "category_id" in entry:
            item = f"annotation {entry.get('id')}"
            self._bad("unknown image", item, f"{item}: has no image_id", "left out; say which image it is of")
            return None
        if "file_name" not in entry and {"id", "width", "height"} <= entry.keys():
            item = f"image {entry['id']}"
            self._bad("no file name", item, f"{item}: has no file_name", "left out; name its file")
            return None
        if "file_name" in entry and "id" in entry:
            self.image_ids.append(_id(entry["id"]))
            self.file_names.append(str(entry["file_name"]).replace("\\", "/"))
            self.sizes.extend((_whole(entry.get("height")), _whole(entry.get("width"))))
            return None
        return entry

    def _bad(self, kind, item, reason, action):
        self.findings.append(Finding(BAD, kind, self.path, item, reason, action))

    def _annotation(self, entry):
        box = entry.get("bbox")
        if box is None or "category_id" not in entry:
            item = f"annotation {entry.get('id')}"
            reason = f"{item}: has no {'bbox' if box is None else 'category_id'}"
            self.findings.append(Finding(WARNING, NO_BOX, self.path, item, reason, "left out; add it"))
            return
        try:
            x, y, width, height = map(float, box)
        except (TypeError, ValueError):
            item = f"annotation {entry.get('id')}"
            reason = f"{item}: its bbox is {json.dumps(box)[:60]}, not x, y, width, height"
            self._bad("not a box", item, reason, "left out; correct it")
            return
        area = entry.get("area")
        self.boxes.extend((x, y, x + width, y + height))
        self.areas.append(area if isinstance(area, int | float) else width * height)
        self.images.append(_id(entry["image_id"]))
        self.categories.append(_id(entry["category_id"]))
        self.ids.append(entry.get("id", len(self.ids)))
        self.crowd.append(_is_set(entry.get("iscrowd")))
        self.difficult.append(_is_set(entry.get("ignore")))


def _parse(path):
    parsed = _Parsed(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.loads(file.read(), object_hook=parsed)
    except OSError as error:
        raise RetinueError(f"{path}: can't be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise RetinueError(f"{path}: this is not JSON ({error}); export the annotations again") from None
    if not isinstance(content, dict) or not parsed.file_names or not isinstance(content.get("categories"), list):
        raise RetinueError(
            f"{path}: not a COCO file, which has images with a file_name, annotations, and categories; "
            "convert it, or give a folder or a CSV with the columns file,x1,y1,x2,y2,label"
        )
    without_box = sum(finding.kind == NO_BOX for finding in parsed.findings)
    if without_box and not parsed.ids:
        raise RetinueError(
            f"{path}: none of its {without_box:,} annotations has a bbox and a category_id; for detection take "
            "the file of instances"
        )
    for entry in content["categories"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int) or "name" not in entry:
            raise RetinueError(f"{path}: the category {json.dumps(entry)[:80]} lacks an id or a name; add it")
        if entry["id"] in parsed.category_names:
            raise RetinueError(f"{path}: two categories have the id {entry['id']}; give one of them another")
        parsed.category_names[entry["id"]] = str(entry["name"])
        if entry.get("supercategory") != entry["name"]:
            parsed.supercategories.add(entry.get("supercategory"))
    twice = [name for name, count in Counter(parsed.category_names.values()).items() if count > 1]
    if twice:
        raise RetinueError(f"{path}: two categories are named {twice[0]}; rename one, or make them one")
    parsed.sizes = np.array(parsed.sizes, np.int32).reshape(-1, 2)
    _leave_out_doubled_images(parsed)
    return parsed


def _leave_out_doubled_images(parsed):
    """An image that is listed twice is kept once; of different images with one id none is kept."""
    count = Counter(parsed.image_ids)
    if len(count) == len(parsed.image_ids):
        return
    files_of, kept = {}, []
    for image, name in zip(parsed.image_ids, parsed.file_names, strict=True):
        if count[image] > 1:
            files_of.setdefault(image, []).append(name)
    for image, names in files_of.items():
        if len(set(names)) == 1:
            item, action = f"image {image}", "used once; take the others out"
            reason = f"{item}: {names[0]} is listed {len(names)} times"
            parsed.findings.append(Finding(WARNING, "image listed twice", parsed.path, item, reason, action))
            continue
        parsed.doubled.add(image)
        boxes = parsed.images.count(image)
        for name in dict.fromkeys(names):
            others = " and ".join(other for other in dict.fromkeys(names) if other != name)
            reason = f"image {image}: duplicate image id, {name} and {others} have it"
            action = f"left out, and its {boxes:,} boxes, which may be of either; number the images anew"
            parsed.findings.append(Finding(BAD, "duplicate image id", parsed.path, "", reason, action))
    seen = set(parsed.doubled)
    for row, image in enumerate(parsed.image_ids):
        if image not in seen:
            seen.add(image)
            kept.append(row)
    if not kept:
        first, names = next(iter(files_of.items()))
        raise RetinueError(
            f"{parsed.path}: duplicate image id {first}: {' and '.join(names[:2])} have it, and no image has an id of "
            "its own; number the images anew"
        )
    parsed.image_ids = [parsed.image_ids[row] for row in kept]
    parsed.file_names = [parsed.file_names[row] for row in kept]
    parsed.sizes = parsed.sizes[kept]


def _classes(parsed, findings):
    """(names, ids) of all files' categories, by id. Roboflow's group that nothing belongs to is left out."""
    id_of = {}
    for part in parsed:
        used = set(part.categories)
        for number, name in part.category_names.items():
            if number not in used and name in part.supercategories:
                reason = f"the category {name} is but the group of others and has no object"
                findings.append(Finding(NOTE, "unused category", part.path, name, reason, "left out"))
            elif id_of.setdefault(name, number) != number:
                reason = f"the category {name} has the id {number} here, but {id_of[name]} in {parsed[0].path}"
                action = f"matched by name; {id_of[name]} is written back"
                findings.append(Finding(WARNING, "other category id", part.path, name, reason, action))
    names = sorted(id_of, key=lambda name: (id_of[name], name))
    return names, [id_of[name] for name in names]


def _objects(part, classes, names, findings):
    """Flat arrays of the objects of one file, without those of unknown images and categories."""
    row_of = {image: row for row, image in enumerate(part.image_ids)}
    place = {name: index for index, name in enumerate(classes)}
    label_of = {number: place[name] for number, name in part.category_names.items() if name in place}
    rows = np.fromiter((row_of.get(image, -1) for image in part.images), np.int64, len(part.images))
    labels = np.fromiter((label_of.get(number, -1) for number in part.categories), np.int64, len(part.images))
    of_doubled = np.fromiter((image in part.doubled for image in part.images), bool, len(part.images))
    for index in np.flatnonzero((rows < 0) & ~of_doubled):
        item = f"annotation {part.ids[index]}"
        reason = f"{item}: its image_id {json.dumps(part.images[index])} is none of the images"
        findings.append(Finding(BAD, "unknown image", part.path, item, reason, "left out; add the image"))
    for index in np.flatnonzero((rows >= 0) & (labels < 0)):
        item = f"annotation {part.ids[index]}"
        reason = (
            f"{item}: unknown class, its category_id {json.dumps(part.categories[index])} is none of the categories"
        )
        action = "left out; add the category, or correct the id"
        findings.append(Finding(BAD, "unknown class", names[rows[index]], item, reason, action))
    ids = np.array([number if _fits(number) else index for index, number in enumerate(part.ids)], np.int64)
    unique, first, counts = np.unique(ids, return_index=True, return_counts=True)
    for number, index, count in zip(*(column[counts > 1] for column in (unique, first, counts)), strict=True):
        file = names[rows[index]] if rows[index] >= 0 else part.path
        reason = f"annotation {number}: duplicate id, {count} annotations have it"
        action = "all are used; other programs keep but one: number them anew"
        findings.append(Finding(WARNING, "duplicate annotation id", file, f"annotation {number}", reason, action))
    known = (rows >= 0) & (labels >= 0)
    return {
        "rows": rows[known],
        "boxes": np.array(part.boxes).reshape(-1, 4)[known].astype(np.float32),
        "labels": labels[known],
        "object_id": ids[known],
        "crowd": np.array(part.crowd, bool)[known],
        "difficult": np.array(part.difficult, bool)[known],
        "area": np.array(part.areas)[known].astype(np.float32),
    }


def _picture_folder(path, names, split):
    """The folder that the file names are relative to: the one, of the usual ones, in which most of them are."""
    beside = os.path.dirname(path)
    stem = os.path.splitext(os.path.basename(path))[0]
    own = [stem, stem.removeprefix("instances_"), *(word for word, meant in SPLIT_NAMES.items() if meant == split)]
    inner = ["", "images", *own, *(os.path.join("images", name) for name in own)]
    outer = os.path.join(beside, os.pardir)
    folders = [os.path.join(top, name) for top in (beside, outer) for name in inner]
    some = [names[index] for index in np.unique(np.linspace(0, len(names) - 1, LOOKED_AT).astype(int))]
    hits = [sum(os.path.isfile(os.path.join(folder, name)) for name in some) for folder in folders]
    if not any(hits):
        tried = ", ".join(sorted({os.path.normpath(folder) or "." for folder in folders if os.path.isdir(folder)}))
        raise RetinueError(
            f"{path}: none of its pictures is there, the first is {names[0]}; looked in {tried}; "
            "put the pictures beside the file, or into a folder images there"
        )
    return folders[hits.index(max(hits))]


def _split_of(name):
    """The split that a file's name says: "instances_train2017.json" is "train"."""
    words = re.findall("[a-z]+", name.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "")


def _whole(value):
    return value if isinstance(value, int) and 0 < value < 2**31 else 0


def _fits(value):
    """Whether a value is a whole number that a column can hold."""
    return isinstance(value, int) and abs(value) < 2**63


def _id(value):
    """An id as it is; what can be none (a list, say) as its text, which then is unknown."""
    return value if isinstance(value, int | str) else json.dumps(value)


def _is_set(flag):
    """Whether a flag is set, also where it is written as text: "0" is not."""
    return flag.strip().lower() not in ("", "0", "false", "no") if isinstance(flag, str) else bool(flag)
