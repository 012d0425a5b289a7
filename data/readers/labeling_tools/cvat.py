"""CVAT's own format, "CVAT for images 1.1": one XML file with the images and their shapes."""

import os
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from retinue.data.finding import NOTE, Finding
from retinue.data.readers.explanation import Explanation
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.annotated_images import (
    MAX_PIXELS,
    AnnotatedImage,
    AnnotatedObject,
    AnnotationFile,
    Bitmap,
    describe_shape_error,
    make_bitmap_object,
    make_object,
    merge_group,
    parse_size,
)
from retinue.data.readers.labeling_tools.annotation_files import Tool, explain_tool, explain_tool_file
from retinue.data.readers.labeling_tools.outlines import (
    ellipse_outline,
    parse_points,
    rectangle_outline,
    rotate_outline,
)
from retinue.data.storage.file_names import split_of_name

TOOL = Tool("cvat", "annotations of CVAT")
HEAD = 65536  # bytes that are looked at
MAX_XML_FILES = 20
SHAPES = ("box", "polygon", "polyline", "ellipse", "mask", "cuboid")
WITHOUT_SIZE = ("points", "skeleton")
CUBOID_CORNERS = ("tl1", "bl1", "tr1", "br1", "tl2", "bl2", "tr2", "br2")


def explain(tree: FileTree) -> list[Explanation]:
    """Return what CVAT's files explain of a source."""
    folders = [
        (folder, [name for name in names if name.lower().endswith(".xml")]) for folder, names in tree.names.items()
    ]
    # VOC has a file for each image, and one of CVAT is not among hundreds of them.
    paths = [tree.path(folder, name) for folder, names in folders if len(names) <= MAX_XML_FILES for name in names]
    return explain_tool(TOOL, tree, paths, parse)


def explain_file(path: str) -> Explanation | None:
    """Return what a file of CVAT explains, or None if it is not one."""
    return explain_tool_file(TOOL, path, parse)


def parse(path: str) -> AnnotationFile | None:
    """Read an XML file of CVAT, or return None for another file."""
    if not path.lower().endswith(".xml") or not _looks_like_cvat(path):
        return None
    result = AnnotationFile(path)
    labels: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    num_tracks = 0
    try:
        for element in _elements(path):
            if element.tag == "meta":
                labels = [
                    (label.findtext("name") or "", label.findtext("type") or "") for label in element.iter("label")
                ]
            elif element.tag == "track":
                num_tracks += 1
            elif element.tag == "image":
                result.images.append(_parse_image(element, result, counts))
    except (OSError, ElementTree.ParseError, UnicodeError, LookupError) as error:  # the last: an unknown encoding
        return AnnotationFile(path, problem=f"{path}: its XML can't be read ({error}); export the annotations again")
    if num_tracks and not result.images:
        reason = f'it holds {num_tracks:,} tracks of "CVAT for video", whose frames are not files'
        result.problem = f'{path}: {reason}; export the task with its images as "CVAT for images 1.1" or COCO'
    for what in WITHOUT_SIZE:
        result.add_shapes_without_size("points" if what == "points" else "skeletons", counts.pop(what, 0))
    for tag, count in counts.items():
        reason = f"{count:,} elements named {tag} are not shapes that are read"
        result.findings.append(Finding(NOTE, "unknown shape", path, tag, reason, "ignored"))
    used = {entry.name for image in result.images for entry in image.objects}
    used |= {name for image in result.images for name in image.labels}
    of_points = {name for name, kind in labels if kind in WITHOUT_SIZE} | result.names_without_size
    result.classes = tuple(name for name, _ in labels if name in used or name not in of_points)
    return result


def _looks_like_cvat(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return b"<annotations" in head and any(tag in head for tag in (b"<image ", b"<track ", b"<version>", b"<meta>"))


def _elements(path: str) -> Iterator[ElementTree.Element]:
    """Yield the elements directly below the root, each released when the next one is read."""
    depth = 0
    for event, element in ElementTree.iterparse(path, ("start", "end")):
        depth += 1 if event == "start" else -1
        if event == "end" and depth == 1:
            yield element
            element.clear()


def _parse_image(element: ElementTree.Element, result: AnnotationFile, counts: Counter[str]) -> AnnotatedImage:
    """Return an image with its shapes in the order in which CVAT draws them.

    Args:
        element: The image.
        result: Receives findings.
        counts: Receives how many elements of each kind are no objects.
    """
    name = element.get("name", "")
    location = f"{name} in {os.path.basename(result.path)}"
    shapes: list[tuple[int, AnnotatedObject]] = []
    grouped: dict[tuple[str, str], int] = {}
    labels = []
    for number, shape in enumerate(element, 1):
        if shape.tag == "tag":
            labels.append(shape.get("label", ""))
            continue
        if shape.tag not in SHAPES:
            counts[shape.tag] += 1
            if shape.tag in WITHOUT_SIZE:
                result.names_without_size.add(shape.get("label", ""))
            continue
        try:
            entry, depth = _parse_shape(shape, number), int(shape.get("z_order") or 0)
        except (ValueError, TypeError, KeyError) as error:
            result.add_invalid_object(result.path, f"shape {number} of {location}", describe_shape_error(error))
            continue
        group = shape.get("group_id", "0")
        key = entry.name, group
        if group != "0" and shape.tag in ("polygon", "mask") and key in grouped:
            index = grouped[key]
            shapes[index] = shapes[index][0], merge_group([shapes[index][1], entry])
            continue
        if shape.tag in ("polygon", "mask"):
            grouped[key] = len(shapes)
        shapes.append((depth, entry))
    image_id = element.get("id", "")
    return AnnotatedImage(
        name=name,
        objects=tuple(entry for _, entry in sorted(shapes, key=lambda shape: shape[0])),
        labels=tuple(labels),
        image_id=int(image_id) if image_id.isdecimal() else name,
        location=location,
        size=parse_size(element.get("height"), element.get("width")),
        split=split_of_name(element.get("subset", "")),
    )


def _parse_shape(shape: ElementTree.Element, number: int) -> AnnotatedObject:
    """Return the object of a shape.

    Raises:
        ValueError, TypeError, KeyError: It is not one.
    """
    values = shape.attrib
    name = values.get("label", "").strip()
    if not name:
        raise ValueError("it has no label")
    flags = {(entry.get("name") or "").lower(): (entry.text or "").strip().lower() for entry in shape.iter("attribute")}
    options: dict[str, Any] = {"occluded": values.get("occluded") == "1"}
    rotation = float(values.get("rotation") or 0)
    if shape.tag == "mask":
        return make_bitmap_object(name, number, _decode_mask(values), **options)
    options["crowd"] = flags.get("is_crowd") == "true"
    if shape.tag == "box":
        x1, y1, x2, y2 = (float(values[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        outline = rotate_outline(rectangle_outline(x1, y1, x2, y2), ((x1 + x2) / 2, (y1 + y2) / 2), rotation)
        return make_object(name, number, [outline], is_rectangle=not rotation, **options)
    if shape.tag == "ellipse":
        x, y, radius_x, radius_y = (float(values[key]) for key in ("cx", "cy", "rx", "ry"))
        outline = rotate_outline(ellipse_outline(x, y, radius_x, radius_y), (x, y), rotation)
        return make_object(name, number, [outline], **options)
    if shape.tag == "cuboid":
        points = parse_points([[float(values[f"x{key}"]), float(values[f"y{key}"])] for key in CUBOID_CORNERS])
        return make_object(name, number, [points], is_open=True, **options)
    points = parse_points([[float(value) for value in pair.split(",")] for pair in values["points"].split(";")])
    if shape.tag == "polygon" and len(points) < 3:
        raise ValueError(f"a polygon of {len(points)} points")
    return make_object(name, number, [points], is_open=shape.tag == "polyline", **options)


def _decode_mask(values: Any) -> Bitmap:
    """Return the pixels of a mask, whose run lengths alternate between background and object, row by row.

    Raises:
        ValueError, KeyError: The run lengths do not fill its box.
    """
    left, top, width, height = (int(float(values[key])) for key in ("left", "top", "width", "height"))
    runs = [int(run) for run in values["rle"].split(",") if run.strip()]
    if min(runs, default=-1) < 0 or sum(runs) != width * height or width * height > MAX_PIXELS:
        raise ValueError("its run lengths do not fill its box")
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return Bitmap(left, top, pixels.reshape(height, width))
