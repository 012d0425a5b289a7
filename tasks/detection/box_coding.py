"""Box coding: a box as its offset and scale relative to an anchor or proposal (Girshick et al. 2014, appendix C)."""

import math
from collections.abc import Sequence

import tensorflow as tf

ANCHOR_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
PROPOSAL_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # one over the standard deviations .1, .1, .2, .2 of Fast R-CNN's targets
MAX_LOG_SCALE = math.log(1000.0 / 16)  # largest logarithm of the scale of a side, so that exp cannot overflow


def encode_boxes(boxes: tf.Tensor, references: tf.Tensor, weights: Sequence[float]) -> tf.Tensor:
    """Encode boxes relative to anchors or proposals.

    tx = (x - xr) / wr, ty likewise, tw = log(w / wr), th likewise, of centers and sides, each multiplied by its weight.

    Args:
        boxes: float32 `[..., 4]`, x1, y1, x2, y2 in pixels.
        references: float32 `[..., 4]`, the anchors or proposals in pixels.
        weights: the four factors of tx, ty, tw and th.

    Returns:
        float32 `[..., 4]`, the deltas. They are finite for boxes without area, too.
    """
    center, sides = _center_and_sides(boxes)
    reference_center, reference_sides = _center_and_sides(references)
    offset = (center - reference_center) / reference_sides
    log_scale = tf.math.log(sides / reference_sides)
    return tf.concat([offset, log_scale], -1) * tf.constant(weights)


def decode_boxes(deltas: tf.Tensor, references: tf.Tensor, weights: Sequence[float]) -> tf.Tensor:
    """Decode deltas to boxes. This is the inverse of `encode_boxes`.

    Args:
        deltas: float32 `[..., 4]`.
        references: float32 `[..., 4]`, the anchors or proposals in pixels.
        weights: the four factors that `encode_boxes` was given.

    Returns:
        float32 `[..., 4]`, x1, y1, x2, y2 in pixels.
    """
    # The deltas are sliced before they are divided, because OpenVINO's int8 passes fail on a product that is sliced.
    offset, log_scale = deltas[..., :2] / tf.constant(weights[:2]), deltas[..., 2:] / tf.constant(weights[2:])
    sides = references[..., 2:] - references[..., :2]
    center = references[..., :2] + 0.5 * sides + offset * sides
    half = 0.5 * tf.exp(tf.minimum(log_scale, MAX_LOG_SCALE)) * sides
    return tf.concat([center - half, center + half], -1)


def _center_and_sides(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the centers, and the sides of at least 0.001 pixels, float32 `[..., 2]` each."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * sides, tf.maximum(sides, 1e-3)
