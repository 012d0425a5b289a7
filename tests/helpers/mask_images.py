"""Small photos and masks for the tests of segmentation data."""

import numpy as np
from PIL import Image

from retinue.data.decoding.mask_file import voc_palette, write_ids


def make_photo(path, size=(6, 8), orientation=None, seed=0):
    """A photo of `size`, (height, width) as stored."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    extra = {}
    if orientation:
        extra["exif"] = Image.Exif()
        extra["exif"][0x0112] = orientation
    Image.fromarray(pixels).save(path, **extra)
    return path


def make_mask(path, ids, palette=True):
    """Class ids, uint8 `[h, w]`, as a PNG with VOC's palette, or as grey levels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = np.asarray(ids, np.uint8)
    if palette:
        write_ids(path, ids, voc_palette())
    else:
        Image.fromarray(ids).save(path)
    return path


def halves(size=(6, 8), left=0, right=1):
    ids = np.full(size, left, np.uint8)
    ids[:, size[1] // 2 :] = right
    return ids
