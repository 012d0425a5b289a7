"""Small detection data on disk, for the tests of readers, check and split."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def save_image(path: Path, size: tuple[int, int] = (100, 80), orientation: int = 1) -> Path:
    """Save an image of noise.

    Args:
        path: The file.
        size: Width and height in pixels as stored.
        orientation: EXIF's, 1 to 8.

    Returns:
        The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    seed = sum(str(path).encode())
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def save_coco(
    path: Path,
    images: Sequence[tuple[int, str]],
    annotations: Sequence[Sequence[Any]],
    categories: Sequence[tuple[int, str]] = ((1, "cat"), (7, "dog")),
) -> Path:
    """Save a COCO file.

    Args:
        path: The file.
        images: Id and file name of each image, which has 100 x 80 pixels.
        annotations: Id, image id, category id and bbox of each annotation, and optionally a dict of further fields.
        categories: Id and name of each category.

    Returns:
        The path.
    """
    content = {
        "images": [{"id": number, "file_name": name, "height": 80, "width": 100} for number, name in images],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": box} | dict(*fields)
            for number, image, category, box, *fields in annotations
        ],
        "categories": [{"id": number, "name": name} for number, name in categories],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
