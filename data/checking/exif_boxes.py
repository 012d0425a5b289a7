"""Boxes of a stored picture, turned with it when it is brought upright by its EXIF orientation."""

import numpy as np

MIRRORED = {5: "", 6: "y", 7: "xy", 8: "x"}  # before height and width are swapped


def turn_upright(boxes, stored, orientation):
    """float `[m, 4]`, x1, y1, x2, y2 in pixels of the stored picture -> float32 `[m, 4]` in those of the upright one.

    stored: its (height, width). orientation: EXIF's, 5 to 8: those that swap height and width.
    """
    height, width = stored
    x1, y1, x2, y2 = np.asarray(boxes, np.float32).reshape(-1, 4).T
    if "x" in MIRRORED[orientation]:
        x1, x2 = width - x2, width - x1
    if "y" in MIRRORED[orientation]:
        y1, y2 = height - y2, height - y1
    return np.stack([y1, x1, y2, x2], axis=1)
