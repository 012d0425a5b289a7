"""The losses, against values computed by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from retinue.tasks.detection import losses


def test_smooth_l1_is_quadratic_then_linear_and_continuous():
    values = losses.smooth_l1(tf.constant([0.0, 0.05, -0.05, 1 / 9, 1.0, -2.0]), 1 / 9)
    expected = [0, 0.5 * 0.05**2 * 9, 0.5 * 0.05**2 * 9, 1 / 18, 1 - 1 / 18, 2 - 1 / 18]
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_objectness_loss_is_the_mean_over_the_sampled_anchors():
    loss = losses.objectness_loss(
        tf.constant([[0.0, 2.0, 50.0]]), tf.constant([[1.0, 0.0, 0.0]]), tf.constant([[1.0, 1.0, 0.0]])
    )
    assert loss.numpy() == pytest.approx([(math.log(2) + math.log(1 + math.exp(2))) / 2], rel=1e-6)


def test_class_loss_equals_a_value_computed_by_hand():
    logits = tf.constant([[[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]]])
    loss = losses.class_loss(logits, tf.constant([[2, 0]]), tf.ones([1, 2]))
    assert loss.numpy() == pytest.approx([(math.log(3) + math.log(1 + 2 * math.exp(-3))) / 2], rel=1e-6)


def test_box_loss_sums_over_positive_samples_but_divides_by_all():
    deltas = tf.constant([[[1.0, 0, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9]]])
    is_positive, weights = tf.constant([[1.0, 0.0, 1.0]]), tf.constant([[1.0, 1.0, 0.0]])
    loss = losses.box_loss(deltas, tf.zeros([1, 3, 4]), is_positive, weights, 1.0)
    assert loss.numpy() == pytest.approx([0.5 / 2])


def test_without_samples_the_loss_is_zero_even_beside_infinite_values():
    loss = losses.box_loss(tf.fill([1, 2, 4], math.inf), tf.zeros([1, 2, 4]), tf.zeros([1, 2]), tf.zeros([1, 2]), 1.0)
    assert loss.numpy() == [0.0]


def test_the_selected_deltas_are_those_of_the_class_of_each_proposal():
    deltas = tf.reshape(tf.range(24.0), [1, 2, 12])
    np.testing.assert_array_equal(
        losses.select_class_deltas(deltas, tf.constant([[2, 0]]))[0], [[8, 9, 10, 11], [12, 13, 14, 15]]
    )
