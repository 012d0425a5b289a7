"""Overlaps of boxes in NumPy, for scores and pictures; the model has its own, in boxes.py."""

import numpy as np


def intersection(first, second):
    """Common area of each pair of boxes: `[m, 4]` and `[n, 4]`, x1, y1, x2, y2 -> float64 `[m, n]`."""
    first = np.asarray(first, np.float64).reshape(-1, 1, 4)
    second = np.asarray(second, np.float64).reshape(1, -1, 4)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    return np.maximum(sides, 0).prod(axis=-1)


def area(boxes):
    """`[m, 4]` -> float64 `[m]`."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def intersection_over_union(first, second):
    """`[m, 4]` and `[n, 4]` -> float64 `[m, n]`, 0 where both are empty."""
    common = intersection(first, second)
    union = area(first)[:, None] + area(second)[None, :] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def intersection_over_first(first, second):
    """The share of each first box that lies in each second one: `[m, 4]` and `[n, 4]` -> float64 `[m, n]`."""
    common, own = intersection(first, second), np.broadcast_to(area(first)[:, None], (len(first), len(second)))
    return np.divide(common, own, out=np.zeros_like(common), where=own > 0)
