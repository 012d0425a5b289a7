"""One COCO file, parsed into columns."""

import array
import json
from collections import Counter
from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.finding import INVALID, WARNING, Finding

NO_BOX = "no box"

Id = int | str


@dataclass
class CocoFile:
    """A COCO file in columns.

    While the file is decoded, this is the JSON decoder's `object_hook`: it takes each image and each annotation as soon
    as it is decoded and keeps only what is needed, so that the polygons, most of a file, never pile up in memory.

    Attributes:
        path: The file.
        image_ids: The id of each image, `[n]`.
        file_names: The file name of each image, `[n]`.
        sizes: int32 `[n, 2]`, height and width of each image, 0 where the file gives none.
        image_id_of: The id of each annotation's image, `[m]`.
        category_ids: The id of each annotation's category, `[m]`.
        annotation_ids: The id of each annotation, `[m]`; its index where it has none.
        boxes: float64 `[4 m]`, x1, y1, x2, y2 of each annotation in pixels.
        areas: float64 `[m]`, area of each annotation in pixels.
        crowd: int8 `[m]`, whether `iscrowd` is set.
        difficult: int8 `[m]`, whether `ignore` is set.
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
    category_names: dict[int, str] = field(default_factory=dict)
    supercategories: set[Any] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    ambiguous_ids: set[Id] = field(default_factory=set)
    _flat_sizes: MutableSequence[int] = field(default_factory=lambda: array.array("q"))

    def take_entry(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        """Keep what is needed of an image or an annotation, and return any other JSON object as it is."""
        if "image_id" in entry and "file_name" not in entry:
            self._take_annotation(entry)
            return None
        if "bbox" in entry and "category_id" in entry:
            item = f"annotation {entry.get('id')}"
            self._add_bad("unknown image", item, f"{item}: it has no image_id", "skipped; add the id of its image")
            return None
        if "file_name" not in entry and {"id", "width", "height"} <= entry.keys():
            item = f"image {entry['id']}"
            self._add_bad("no file name", item, f"{item}: it has no file_name", "skipped; add the name of its file")
            return None
        if "file_name" in entry and "id" in entry:
            self.image_ids.append(_hashable_id(entry["id"]))
            self.file_names.append(str(entry["file_name"]).replace("\\", "/"))
            self._flat_sizes.extend((_pixels(entry.get("height")), _pixels(entry.get("width"))))
            return None
        return entry

    def finish(self) -> None:
        """Turn the sizes into an array and resolve images that are listed several times, after all entries are taken.

        Raises:
            RetinueError: No image has an id of its own.
        """
        self.sizes = np.array(self._flat_sizes, np.int32).reshape(-1, 2)
        self._flat_sizes = array.array("q")
        _resolve_repeated_images(self)

    def _add_bad(self, kind: str, item: str, reason: str, action: str) -> None:
        self.findings.append(Finding(INVALID, kind, self.path, item, reason, action))

    def _take_annotation(self, entry: Mapping[str, Any]) -> None:
        box = entry.get("bbox")
        item = f"annotation {entry.get('id')}"
        if box is None or "category_id" not in entry:
            reason = f"{item}: it has no {'bbox' if box is None else 'category_id'}"
            self.findings.append(Finding(WARNING, NO_BOX, self.path, item, reason, "skipped; add it"))
            return
        try:
            x, y, width, height = map(float, box)
        except (TypeError, ValueError):
            reason = f"{item}: its bbox is {json_text(box)[:60]}, not x, y, width, height"
            self._add_bad("not a box", item, reason, "skipped; correct it")
            return
        area = entry.get("area")
        self.boxes.extend((x, y, x + width, y + height))
        self.areas.append(area if isinstance(area, int | float) else width * height)
        self.image_id_of.append(_hashable_id(entry["image_id"]))
        self.category_ids.append(_hashable_id(entry["category_id"]))
        self.annotation_ids.append(entry.get("id", len(self.annotation_ids)))
        self.crowd.append(_is_set(entry.get("iscrowd")))
        self.difficult.append(_is_set(entry.get("ignore")))


def parse_coco_file(path: str) -> CocoFile:
    """Parse a COCO file.

    Args:
        path: The JSON file.

    Raises:
        RetinueError: It can't be read, is not JSON or not a COCO file of instances, or its categories contradict each
            other.
    """
    parsed = CocoFile(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.loads(file.read(), object_hook=parsed.take_entry)
    except OSError as error:
        raise RetinueError(f"{path}: this file can't be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise RetinueError(f"{path}: this is not JSON ({error}); export the annotations again") from None
    if not isinstance(content, dict) or not parsed.file_names or not isinstance(content.get("categories"), list):
        raise RetinueError(
            f"{path}: this is not a COCO file, which has images with a file_name, annotations, and categories; "
            "convert it, or give a folder or a CSV with the columns file,x1,y1,x2,y2,label"
        )
    num_without_box = sum(finding.kind == NO_BOX for finding in parsed.findings)
    if num_without_box and not parsed.annotation_ids:
        raise RetinueError(
            f"{path}: none of its {num_without_box:,} annotations has a bbox and a category_id; for detection give "
            "the file of instances"
        )
    _parse_categories(parsed, content["categories"])
    parsed.finish()
    return parsed


def json_text(value: Any) -> str:
    """Return a value as JSON text, for messages."""
    return json.dumps(value)


def _parse_categories(parsed: CocoFile, categories: list[Any]) -> None:
    for entry in categories:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int) or "name" not in entry:
            raise RetinueError(f"{parsed.path}: the category {json_text(entry)[:80]} lacks an id or a name; add it")
        if entry["id"] in parsed.category_names:
            raise RetinueError(f"{parsed.path}: two categories have the id {entry['id']}; give one of them another id")
        parsed.category_names[entry["id"]] = str(entry["name"])
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
    for image, names in names_of.items():
        if len(set(names)) == 1:
            item, action = f"image {image}", "used once; remove the other entries"
            reason = f"{item}: {names[0]} is listed {len(names)} times"
            parsed.findings.append(Finding(WARNING, "image listed twice", parsed.path, item, reason, action))
            continue
        parsed.ambiguous_ids.add(image)
        num_boxes = parsed.image_id_of.count(image)
        for name in dict.fromkeys(names):
            others = " and ".join(other for other in dict.fromkeys(names) if other != name)
            reason = f"image {image}: duplicate image id, {name} and {others} have it"
            action = f"skipped, with its {num_boxes:,} boxes, which may be of either; number the images anew"
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
    """Return a height or a width, 0 for what can't be one."""
    return value if isinstance(value, int) and 0 < value < 2**31 else 0


def _hashable_id(value: Any) -> Id:
    """Return an id as it is, and a value that can't be one (for example a list) as its text, which is unknown then."""
    return value if isinstance(value, int | str) else json_text(value)


def _is_set(flag: Any) -> bool:
    """Return whether a flag is set, also where it is written as text: "0" is not set."""
    return flag.strip().lower() not in ("", "0", "false", "no") if isinstance(flag, str) else bool(flag)
