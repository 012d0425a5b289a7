"""What a single file of YOLO data explains that is given itself: a data.yaml, a list of images, or a part of the data."""

import os

from retinue.data.dataset import Dataset
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.yolo_layout import explain_yaml


def explain_file(path: str) -> Explanation | None:
    """Return what a file of YOLO data explains, None if it is none."""
    if path.lower().endswith((".yaml", ".yml")):
        return explain_yaml(path)
    return None
