"""Operations on boxes in TensorFlow.

A box is x1, y1, x2, y2 in pixels. x2 and y2 are exclusive, so a side is x2 - x1, without "+ 1". The functions for NumPy
arrays are in numpy_boxes.py.
"""

import tensorflow as tf


def box_area(boxes: tf.Tensor) -> tf.Tensor:
    """Compute areas in square pixels: `[..., 4]` -> `[...]`. A box with a negative side has the area 0."""
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def box_intersection(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Compute the area of the intersection of each pair of boxes.

    Args:
        boxes: float32 `[n, a, 4]`.
        others: float32 `[n, m, 4]`.

    Returns:
        float32 `[n, a, m]` in square pixels.
    """
    boxes, others = boxes[:, :, None, :], others[:, None, :, :]
    width = tf.minimum(boxes[..., 2], others[..., 2]) - tf.maximum(boxes[..., 0], others[..., 0])
    height = tf.minimum(boxes[..., 3], others[..., 3]) - tf.maximum(boxes[..., 1], others[..., 1])
    return tf.maximum(width, 0.0) * tf.maximum(height, 0.0)


def box_iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Compute the intersection over union (IoU) of each pair of boxes.

    Args:
        boxes: float32 `[n, a, 4]`.
        others: float32 `[n, m, 4]`.

    Returns:
        float32 `[n, a, m]` from 0 to 1. Two boxes without area have 0, not an undefined quotient.
    """
    intersection = box_intersection(boxes, others)
    union = box_area(boxes)[:, :, None] + box_area(others)[:, None, :] - intersection
    return tf.math.divide_no_nan(intersection, union)


def clip_boxes_to_image(boxes: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Clip boxes at the edges of their images.

    Args:
        boxes: float32 `[n, ..., 4]`.
        size: int32 or float32 `[n, 2]`, height and width of the images.

    Returns:
        float32 `[n, ..., 4]`.
    """
    size = tf.cast(size, boxes.dtype)
    limit = tf.stack([size[:, 1], size[:, 0], size[:, 1], size[:, 0]], -1)
    limit = tf.reshape(limit, [-1] + [1] * (len(boxes.shape) - 2) + [4])
    return tf.minimum(tf.maximum(boxes, 0.0), limit)


def has_min_size(boxes: tf.Tensor, min_size: float) -> tf.Tensor:
    """Check whether both sides of each box have at least `min_size` pixels: `[..., 4]` -> bool `[...]`."""
    return tf.reduce_all(boxes[..., 2:] - boxes[..., :2] >= min_size, -1)
