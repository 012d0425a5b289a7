"""Box coding: a box as its shift and growth from an anchor or proposal (Girshick et al. 2014, appendix C)."""

import math

import tensorflow as tf

ANCHOR_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
PROPOSAL_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # one over the standard deviations .1, .1, .2, .2 of Fast R-CNN's targets
LARGEST_GROWTH = math.log(1000.0 / 16)  # of a side, as a logarithm, so that exp cannot overflow


def encode(boxes, references, weights):
    """tx = (x - xr) / wr, ty alike, tw = log(w / wr), th alike, of centres and sides, each times its weight.

    boxes, references: float32 `[..., 4]` in pixels. Returns float32 `[..., 4]`; finite for boxes without area, too.
    """
    centre, sides = _centre_and_sides(boxes)
    from_centre, from_sides = _centre_and_sides(references)
    shift = (centre - from_centre) / from_sides
    growth = tf.math.log(sides / from_sides)
    return tf.concat([shift, growth], -1) * tf.constant(weights)


def decode(deltas, references, weights):
    """The inverse of `encode`: float32 `[..., 4]` deltas and references -> boxes `[..., 4]` in pixels."""
    # Cut in two before they are divided: OpenVINO's int8 passes fail on a product that is cut afterwards.
    shift, growth = deltas[..., :2] / tf.constant(weights[:2]), deltas[..., 2:] / tf.constant(weights[2:])
    sides = references[..., 2:] - references[..., :2]
    centre = references[..., :2] + 0.5 * sides + shift * sides
    half = 0.5 * tf.exp(tf.minimum(growth, LARGEST_GROWTH)) * sides
    return tf.concat([centre - half, centre + half], -1)


def _centre_and_sides(boxes):
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * sides, tf.maximum(sides, 1e-3)
