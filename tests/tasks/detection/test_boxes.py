"""Areas, overlaps, clipping and coding of boxes, by hand."""

import math

import numpy as np
import tensorflow as tf

from retinue.tasks.detection import box_coding
from retinue.tasks.detection import boxes as box_functions


def test_overlaps_by_hand():
    boxes = tf.constant([[[0.0, 0, 4, 4], [2, 2, 6, 6], [5, 5, 5, 9], [3, 3, 1, 1]]])
    others = tf.constant([[[0.0, 0, 4, 4], [2, 0, 4, 4], [7, 7, 7, 7]]])
    expected = [[1, 8 / 16, 0], [4 / 28, 4 / 20, 0], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(box_functions.overlaps(boxes, others)[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(box_functions.areas(boxes)[0], [16, 16, 0, 0])


def test_clip_is_by_each_images_own_size():
    boxes = tf.constant([[[-3.0, -1, 50, 60]], [[5, 5, 50, 60]]])
    clipped = box_functions.clip(boxes, tf.constant([[20, 30], [100, 40]]))
    np.testing.assert_array_equal(clipped[:, 0], [[0, 0, 30, 20], [5, 5, 40, 60]])


def test_at_least_looks_at_both_sides():
    boxes = tf.constant([[0.0, 0, 4, 9], [0, 0, 3, 9], [0, 0, 9, 3]])
    np.testing.assert_array_equal(box_functions.at_least(boxes, 4.0), [True, False, False])


def test_coding_by_hand():
    """From (0, 0, 10, 20) to (5, 0, 25, 40): half a width and half a height further, twice as wide and high."""
    reference, box = tf.constant([0.0, 0, 10, 20]), tf.constant([5.0, 0, 25, 40])
    deltas = box_coding.encode(box, reference, (10.0, 10.0, 5.0, 5.0))
    np.testing.assert_allclose(deltas, [10, 5, 5 * math.log(2), 5 * math.log(2)], rtol=1e-6)
    np.testing.assert_allclose(box_coding.decode(deltas, reference, (10.0, 10.0, 5.0, 5.0)), box, rtol=1e-6)


def test_decode_inverts_encode():
    random = np.random.default_rng(0)
    corner = random.uniform(0, 100, (50, 2, 2))
    boxes, references = (
        np.concatenate([corner[:, side], corner[:, side] + random.uniform(1, 80, (50, 2))], 1).astype(np.float32)
        for side in (0, 1)
    )
    for weights in (box_coding.ANCHOR_WEIGHTS, box_coding.PROPOSAL_WEIGHTS):
        deltas = box_coding.encode(tf.constant(boxes), tf.constant(references), weights)
        np.testing.assert_allclose(box_coding.decode(deltas, tf.constant(references), weights), boxes, atol=1e-3)


def test_growth_is_limited_and_empty_boxes_are_finite():
    reference = tf.constant([0.0, 0, 16, 16])
    grown = box_coding.decode(tf.constant([0.0, 0, 99, 99]), reference, box_coding.ANCHOR_WEIGHTS)
    np.testing.assert_allclose(grown, [8 - 500, 8 - 500, 8 + 500, 8 + 500], rtol=1e-5)
    empty = box_coding.encode(tf.zeros([4]), reference, box_coding.ANCHOR_WEIGHTS)
    assert np.isfinite(empty).all()
