import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue.backbones.normalization import BatchNormalization


def make_pair(**options):
    """Return our layer and that of Keras with the same weights, all different from their initial values."""
    pair = [
        kind(momentum=0.7, epsilon=1e-3, **options) for kind in (BatchNormalization, keras.layers.BatchNormalization)
    ]
    random = np.random.default_rng(1)
    for layer in pair:
        layer.build((None, 5, 4, 3))
    weights = [random.uniform(0.5, 2, weight.shape).astype("float32") for weight in pair[0].weights]
    for layer in pair:
        layer.set_weights(weights)
    return pair


def training_step(layer, x, upstream):
    """Return (output, gradient of x, gradients of the weights, moving statistics) of a training step."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = layer(x, training=True)
        loss = tf.reduce_sum(result * upstream)
    variables = [variable.value for variable in layer.trainable_weights]
    of_x, *of_weights = tape.gradient(loss, [x, *variables])
    return result, of_x, of_weights, [weight.numpy() for weight in layer.non_trainable_weights]


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}])
def test_a_training_step_equals_that_of_keras(options):
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(3, 2, (2, 5, 4, 3)), tf.float32)
    upstream = tf.constant(random.normal(size=(2, 5, 4, 3)), tf.float32)
    ours, theirs = (training_step(layer, x, upstream) for layer in make_pair(**options))
    for own, other in zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-5)


def test_a_training_step_equals_a_result_computed_by_hand():
    layer = BatchNormalization(momentum=0.5, epsilon=0)
    x = tf.reshape(tf.constant([1.0, 3.0, 5.0, 7.0]), (1, 2, 2, 1))  # mean 4, variance 5
    np.testing.assert_allclose(tf.reshape(layer(x, training=True), [4]), np.array([-3, -1, 1, 3]) / 5**0.5, rtol=1e-5)
    np.testing.assert_allclose([layer.moving_mean.numpy()[0], layer.moving_variance.numpy()[0]], [2, 3], rtol=1e-6)


def test_a_single_position_has_no_variance():
    layer = BatchNormalization(momentum=0.5)
    assert layer(tf.fill((1, 1, 1, 2), 8.0), training=True).numpy().tolist() == [[[[0, 0]]]]
    assert layer.moving_variance.numpy().tolist() == [0.5, 0.5]


def test_a_frozen_layer_and_inference_equal_those_of_keras():
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 4, 3)), tf.float32)
    ours, theirs = make_pair()
    np.testing.assert_array_equal(ours(x, training=False), theirs(x, training=False))
    before = ours.get_weights()
    ours.trainable = theirs.trainable = False
    np.testing.assert_array_equal(ours(x, training=True), theirs(x, training=True))
    np.testing.assert_array_equal(np.concatenate(before), np.concatenate(ours.get_weights()))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_statistics_of_16_bit_inputs_do_not_overflow(policy):
    layer = BatchNormalization(momentum=0, dtype=policy)
    result = layer(tf.reshape(tf.constant([-6e4, 6e4, -6e4, 6e4], tf.float16), (1, 2, 2, 1)), training=True)
    assert result.dtype == policy.removeprefix("mixed_")
    np.testing.assert_allclose(tf.reshape(result, [4]), [-1, 1, -1, 1], rtol=1e-2)
    assert layer.moving_variance.numpy()[0] == pytest.approx(3.6e9, rel=1e-2)
