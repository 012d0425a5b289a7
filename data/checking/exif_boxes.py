"""Boxes of a stored image, rotated with it when its EXIF orientation brings it upright."""

import numpy as np
from numpy.typing import ArrayLike

FLIPPED_AXES = {5: "", 6: "y", 7: "xy", 8: "x"}  # by orientation, before height and width are swapped


def rotate_boxes_upright(boxes: ArrayLike, stored_size: tuple[int, int], orientation: int) -> np.ndarray:
    """Return the boxes of a stored image in the upright image.

    Args:
        boxes: float `[m, 4]`, x1, y1, x2, y2 in pixels of the stored image.
        stored_size: Its height and width in pixels.
        orientation: EXIF's, 5 to 8: those that swap height and width.

    Returns:
        float32 `[m, 4]`, x1, y1, x2, y2 in pixels of the upright image.
    """
    height, width = stored_size
    x1, y1, x2, y2 = np.asarray(boxes, np.float32).reshape(-1, 4).T
    if "x" in FLIPPED_AXES[orientation]:
        x1, x2 = width - x2, width - x1
    if "y" in FLIPPED_AXES[orientation]:
        y1, y2 = height - y2, height - y1
    return np.stack([y1, x1, y2, x2], axis=1)
