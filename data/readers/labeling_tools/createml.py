"""CreateML: one JSON file with a list of images, whose objects have a label and the center and size of a box."""

import os
from typing import Any

from retinue.data.readers.explanation import Explanation
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.annotated_images import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationFile,
    describe_shape_error,
    make_object,
)
from retinue.data.readers.labeling_tools.annotation_files import Tool, explain_tool, explain_tool_file
from retinue.data.readers.labeling_tools.json_files import describe_json_error, json_files, json_kind, load_json
from retinue.data.readers.labeling_tools.outlines import parse_points, rectangle_outline

TOOL = Tool("createml", "annotations of CreateML")
IMAGE_KEYS = ("image", "imagefilename", "filename")  # Apple's, RectLabel's and others'
ANNOTATION_KEYS = ("annotations", "annotation")


def explain(tree: FileTree) -> list[Explanation]:
    """Return what CreateML's files explain of a source."""
    return explain_tool(TOOL, tree, json_files(tree, "createml"), parse)


def explain_file(path: str) -> Explanation | None:
    """Return what a file of CreateML explains, or None if it is not one."""
    return explain_tool_file(TOOL, path, parse)


def parse(path: str) -> AnnotationFile | None:
    """Read a file of CreateML, or return None for another file."""
    if not path.lower().endswith(".json") or json_kind(path) != "createml":
        return None
    try:
        content = load_json(path)
    except (OSError, ValueError) as error:
        return AnnotationFile(path, problem=f"{path}: {describe_json_error(error)}")
    result = AnnotationFile(path)
    for entry in content if isinstance(content, list) else ():
        name = next((entry[key] for key in IMAGE_KEYS if key in entry), None) if isinstance(entry, dict) else None
        annotations = next((entry[key] for key in ANNOTATION_KEYS if key in entry), None) if name else None
        if not isinstance(name, str) or not isinstance(annotations, list):
            return None
        location = f"{name} in {os.path.basename(path)}"
        objects = []
        for number, annotation in enumerate(annotations, 1):
            try:
                objects.append(_parse_annotation(annotation, number))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                result.add_invalid_object(path, f"annotation {number} of {location}", describe_shape_error(error))
        result.images.append(AnnotatedImage(name, tuple(objects), image_id=name, location=location))
    return result if result.images else None


def _parse_annotation(annotation: Any, number: int) -> AnnotatedObject:
    """Return the object of an annotation, whose coordinates are the center and the size in pixels.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: It is not one.
    """
    name, sides = annotation["label"], annotation["coordinates"]
    if not isinstance(name, str) or not name.strip():
        raise ValueError("it has no label")
    points = parse_points([[sides["x"], sides["y"]], [sides["width"], sides["height"]]])
    (x1, y1), (x2, y2) = (points[0] - points[1] / 2).tolist(), (points[0] + points[1] / 2).tolist()
    return make_object(name, number, [rectangle_outline(x1, y1, x2, y2)], is_rectangle=True)
