"""Boxes: float32 `[..., 4]`, x1, y1, x2, y2 in pixels, x2 and y2 exclusive, so that a side is x2 - x1 without "+1"."""

import tensorflow as tf


def areas(boxes):
    """Areas in square pixels: `[..., 4]` -> `[...]`; 0 for a box that is turned inside out."""
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def intersections(boxes, others):
    """Areas that each box shares with each other one: `[n, a, 4]`, `[n, m, 4]` -> `[n, a, m]`."""
    boxes, others = boxes[:, :, None, :], others[:, None, :, :]
    width = tf.minimum(boxes[..., 2], others[..., 2]) - tf.maximum(boxes[..., 0], others[..., 0])
    height = tf.minimum(boxes[..., 3], others[..., 3]) - tf.maximum(boxes[..., 1], others[..., 1])
    return tf.maximum(width, 0.0) * tf.maximum(height, 0.0)


def overlaps(boxes, others):
    """Intersection over union (IoU) of each box with each other one: `[n, a, 4]`, `[n, m, 4]` -> `[n, a, m]`.

    Two boxes without area have 0, not an undefined quotient.
    """
    shared = intersections(boxes, others)
    union = areas(boxes)[:, :, None] + areas(others)[:, None, :] - shared
    return tf.math.divide_no_nan(shared, union)


def clip(boxes, size):
    """Cut boxes `[n, ..., 4]` at the edges of their images; size: int32 or float32 `[n, 2]`, height and width."""
    size = tf.cast(size, boxes.dtype)
    limit = tf.stack([size[:, 1], size[:, 0], size[:, 1], size[:, 0]], -1)
    limit = tf.reshape(limit, [-1] + [1] * (len(boxes.shape) - 2) + [4])
    return tf.minimum(tf.maximum(boxes, 0.0), limit)


def at_least(boxes, side):
    """Whether both sides of each box are at least `side` pixels: `[..., 4]` -> bool `[...]`."""
    return tf.reduce_all(boxes[..., 2:] - boxes[..., :2] >= side, -1)
