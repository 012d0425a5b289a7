"""Tree crowns from the air: real pictures with boxes that a package carries, cut into tiles, as a COCO folder.

The pictures and boxes are those of NEON (Weinstein et al. 2020, "DeepForest"): two sites of Yellowstone. The model
learns on one of them but for a strip, which shows what it can do there; the other site shows what that is worth
elsewhere.
"""

import json
import os

import numpy as np
from PIL import Image

from retinue.data.readers.voc import read_voc
from retinue.data.storage.atomic_files import atomic_path, atomic_write
from retinue.pipeline.demos.assets import package_data

LEARNED, OTHER = "2019_YELL_2_528000_4978000_image_crop2.png", "2019_YELL_2_541000_4977000_image_crop.png"
STRIP = 0.2  # of the first site's height, at its lower end
TILE, STEP = 400, 300  # pixels; training tiles overlap, so that few trees are always cut
LEAST_VISIBLE = 0.5  # of a crown; less is not annotated in a tile


def tree_crowns(folder):
    """Fetch the pictures, once, and write the tiles: `folder/images/<split>/*.png` and `folder/annotations/*.json`.

    Splits: train and val, the strip, of the first site; test, the other site. Returns `folder`. Raises RetinueError
    when the package can't be fetched.
    """
    photos = package_data(
        "deepforest",
        "2.1.0",
        "deepforest/data",
        "4 pictures of trees from the air with 951 boxes, 21 MB",
        "MIT",
    )
    return write_tiles(photos, folder)


def write_tiles(photos, folder):
    """Cut the two pictures in `photos`, which has a VOC XML file beside each, into tiles."""
    records = {os.path.basename(record["file"]): record for record in read_voc(photos)}
    with Image.open(records[LEARNED]["file"]) as picture:
        width, height = picture.size
    with Image.open(records[OTHER]["file"]) as picture:
        other = picture.size
    above = round((1 - STRIP) * height)
    _write_split(folder, "train", records[LEARNED], _overlapping(width, above))
    _write_split(folder, "val", records[LEARNED], _beside_each_other(width, height - above, above))
    _write_split(folder, "test", records[OTHER], _beside_each_other(*other))
    return folder


def cut_boxes(boxes, window):
    """The boxes float32 `[m, 4]` that can be seen in `window` (x1, y1, x2, y2), clipped, in its own pixels."""
    window = np.asarray(window, np.float32)
    clipped = np.clip(boxes.reshape(-1, 2, 2), window[:2], window[2:]).reshape(-1, 4)
    areas = [(some[:, 2:] - some[:, :2]).prod(axis=1) for some in (clipped, boxes)]
    return clipped[areas[0] >= LEAST_VISIBLE * areas[1]] - np.tile(window[:2], 2)


def _overlapping(width, height):
    """Windows of TILE x TILE pixels, about STEP apart, that cover the upper part of a picture."""
    columns, rows = (
        np.linspace(0, side - TILE, max(1, -(-(side - TILE) // STEP) + 1)).round().astype(int)
        for side in (width, height)
    )
    return [(x, y, x + TILE, y + TILE) for y in rows.tolist() for x in columns.tolist()]


def _beside_each_other(width, height, top=0):
    """Windows of about TILE x TILE pixels that cover an area, each place once."""
    x, y = (
        np.linspace(0, side, max(1, round(side / TILE)) + 1).round().astype(int).tolist() for side in (width, height)
    )
    return [
        (x[column], top + y[row], x[column + 1], top + y[row + 1])
        for row in range(len(y) - 1)
        for column in range(len(x) - 1)
    ]


def _write_split(folder, split, record, windows):
    images, annotations = [], []
    with Image.open(record["file"]) as opened:
        picture = opened.convert("RGB")
    for number, window in enumerate(windows, 1):
        name = f"{number:03d}.png"
        with atomic_path(os.path.join(folder, "images", split, name)) as path:
            picture.crop(window).save(path)
        sides = {"width": window[2] - window[0], "height": window[3] - window[1]}
        images.append({"id": number, "file_name": name} | sides)
        for x1, y1, x2, y2 in cut_boxes(record["boxes"], window).tolist():
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": 1} | box)
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "tree"}]}
    atomic_write(os.path.join(folder, "annotations", f"instances_{split}.json"), json.dumps(content))
