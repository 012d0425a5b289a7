"""Small images and masks for the tests of segmentation data."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from retinue.data.decoding.mask_file import voc_palette, write_mask


def make_image(path: Path, size: tuple[int, int] = (6, 8), orientation: int | None = None, seed: int = 0) -> Path:
    """Save an image of noise.

    Args:
        path: The file.
        size: Height and width in pixels as stored.
        orientation: EXIF's, 1 to 8, or None for an image without EXIF.
        seed: Of the noise.

    Returns:
        The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    options: dict[str, Any] = {}
    if orientation:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = orientation
    Image.fromarray(pixels).save(path, **options)
    return path


def make_mask(path: Path, ids: ArrayLike, palette: bool = True) -> Path:
    """Save class ids as a mask.

    Args:
        path: The file.
        ids: uint8 `[h, w]`.
        palette: Whether the PNG has VOC's palette; without it the ids are gray levels.

    Returns:
        The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = np.asarray(ids, np.uint8)
    if palette:
        write_mask(path, ids, voc_palette())
    else:
        Image.fromarray(ids).save(path)
    return path


def halves(size: tuple[int, int] = (6, 8), left: int = 0, right: int = 1) -> np.ndarray:
    """Return a mask whose left and right half have one value each, uint8 `[h, w]` for a size (height, width)."""
    ids = np.full(size, left, np.uint8)
    ids[:, size[1] // 2 :] = right
    return ids
