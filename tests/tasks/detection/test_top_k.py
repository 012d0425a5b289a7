"""The indices of the k largest values, against NumPy's sort and OpenVINO."""

import numpy as np
import openvino
import pytest
import tensorflow as tf

from retinue.tasks.detection.top_k import top_k_indices


@pytest.mark.parametrize("count", [1, 7, 100, 500])
def test_the_indices_are_those_of_a_sort(count):
    values = np.random.default_rng(count).normal(0, 5, (3, 500)).astype(np.float32)
    values[1] *= 1e-3
    expected = np.sort(np.argsort(-values, 1)[:, :count], 1)
    np.testing.assert_array_equal(top_k_indices(tf.constant(values), count), expected)


def test_of_equal_values_the_later_ones_are_left_out():
    values = tf.constant([[2.0, 1, 2, 3, 2, 2], [5, 5, 5, 5, 5, 5]])
    np.testing.assert_array_equal(top_k_indices(values, 3), [[0, 2, 3], [0, 1, 2]])


def test_larger_values_are_preferred_to_equal_ones_at_any_position():
    values = tf.constant([[-1.0, -1, -1, -1, -1, 0.9, 0.8], [0.9, -1, -1, -1, -1, -1, 0.8]])
    np.testing.assert_array_equal(top_k_indices(values, 4), [[0, 1, 5, 6], [0, 1, 2, 6]])


def test_openvino_gives_the_same_indices_for_any_batch_size():
    function = tf.function(lambda values: top_k_indices(values, tf.minimum(20, tf.shape(values)[1])), autograph=False)
    traced = function.get_concrete_function(values=tf.TensorSpec([None, None], tf.float32, "values"))
    compiled = openvino.compile_model(openvino.convert_model(traced, share_weights=False), "CPU")
    for shape in ((1, 400), (4, 90), (2, 12)):
        values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        np.testing.assert_array_equal(compiled([values])[0], function(values=tf.constant(values)))
