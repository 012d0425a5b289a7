"""Nuclei of cells under the microscope: one real photo with hand-drawn masks that a package carries, cut into tiles.

The photo is of the Data Science Bowl 2018 (Caicedo et al. 2019), as StarDist's package has it. What is learned from and
what is held out are different regions of it, and no tile reaches over their border.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from retinue.data.decoding.mask_file import voc_palette, write_mask
from retinue.data.storage.atomic_files import atomic_path, atomic_write
from retinue.pipeline.demos.assets import package_data

CLASSES = ("background", "nucleus")
BORDER = 384  # of 512 pixels: right of it is the test, below it, to the left, the validation
TILE, STEP = 128, 64  # pixels; training tiles overlap
HELD_OUT_TILE = 64


def nuclei(folder):
    """Fetch the photo, once, and write `folder/<split>/images/*.png`, `masks/*.png` and `folder/classes.txt`.

    Returns `folder`. Raises RetinueError when the package can't be fetched.
    """
    photos = package_data(
        "stardist",
        "0.9.2",
        "stardist/data/images",
        "a photo of 125 nuclei with their masks, 3 MB",
        "BSD-3-Clause",
    )
    photo, objects = (np.asarray(Image.open(photos / f"{name}2d.tif")) for name in ("img", "mask"))
    return write_tiles(photo.astype(np.uint8), (objects > 0).astype(np.uint8), folder)


def write_tiles(photo, mask, folder):
    """Cut a photo uint8 `[512, 512]` and its class ids uint8 `[512, 512]` into tiles."""
    folder, side = Path(folder), photo.shape[0]
    regions = {
        "train": (range(0, BORDER - TILE + 1, STEP), range(0, BORDER - TILE + 1, STEP), TILE),
        "val": (range(BORDER, side, HELD_OUT_TILE), range(0, BORDER, HELD_OUT_TILE), HELD_OUT_TILE),
        "test": (range(0, side, HELD_OUT_TILE), range(BORDER, side, HELD_OUT_TILE), HELD_OUT_TILE),
    }
    for split, (tops, lefts, tile) in regions.items():
        for top in tops:
            for left in lefts:
                window, name = (slice(top, top + tile), slice(left, left + tile)), f"{top:03d}-{left:03d}.png"
                with atomic_path(folder / split / "images" / name) as path:
                    Image.fromarray(photo[window]).convert("RGB").save(path)
                with atomic_path(folder / split / "masks" / name) as path:
                    write_mask(path, np.ascontiguousarray(mask[window]), voc_palette())
    atomic_write(folder / "classes.txt", "\n".join(CLASSES) + "\n")
    return folder
