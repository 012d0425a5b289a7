"""Nuclei of cells under the microscope: one real image with hand-drawn masks from a PyPI package, cut into tiles.

The image is one of the Data Science Bowl 2018 (Caicedo et al. 2019), as StarDist's package contains it. The splits are
different regions of it, and no tile crosses their borders.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from retinue.data.decoding.mask_file import voc_palette, write_mask
from retinue.data.storage.atomic_files import atomic_path, atomic_write
from retinue.pipeline.demos.assets import download_package_data

CLASSES = ("background", "nucleus")
BORDER = 384  # of 512 pixels: right of it is the test region; to its left, below it, the validation region
TILE, STRIDE = 128, 64  # pixels; training tiles overlap
EVALUATION_TILE = 64  # pixels


def nuclei(folder: str | os.PathLike[str]) -> Path:
    """Download the image once, and write `folder/<split>/images/*.png`, `masks/*.png` and `folder/classes.txt`.

    Returns:
        `folder`.

    Raises:
        RetinueError: The package could not be downloaded.
    """
    source = download_package_data(
        "stardist",
        "0.9.2",
        "stardist/data/images",
        "an image of 125 nuclei with their masks, 3 MB",
        "BSD-3-Clause",
    )
    image, objects = (np.asarray(Image.open(source / f"{name}2d.tif")) for name in ("img", "mask"))
    return write_tiles(image.astype(np.uint8), (objects > 0).astype(np.uint8), folder)


def write_tiles(image: np.ndarray, mask: np.ndarray, folder: str | os.PathLike[str]) -> Path:
    """Cut an image and its mask into tiles.

    Args:
        image: uint8 `[512, 512]`.
        mask: Class indices uint8 `[512, 512]`.
        folder: The folder to write.

    Returns:
        `folder`.
    """
    folder, side = Path(folder), image.shape[0]
    regions = {
        "train": (range(0, BORDER - TILE + 1, STRIDE), range(0, BORDER - TILE + 1, STRIDE), TILE),
        "val": (range(BORDER, side, EVALUATION_TILE), range(0, BORDER, EVALUATION_TILE), EVALUATION_TILE),
        "test": (range(0, side, EVALUATION_TILE), range(BORDER, side, EVALUATION_TILE), EVALUATION_TILE),
    }
    for split, (tops, lefts, tile) in regions.items():
        for top in tops:
            for left in lefts:
                window, name = (slice(top, top + tile), slice(left, left + tile)), f"{top:03d}-{left:03d}.png"
                with atomic_path(folder / split / "images" / name) as path:
                    Image.fromarray(image[window]).convert("RGB").save(path)
                with atomic_path(folder / split / "masks" / name) as path:
                    write_mask(path, np.ascontiguousarray(mask[window]), voc_palette())
    atomic_write(folder / "classes.txt", "\n".join(CLASSES) + "\n")
    return folder
