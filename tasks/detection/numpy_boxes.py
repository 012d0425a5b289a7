"""Areas and IoU of boxes in NumPy, for scores and drawings. The model uses those in boxes.py."""

import numpy as np
from numpy.typing import ArrayLike


def box_area(boxes: ArrayLike) -> np.ndarray:
    """Compute areas in square pixels: `[m, 4]`, x1, y1, x2, y2 -> float64 `[m]`."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_intersection(boxes: ArrayLike, others: ArrayLike) -> np.ndarray:
    """Compute the area of the intersection of each pair of boxes: `[m, 4]` and `[n, 4]` -> float64 `[m, n]`."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 1, 4)
    others = np.asarray(others, np.float64).reshape(1, -1, 4)
    sides = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(boxes[..., :2], others[..., :2])
    return np.maximum(sides, 0).prod(axis=-1)


def box_iou(boxes: ArrayLike, others: ArrayLike) -> np.ndarray:
    """Compute the intersection over union (IoU) of each pair of boxes.

    Args:
        boxes: `[m, 4]`, x1, y1, x2, y2 in pixels.
        others: `[n, 4]`.

    Returns:
        float64 `[m, n]` from 0 to 1. Two boxes without area have 0.
    """
    intersection = box_intersection(boxes, others)
    union = box_area(boxes)[:, None] + box_area(others)[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def covered_fraction(boxes: ArrayLike, others: ArrayLike) -> np.ndarray:
    """Compute which fraction of each box lies inside each other box.

    Args:
        boxes: `[m, 4]`, x1, y1, x2, y2 in pixels.
        others: `[n, 4]`.

    Returns:
        float64 `[m, n]` from 0 to 1. A box without area has 0.
    """
    intersection = box_intersection(boxes, others)
    area = np.broadcast_to(box_area(boxes)[:, None], intersection.shape)
    return np.divide(intersection, area, out=np.zeros_like(intersection), where=area > 0)
