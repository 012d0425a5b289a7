"""The objects of an image in one cell of JSON, as the metadata of Hugging Face's image folders have them.

Their boxes are x, y, width and height in pixels. Two structures are usual: `{"bbox": [[x, y, w, h], ...], "categories":
[0, ...]}`, and a list of `{"bbox": [x, y, w, h], "category": 0}`.
"""

import json
from typing import Any

CATEGORY_KEYS = ("categories", "category", "labels", "label", "category_id", "class", "classes")
BOX_KEYS = ("bbox", "bboxes", "boxes", "box")


def parse_objects(text: str) -> list[tuple[list[float], str]] | None:
    """Return the box (x, y, width, height) and the label of each object; None if the text is something else.

    The label is "" where the objects have none.
    """
    if not text:
        return []
    try:
        objects = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(objects, dict):
        boxes = next((objects[key] for key in BOX_KEYS if key in objects), None)
        labels = next((objects[key] for key in CATEGORY_KEYS if key in objects), None)
        if not isinstance(boxes, list) or not (labels is None or isinstance(labels, list)):
            return None
        pairs: list[tuple[Any, Any]] = list(zip(boxes, labels or [""] * len(boxes), strict=False))
        if len(pairs) < len(boxes):
            return None
    elif isinstance(objects, list) and all(isinstance(entry, dict) for entry in objects):
        pairs = [
            (
                next((entry[key] for key in BOX_KEYS if key in entry), None),
                next((entry[key] for key in CATEGORY_KEYS if key in entry), ""),
            )
            for entry in objects
        ]
    else:
        return None
    if not all(_is_box(box) and isinstance(label, str | int) for box, label in pairs):
        return None
    return [([float(number) for number in box], str(label)) for box, label in pairs]


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(type(number) in (int, float) for number in box)
