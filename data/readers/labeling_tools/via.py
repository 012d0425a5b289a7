"""VIA, the VGG Image Annotator, 1 and 2: its projects, and its exports as JSON and as CSV."""

import csv
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from retinue.data.finding import NOTE, Finding
from retinue.data.readers.explanation import Explanation
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.annotated_images import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationFile,
    clean_name,
    describe_shape_error,
    make_object,
)
from retinue.data.readers.labeling_tools.annotation_files import Tool, explain_tool, explain_tool_file
from retinue.data.readers.labeling_tools.json_files import describe_json_error, json_files, json_kind, load_json
from retinue.data.readers.labeling_tools.outlines import (
    ellipse_outline,
    parse_points,
    rectangle_outline,
    rotate_outline,
)

TOOL = Tool("via", "annotations of VIA")
CLASS_ATTRIBUTES = ("class", "label", "name", "type", "category", "class_name", "object", "object_name")
ABOUT_ALL = 0.9  # an attribute that this fraction of the most regions has is a candidate for the class, too
ONLY_CLASS = "object"  # the class of regions without attributes
SHAPE_COLUMN, ATTRIBUTE_COLUMN = "region_shape_attributes", "region_attributes"

Region = Mapping[str, Any]


def explain(tree: FileTree) -> list[Explanation]:
    """Return what VIA's files explain of a source."""
    tables = [path for path in (tree.path(*file) for file in tree.files(".csv")) if _is_via_csv(path)]
    return explain_tool(TOOL, tree, [*json_files(tree, "via", "via 3"), *tables], parse)


def explain_file(path: str) -> Explanation | None:
    """Return what a file of VIA explains, or None if it is not one."""
    return explain_tool_file(TOOL, path, parse)


def parse(path: str) -> AnnotationFile | None:
    """Read a project, a JSON or a CSV of VIA, or return None for another file."""
    if path.lower().endswith(".csv"):
        return _parse_csv(path) if _is_via_csv(path) else None
    kind = json_kind(path) if path.lower().endswith(".json") else ""
    if kind not in ("via", "via 3"):
        return None
    try:
        content = load_json(path)
    except (OSError, ValueError) as error:
        return AnnotationFile(path, problem=f"{path}: {describe_json_error(error)}")
    if not isinstance(content, dict):
        return None
    if kind == "via 3":
        reason = "this is a project of VIA 3; export it there as COCO, and give that file"
        return AnnotationFile(path, problem=f"{path}: {reason}")
    entries = content.get("_via_img_metadata", content)
    entries = list(entries.values()) if isinstance(entries, dict) else []
    entries = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("filename"), str)]
    if not entries:
        return None
    return _read_entries(path, [(entry["filename"], _regions_of(entry)) for entry in entries])


def _is_via_csv(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return SHAPE_COLUMN.encode() in file.readline(4096)
    except OSError:
        return False


def _parse_csv(path: str) -> AnnotationFile:
    regions: dict[str, list[Region]] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                name = row.get("#filename") or row.get("filename")
                if not name:
                    continue
                shape, attributes = json.loads(row[SHAPE_COLUMN] or "{}"), json.loads(row.get(ATTRIBUTE_COLUMN) or "{}")
                listed = regions.setdefault(name, [])
                if shape:
                    listed.append({"shape_attributes": shape, "region_attributes": attributes})
    except (OSError, UnicodeDecodeError) as error:
        return AnnotationFile(path, problem=f"{path}: {describe_json_error(error)}")
    except (ValueError, TypeError, KeyError, RecursionError, csv.Error) as error:
        return AnnotationFile(path, problem=f"{path}: this is not a CSV of VIA ({error}); export it again")
    return _read_entries(path, regions.items())


def _regions_of(entry: Mapping[str, Any]) -> list[Region]:
    """Return the regions of an image: a list in VIA 2, a dict by number in VIA 1."""
    regions = entry.get("regions") or []
    regions = list(regions.values()) if isinstance(regions, dict) else regions
    return [region for region in regions if isinstance(region, dict)] if isinstance(regions, list) else []


def _read_entries(path: str, entries: Iterable[tuple[str, list[Region]]]) -> AnnotationFile:
    """Read the images and their regions.

    Args:
        path: The file.
        entries: The name and the regions of each image.
    """
    entries = list(entries)
    result = AnnotationFile(path)
    attribute = _class_attribute(result, [region for _, regions in entries for region in regions])
    if result.problem:
        return result
    num_points = 0
    for name, regions in entries:
        location = f"{name} in {os.path.basename(path)}"
        objects = []
        for number, region in enumerate(regions, 1):
            shape = region.get("shape_attributes")
            if isinstance(shape, dict) and shape.get("name") == "point":
                num_points += 1
                continue
            try:
                objects.append(_parse_region(shape, _class_of(region, attribute), number))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                result.add_invalid_object(path, f"region {number} of {location}", describe_shape_error(error))
        result.images.append(AnnotatedImage(name, tuple(objects), image_id=name, location=location))
    result.add_shapes_without_size("points", num_points)
    return result


def _class_attribute(file: AnnotationFile, regions: list[Region]) -> str:
    """Return the attribute that is the class of regions, "" if they have none.

    It is the one that about all regions have; of several, the only one with a usual name. If this does not decide, the
    file gets a problem.
    """
    counts = Counter(
        name
        for region in regions
        if isinstance(region.get("region_attributes"), dict)
        for name, value in region["region_attributes"].items()
        if value not in ("", None, {}, [])
    )
    if not counts:
        if regions:
            reason = "no region has an attribute that names its class"
            finding = Finding(NOTE, "no class names", file.path, "", reason, f"all are of one class, {ONLY_CLASS}")
            file.findings.append(finding)
        return ""
    most = max(counts.values())
    candidates = [name for name, count in counts.items() if count >= ABOUT_ALL * most]
    usual = [name for name in candidates if name.strip().lower() in CLASS_ATTRIBUTES]
    if len(candidates) > 1 and len(usual) != 1:
        file.problem = (
            f"{file.path}: the regions have the attributes {', '.join(sorted(candidates))}, and nothing tells which of "
            "them is the class; name that one class in VIA, or remove the others"
        )
        return ""
    chosen = candidates[0] if len(candidates) == 1 else usual[0]
    if len(counts) > 1:
        others = ", ".join(sorted(set(counts) - {chosen}))
        reason = f"the attribute {chosen} is taken as the class, not {others}"
        file.findings.append(Finding(NOTE, "class attribute", file.path, chosen, reason, "the others are ignored"))
    return chosen


def _class_of(region: Region, attribute: str) -> str:
    """Return the class of a region.

    Raises:
        ValueError: It has none, or several.
    """
    if not attribute:
        return ONLY_CLASS
    value = (region.get("region_attributes") or {}).get(attribute)
    if isinstance(value, dict):  # check boxes
        values = [name for name, is_set in value.items() if is_set]
        if len(values) > 1:
            raise ValueError(f"its attribute {attribute} has several values, {', '.join(values)}")
        value = values[0] if values else ""
    name = clean_name("" if value is None else value)
    if not name:
        raise ValueError(f"its attribute {attribute} is empty")
    return name


def _parse_region(shape: Any, name: str, number: int) -> AnnotatedObject:
    """Return the object of a region. A polyline is a closed outline.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: It is not one.
    """
    kind = shape["name"]
    if kind == "rect":
        x, y, width, height = (float(shape[key]) for key in ("x", "y", "width", "height"))
        return make_object(name, number, [rectangle_outline(x, y, x + width, y + height)], is_rectangle=True)
    if kind == "circle":
        x, y, radius = (float(shape[key]) for key in ("cx", "cy", "r"))
        return make_object(name, number, [ellipse_outline(x, y, radius, radius)])
    if kind == "ellipse":
        x, y, radius_x, radius_y = (float(shape[key]) for key in ("cx", "cy", "rx", "ry"))
        outline = ellipse_outline(x, y, radius_x, radius_y)
        return make_object(
            name, number, [rotate_outline(outline, (x, y), math.degrees(float(shape.get("theta") or 0)))]
        )
    if kind in ("polygon", "polyline"):
        points = parse_points(np.array([shape["all_points_x"], shape["all_points_y"]], np.float64).T)
        return make_object(name, number, [points], is_open=len(points) < 3)
    raise ValueError(f"{kind!r} is not a shape that is read")
