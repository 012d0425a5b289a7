"""One COCO file, parsed into columns."""

import array
import json
import math
from collections import Counter
from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.finding import INVALID, WARNING, Finding
from retinue.data.readers.coco.shapes import polygon_box
from retinue.data.readers.coco.text import read_text, top_level_entries
from retinue.data.readers.image_finder import plain_name

XYXY = 0  # detectron2's bbox_mode of x1, y1, x2, y2
XYWH = 1
MAX_SPACE = 1000  # characters before a file's first bracket

Id = int | str


@dataclass
class CocoFile:
    """A COCO file in columns.

    Each image and each annotation is taken as soon as it is decoded, and only what is needed of it is kept, so that the
    polygons, most of a file, never pile up in memory.

    Attributes:
        path: The file.
        image_ids: The id of each image, `[n]`.
        file_names: The file name of each image, `[n]`.
        sizes: int32 `[n, 2]`, height and width of each image, 0 where the file gives none.
        image_id_of: The id of each annotation's image, `[m]`.
        category_ids: The id of each annotation's category, `[m]`.
        annotation_ids: The id of each annotation, `[m]`; its index where it has none.
        boxes: float64 `[4 m]`, x1, y1, x2, y2 of each annotation in pixels, NaN where it has none.
        areas: float64 `[m]`, area of each annotation in pixels.
        crowd: int8 `[m]`, whether `iscrowd` is set.
        difficult: int8 `[m]`, whether `ignore` is set.
        positions: int64 `[m]`, where each annotation begins in the text of the file.
        no_box: The finding of each annotation without a box that can be understood, by its index.
        category_names: {category id: name}.
        supercategories: The names of the supercategories that differ from the category's own name.
        findings: What can't be understood.
        ambiguous_ids: Ids that several images have; nobody can tell whose their boxes are.
    """

    path: str
    image_ids: list[Id] = field(default_factory=list)
    file_names: list[str] = field(default_factory=list)
    sizes: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    image_id_of: list[Id] = field(default_factory=list)
    category_ids: list[Id] = field(default_factory=list)
    annotation_ids: list[Any] = field(default_factory=list)
    boxes: MutableSequence[float] = field(default_factory=lambda: array.array("d"))
    areas: MutableSequence[float] = field(default_factory=lambda: array.array("d"))
    crowd: MutableSequence[int] = field(default_factory=lambda: array.array("b"))
    difficult: MutableSequence[int] = field(default_factory=lambda: array.array("b"))
    positions: MutableSequence[int] = field(default_factory=lambda: array.array("q"))
    no_box: dict[int, Finding] = field(default_factory=dict)
    category_names: dict[Id, str] = field(default_factory=dict)
    supercategories: set[Any] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    ambiguous_ids: set[Id] = field(default_factory=set)
    _flat_sizes: MutableSequence[int] = field(default_factory=lambda: array.array("q"))

    def take_image(self, entry: Any) -> None:
        """Keep what is needed of an entry of `images`."""
        if not isinstance(entry, dict):
            self._add_bad("not an image", "", f"{json_text(entry)[:60]} is among the images", "skipped; remove it")
            return
        name = image_name(entry)
        if not name or entry.get("id") is None:
            number = entry.get("id")
            item = f"image {name if number is None else number}"
            kind = "no file name" if not name else "no image id"
            lack, cure = ("file_name", "the name of its file") if not name else ("id", "a number of its own")
            self._add_bad(kind, item, f"{item}: it has no {lack}", f"skipped; add {cure}")
            return
        self.image_ids.append(plain_id(entry["id"]))
        self.file_names.append(name)
        self._flat_sizes.extend((_pixels(entry.get("height")), _pixels(entry.get("width"))))

    def take_annotation(self, entry: Any, position: int) -> None:
        """Keep what is needed of an entry of `annotations`, which begins at a position of the text."""
        if not isinstance(entry, dict):
            self._add_bad("not a box", "", f"{json_text(entry)[:60]} is among the annotations", "skipped; remove it")
            return
        if "image_id" not in entry or "category_id" not in entry:
            self._add_incomplete(entry)
            return
        box = entry.get("bbox")
        try:
            x1, y1, width, height = map(float, box or polygon_box(entry.get("segmentation")))
            if "bbox_mode" in entry:
                if entry["bbox_mode"] == XYXY:
                    width, height = width - x1, height - y1
                elif entry["bbox_mode"] != XYWH:
                    raise ValueError("unknown corners")
        except (TypeError, ValueError):
            x1 = y1 = width = height = math.nan
            self.no_box[len(self.annotation_ids)] = self._no_box_finding(entry)
        area, crowd, difficult = entry.get("area"), entry.get("iscrowd"), entry.get("ignore")
        self.boxes.extend((x1, y1, x1 + width, y1 + height))
        self.areas.append(area if isinstance(area, int | float) else width * height)
        self.image_id_of.append(plain_id(entry["image_id"]))
        self.category_ids.append(plain_id(entry["category_id"]))
        self.annotation_ids.append(entry.get("id", len(self.annotation_ids)))
        self.crowd.append(_is_set(crowd) if crowd else False)
        self.difficult.append(_is_set(difficult) if difficult else False)
        self.positions.append(position)

    def finish(self, categories: list[Any]) -> None:
        """Take the categories, and resolve images that are listed several times, after all entries are taken.

        Raises:
            RetinueError: The categories contradict each other, or no image has an id of its own.
        """
        _parse_categories(self, categories)
        self.sizes = np.array(self._flat_sizes, np.int32).reshape(-1, 2)
        self._flat_sizes = array.array("q")
        _resolve_repeated_images(self)

    def _add_bad(self, kind: str, item: str, reason: str, action: str) -> None:
        self.findings.append(Finding(INVALID, kind, self.path, item, reason, action))

    def _add_incomplete(self, entry: Mapping[str, Any]) -> None:
        item = f"annotation {entry.get('id')}"
        if "image_id" not in entry:
            self._add_bad("unknown image", item, f"{item}: it has no image_id", "skipped; add the id of its image")
        else:
            reason = f"{item}: it has no category_id"
            self.findings.append(Finding(WARNING, "no class", self.path, item, reason, "skipped; add it"))

    def _no_box_finding(self, entry: Mapping[str, Any]) -> Finding:
        box, mode, item = entry.get("bbox"), entry.get("bbox_mode", XYWH), f"annotation {entry.get('id')}"
        if box is None or box == []:
            return Finding(WARNING, "no box", self.path, item, f"{item}: it has no bbox", "skipped; add it")
        if mode not in (XYXY, XYWH):
            reason = f"{item}: its bbox_mode is {json_text(mode)}, not 0 (x1, y1, x2, y2) or 1 (x, y, width, height)"
        else:
            reason = f"{item}: its bbox is {json_text(box)[:60]}, not x, y, width, height"
        return Finding(INVALID, "not a box", self.path, item, reason, "skipped; correct it")


def parse_coco_file(path: str) -> CocoFile:
    """Parse a COCO file.

    Args:
        path: The JSON file.

    Raises:
        RetinueError: It can't be read, is not JSON or not a COCO file of instances, or its categories contradict each
            other.
    """
    parsed, others = CocoFile(path), dict[str, Any]()
    text = read_text(path)
    is_object = text[:MAX_SPACE].lstrip().startswith("{")
    try:
        for key, entry, position in top_level_entries(text) if is_object else ():
            if key == "images":
                parsed.take_image(entry)
            elif key == "annotations":
                parsed.take_annotation(entry, position)
            elif key == "categories":
                others[key] = entry
    except (ValueError, RecursionError) as error:
        raise RetinueError(f"{path}: this is not JSON ({error}); export the annotations again") from None
    if not parsed.file_names or not isinstance(others.get("categories"), list):
        raise RetinueError(
            f"{path}: this is not a COCO file, which has images with a file_name, annotations, and categories; "
            "convert it, or give a folder or a CSV with the columns file,x1,y1,x2,y2,label"
        )
    parsed.finish(others["categories"])
    return parsed


def image_name(entry: Mapping[str, Any]) -> str:
    """Return the name of the file of an entry of `images`, with "/" between folders; "" for none.

    LVIS only gives addresses, whose last two parts are the folder and the name of COCO's image.
    """
    if entry.get("file_name"):
        return plain_name(str(entry["file_name"]))
    return "/".join(plain_name(str(entry.get("coco_url") or "")).split("/")[-2:])


def json_text(value: Any) -> str:
    """Return a value as JSON text, for messages."""
    return json.dumps(value)


def plain_id(value: Any) -> Id:
    """Return an id, a whole float as an int, and a value that can't be one (such as a list) as its text."""
    if isinstance(value, int | str):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return json_text(value)


def number_of(value: Id) -> int | None:
    """Return the whole number that an id is or is written as, such as 7 for "7", "007" and "7.0"; else None."""
    if isinstance(value, int):
        return value
    digits = value.strip().removesuffix(".0")
    return int(digits) if digits.isascii() and digits.isdigit() else None


def _parse_categories(parsed: CocoFile, categories: list[Any]) -> None:
    for entry in categories:
        if not isinstance(entry, dict) or entry.get("id") is None or entry.get("name") is None:
            raise RetinueError(f"{parsed.path}: the category {json_text(entry)[:80]} lacks an id or a name; add it")
        number, name = plain_id(entry["id"]), str(entry["name"])
        if parsed.category_names.get(number, name) != name:
            raise RetinueError(
                f"{parsed.path}: two categories have the id {json_text(number)}; give one of them another id"
            )
        parsed.category_names[number] = name
        if entry.get("supercategory") != entry["name"]:
            parsed.supercategories.add(entry.get("supercategory"))
    repeated = [name for name, count in Counter(parsed.category_names.values()).items() if count > 1]
    if repeated:
        raise RetinueError(f"{parsed.path}: two categories are named {repeated[0]}; rename one, or merge them")


def _resolve_repeated_images(parsed: CocoFile) -> None:
    """Keep an image that is listed several times once, and omit different images that share an id."""
    count = Counter(parsed.image_ids)
    if len(count) == len(parsed.image_ids):
        return
    names_of: dict[Id, list[str]] = {}
    for image, name in zip(parsed.image_ids, parsed.file_names, strict=True):
        if count[image] > 1:
            names_of.setdefault(image, []).append(name)
    num_boxes = Counter(image for image in parsed.image_id_of if image in names_of)
    for image, names in names_of.items():
        if len(set(names)) == 1:
            item, action = f"image {image}", "used once; remove the other entries"
            reason = f"{item}: {names[0]} is listed {len(names)} times"
            parsed.findings.append(Finding(WARNING, "image listed twice", parsed.path, item, reason, action))
            continue
        parsed.ambiguous_ids.add(image)
        for name in dict.fromkeys(names):
            others = " and ".join(other for other in dict.fromkeys(names) if other != name)
            reason = f"image {image}: duplicate image id, {name} and {others} have it"
            action = f"skipped, with its {num_boxes[image]:,} boxes, which may be of either; number the images anew"
            parsed.findings.append(Finding(INVALID, "duplicate image id", parsed.path, "", reason, action))
    seen, kept = set(parsed.ambiguous_ids), []
    for row, image in enumerate(parsed.image_ids):
        if image not in seen:
            seen.add(image)
            kept.append(row)
    if not kept:
        first, names = next(iter(names_of.items()))
        raise RetinueError(
            f"{parsed.path}: duplicate image id {first}: {' and '.join(names[:2])} have it, and no image has an id of "
            "its own; number the images anew"
        )
    parsed.image_ids = [parsed.image_ids[row] for row in kept]
    parsed.file_names = [parsed.file_names[row] for row in kept]
    parsed.sizes = parsed.sizes[kept]


def _pixels(value: Any) -> int:
    """Return a height or a width, also one that is written as text; 0 for what can't be one."""
    number = number_of(value) if isinstance(value, str) else value
    if isinstance(number, int | float) and 0 < number < 2**31 and number == int(number):
        return int(number)
    return 0


def _is_set(flag: Any) -> bool:
    """Return whether a flag is set, also where it is written as text: "0" is not set."""
    return flag.strip().lower() not in ("", "0", "false", "no") if isinstance(flag, str) else bool(flag)
