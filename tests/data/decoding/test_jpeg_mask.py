"""Masks that were saved as JPEG: black and white are restored, and anything else is not."""

import io

import numpy as np
import pytest
from PIL import Image

from retinue.data.decoding.jpeg_mask import threshold_jpeg

HEIGHT, WIDTH = 64, 80


def shapes(*values):
    """Return a disk for each value, side by side on black, uint8 [64, 80]."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    width = WIDTH // len(values)
    for number, value in enumerate(values):
        center = width * number + width / 2
        mask[(yy - 32) ** 2 + (xx - center) ** 2 < (width * 0.45) ** 2] = value
    return mask


def as_jpeg(pixels, quality=75):
    """Return the pixels that a JPEG of these pixels is decoded to."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content))


@pytest.mark.parametrize("quality", [50, 66, 75, 90, 100])
@pytest.mark.parametrize("as_rgb", [False, True])
def test_black_and_white_are_restored(quality, as_rgb):
    mask = shapes(255)
    decoded = as_jpeg(np.dstack([mask] * 3) if as_rgb else mask, quality)
    assert (threshold_jpeg(decoded) == mask).all()


def test_a_mask_of_one_value_is_restored():
    for value in (0, 255):
        mask = np.full((HEIGHT, WIDTH), value, np.uint8)
        assert (threshold_jpeg(as_jpeg(mask)) == mask).all()


@pytest.mark.parametrize("values", [(15, 255), (1, 255), (127, 255), (200,), (240, 255)])
def test_other_values_are_not_taken_for_black_or_white(values):
    assert threshold_jpeg(as_jpeg(shapes(*values))) is None


def test_masks_that_were_resized_with_interpolation_are_not_taken():
    small = Image.fromarray(shapes(255)).resize((20, 16), Image.Resampling.BILINEAR)
    assert threshold_jpeg(as_jpeg(np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)))) is None


def test_colors_and_masks_without_an_area_of_one_value_are_not_taken():
    assert threshold_jpeg(as_jpeg(np.dstack([shapes(255), shapes(0), shapes(0)]))) is None
    assert threshold_jpeg(as_jpeg(shapes(255)[:6])) is None
