"""The outlines of the shapes that labeling tools know, as polygons in pixels, and the boxes around them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

Box = tuple[float, float, float, float]

NUM_ELLIPSE_POINTS = 72  # a multiple of 4, so that the outline of an upright ellipse touches its box


def rectangle_outline(x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    """Return the corners of a rectangle, float64 `[4, 2]`, from any two opposite ones."""
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)


def ellipse_outline(center_x: float, center_y: float, radius_x: float, radius_y: float) -> np.ndarray:
    """Return points of an upright ellipse, float64 `[72, 2]`.

    Raises:
        ValueError: A radius is negative.
    """
    if radius_x < 0 or radius_y < 0:
        raise ValueError("a radius is negative")
    angles = np.arange(NUM_ELLIPSE_POINTS) * 2 * np.pi / NUM_ELLIPSE_POINTS
    return np.column_stack([center_x + radius_x * np.cos(angles), center_y + radius_y * np.sin(angles)])


def rotate_outline(outline: np.ndarray, center: Sequence[float], degrees: float) -> np.ndarray:
    """Rotate a polygon clockwise, as it is seen.

    Args:
        outline: float64 `[k, 2]`, x and y in pixels.
        center: x and y of the point that stays.
        degrees: The angle.
    """
    if not degrees:
        return outline
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return (outline - center) @ np.array([[cosine, sine], [-sine, cosine]]) + center


def parse_points(points: ArrayLike) -> np.ndarray:
    """Return pairs of numbers as float64 `[k, 2]`.

    Raises:
        ValueError, TypeError: They are not pairs of finite numbers, or there is none.
    """
    outline = np.asarray(points, np.float64)
    if outline.ndim != 2 or outline.shape[1] != 2 or not len(outline) or not np.isfinite(outline).all():
        raise ValueError("its points are not pairs of numbers")
    return outline


def bounds(outlines: Sequence[np.ndarray]) -> Box:
    """Return the box around polygons, x1, y1, x2, y2."""
    points = outlines[0] if len(outlines) == 1 else np.concatenate(outlines)
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x1, y1, x2, y2
