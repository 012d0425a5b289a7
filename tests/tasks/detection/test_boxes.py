"""Area, IoU, clipping and coding of boxes, against values computed by hand."""

import math

import numpy as np
import tensorflow as tf

from retinue.tasks.detection import box_coding, boxes, numpy_boxes


def test_iou_and_area_equal_values_computed_by_hand():
    some = tf.constant([[[0.0, 0, 4, 4], [2, 2, 6, 6], [5, 5, 5, 9], [3, 3, 1, 1]]])
    others = tf.constant([[[0.0, 0, 4, 4], [2, 0, 4, 4], [7, 7, 7, 7]]])
    expected = [[1, 8 / 16, 0], [4 / 28, 4 / 20, 0], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(boxes.box_iou(some, others)[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(boxes.box_area(some)[0], [16, 16, 0, 0])


def test_numpy_and_tensorflow_compute_the_same_iou():
    random = np.random.default_rng(0)
    low = random.uniform(0, 50, (2, 20, 2))
    some, others = np.concatenate([low, low + random.uniform(0, 40, (2, 20, 2))], -1).astype(np.float32)
    expected = boxes.box_iou(tf.constant(some[None]), tf.constant(others[None]))[0]
    assert (expected.numpy() > 0).mean() > 0.1
    np.testing.assert_allclose(numpy_boxes.box_iou(some, others), expected, rtol=1e-5, atol=1e-6)


def test_the_covered_fraction_is_relative_to_the_first_box():
    fraction = numpy_boxes.covered_fraction([[0, 0, 4, 4], [0, 0, 2, 2], [1, 1, 1, 1]], [[0, 0, 2, 4], [8, 8, 9, 9]])
    np.testing.assert_array_equal(fraction, [[0.5, 0], [1, 0], [0, 0]])


def test_boxes_are_clipped_at_the_size_of_each_image():
    some = tf.constant([[[-3.0, -1, 50, 60]], [[5, 5, 50, 60]]])
    clipped = boxes.clip_boxes_to_image(some, tf.constant([[20, 30], [100, 40]]))
    np.testing.assert_array_equal(clipped[:, 0], [[0, 0, 30, 20], [5, 5, 40, 60]])


def test_both_sides_must_have_the_minimum_size():
    some = tf.constant([[0.0, 0, 4, 9], [0, 0, 3, 9], [0, 0, 9, 3]])
    np.testing.assert_array_equal(boxes.has_min_size(some, 4.0), [True, False, False])


def test_encoding_equals_values_computed_by_hand():
    """From (0, 0, 10, 20) to (5, 0, 25, 40): half a width and half a height further, and twice as wide and high."""
    reference, box = tf.constant([0.0, 0, 10, 20]), tf.constant([5.0, 0, 25, 40])
    deltas = box_coding.encode_boxes(box, reference, (10.0, 10.0, 5.0, 5.0))
    np.testing.assert_allclose(deltas, [10, 5, 5 * math.log(2), 5 * math.log(2)], rtol=1e-6)
    np.testing.assert_allclose(box_coding.decode_boxes(deltas, reference, (10.0, 10.0, 5.0, 5.0)), box, rtol=1e-6)


def test_decoding_inverts_encoding():
    random = np.random.default_rng(0)
    corner = random.uniform(0, 100, (50, 2, 2))
    some, references = (
        np.concatenate([corner[:, side], corner[:, side] + random.uniform(1, 80, (50, 2))], 1).astype(np.float32)
        for side in (0, 1)
    )
    for weights in (box_coding.ANCHOR_WEIGHTS, box_coding.PROPOSAL_WEIGHTS):
        deltas = box_coding.encode_boxes(tf.constant(some), tf.constant(references), weights)
        np.testing.assert_allclose(box_coding.decode_boxes(deltas, tf.constant(references), weights), some, atol=1e-3)


def test_the_scale_is_limited_and_empty_boxes_have_finite_deltas():
    reference = tf.constant([0.0, 0, 16, 16])
    large = box_coding.decode_boxes(tf.constant([0.0, 0, 99, 99]), reference, box_coding.ANCHOR_WEIGHTS)
    np.testing.assert_allclose(large, [8 - 500, 8 - 500, 8 + 500, 8 + 500], rtol=1e-5)
    empty = box_coding.encode_boxes(tf.zeros([4]), reference, box_coding.ANCHOR_WEIGHTS)
    assert np.isfinite(empty).all()
