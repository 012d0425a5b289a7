"""Masks of two values that were saved as JPEG: where it is certain that there were only black and white, they are read.

Compression adds noise at the edges of a mask, and keeps areas of one value: a block of 8 x 8 pixels of one value is
decoded to this value, up to rounding. A mask whose areas all are 0 or 255 therefore had only these two values, and
every pixel is nearer to the value that it had. Ids of classes, such as 0, 15 and 255, leave areas of other values.
"""

import numpy as np

BLOCK = 8  # side in pixels of the blocks that JPEG compresses, ITU-T T.81, section A.1
DARK, BRIGHT = 1, 254  # rounding changes black and white by one level at most
THRESHOLD = 128
MIDDLE = (64, 192)  # levels that noise at the edges of black and white hardly reaches
MAX_MIDDLE_FRACTION = 0.002  # of the pixels; at JPEG's quality 50 they are fewer in masks that are not tiny


def threshold_jpeg(pixels: np.ndarray) -> np.ndarray | None:
    """Return the values 0 and 255 of a mask that was saved as JPEG; None if it is not certain that it had only these.

    Args:
        pixels: uint8 `[height, width]` or `[height, width, 3]`, as decoded.

    Returns:
        uint8 `[height, width]`.
    """
    if pixels.ndim == 3:
        if (pixels != pixels[:, :, :1]).any():
            return None
        pixels = pixels[:, :, 0]
    levels = _levels_of_areas(pixels)
    dark, bright = levels[levels <= DARK], levels[levels >= BRIGHT]
    is_binary = len(levels) == len(dark) + len(bright) and len(dark) <= 1 and len(bright) <= 1
    if not len(levels) or not is_binary or middle_fraction(pixels) > MAX_MIDDLE_FRACTION:
        return None
    return np.where(pixels >= THRESHOLD, 255, 0).astype(np.uint8)


def middle_fraction(pixels: np.ndarray) -> float:
    """Return the fraction of pixels that are neither nearly black nor nearly white."""
    return float(((pixels >= MIDDLE[0]) & (pixels < MIDDLE[1])).mean())


def _levels_of_areas(pixels: np.ndarray) -> np.ndarray:
    """Return the levels of the blocks of one level, each once."""
    rows, columns = (side // BLOCK for side in pixels.shape)
    blocks = pixels[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    low, high = blocks.min(axis=(1, 3)), blocks.max(axis=(1, 3))
    return np.unique(low[low == high])
