"""Tree crowns in aerial images: real images with boxes from a PyPI package, cut into tiles, as a COCO folder.

The images and boxes are those of NEON (Weinstein et al. 2020, "DeepForest"): two sites of Yellowstone. The model is
trained on one of them except for a strip, which measures what it achieves there. The other site measures what that is
worth elsewhere.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retinue.data.readers.voc.voc import read_voc
from retinue.data.storage.atomic_files import atomic_path, atomic_write
from retinue.pipeline.demos.assets import download_package_data

TRAINING_SITE = "2019_YELL_2_528000_4978000_image_crop2.png"
TEST_SITE = "2019_YELL_2_541000_4977000_image_crop.png"
VALIDATION_FRACTION = 0.2  # of the training site's height, at its lower end
TILE, STRIDE = 400, 300  # pixels; training tiles overlap, so that few trees are always cut
MIN_VISIBLE_FRACTION = 0.5  # of a crown's area; a crown with less in a tile is not annotated there

Window = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels


def tree_crowns(folder: str | os.PathLike[str]) -> Path:
    """Download the images once, and write the tiles: `folder/images/<split>/*.png` and `folder/annotations/*.json`.

    The splits are train and val, the strip, of the training site, and test, the other site.

    Returns:
        `folder`.

    Raises:
        RetinueError: The package could not be downloaded.
    """
    source = download_package_data(
        "deepforest",
        "2.1.0",
        "deepforest/data",
        "4 aerial images of trees with 951 boxes, 21 MB",
        "MIT",
    )
    return write_tiles(source, folder)


def write_tiles(source: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """Cut the images of both sites into tiles.

    Args:
        source: The folder with both images and a Pascal VOC XML file beside each.
        folder: The folder to write.

    Returns:
        `folder`.
    """
    records = {os.path.basename(record["file"]): record for record in read_voc(source)}
    with Image.open(records[TRAINING_SITE]["file"]) as image:
        width, height = image.size
    with Image.open(records[TEST_SITE]["file"]) as image:
        test_size = image.size
    training_height = round((1 - VALIDATION_FRACTION) * height)
    validation_windows = _adjacent_windows(width, height - training_height, training_height)
    _write_split(folder, "train", records[TRAINING_SITE], _overlapping_windows(width, training_height))
    _write_split(folder, "val", records[TRAINING_SITE], validation_windows)
    _write_split(folder, "test", records[TEST_SITE], _adjacent_windows(*test_size))
    return Path(folder)


def cut_boxes(boxes: np.ndarray, window: Sequence[int]) -> np.ndarray:
    """Select the boxes that are visible in a window.

    Args:
        boxes: float32 `[m, 4]`, x1, y1, x2, y2 in pixels of the image.
        window: x1, y1, x2, y2 in pixels of the image.

    Returns:
        float32 `[k, 4]`, clipped to the window, in pixels of the window.
    """
    corners = np.asarray(window, np.float32)
    clipped = np.clip(boxes.reshape(-1, 2, 2), corners[:2], corners[2:]).reshape(-1, 4)
    visible_areas, areas = ((each[:, 2:] - each[:, :2]).prod(axis=1) for each in (clipped, boxes))
    return clipped[visible_areas >= MIN_VISIBLE_FRACTION * areas] - np.tile(corners[:2], 2)


def _overlapping_windows(width: int, height: int) -> list[Window]:
    """Make windows of TILE x TILE pixels, about STRIDE apart, that cover the upper `height` rows of an image."""
    columns, rows = (
        np.linspace(0, side - TILE, max(1, -(-(side - TILE) // STRIDE) + 1)).round().astype(int)
        for side in (width, height)
    )
    return [(x, y, x + TILE, y + TILE) for y in rows.tolist() for x in columns.tolist()]


def _adjacent_windows(width: int, height: int, top: int = 0) -> list[Window]:
    """Make windows of about TILE x TILE pixels that cover every position of an area exactly once."""
    x, y = (
        np.linspace(0, side, max(1, round(side / TILE)) + 1).round().astype(int).tolist() for side in (width, height)
    )
    return [
        (x[column], top + y[row], x[column + 1], top + y[row + 1])
        for row in range(len(y) - 1)
        for column in range(len(x) - 1)
    ]


def _write_split(folder: str | os.PathLike[str], split: str, record: dict[str, Any], windows: Sequence[Window]) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with Image.open(record["file"]) as opened:
        image = opened.convert("RGB")
    for number, window in enumerate(windows, 1):
        name = f"{number:03d}.png"
        with atomic_path(os.path.join(folder, "images", split, name)) as path:
            image.crop(window).save(path)
        size = {"width": window[2] - window[0], "height": window[3] - window[1]}
        images.append({"id": number, "file_name": name} | size)
        for x1, y1, x2, y2 in cut_boxes(record["boxes"], window).tolist():
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": 1} | box)
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "tree"}]}
    atomic_write(os.path.join(folder, "annotations", f"instances_{split}.json"), json.dumps(content))
