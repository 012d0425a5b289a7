import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue.tasks.segmentation.context import context_module


def build(classes, kind, noise=0.0):
    scores = keras.Input((None, None, classes))
    return keras.Model(scores, context_module(scores, kind, noise))


@pytest.mark.parametrize("kind", ["basic", "large"])
def test_a_fresh_module_keeps_non_negative_scores(kind):
    x = np.random.default_rng(0).normal(size=(1, 9, 12, 3)).astype(np.float32)
    outputs = build(3, kind)(x)
    np.testing.assert_allclose(outputs, np.maximum(x, 0), atol=1e-5)  # negative scores become zero


def test_number_of_channels_and_weights():
    basic, large = build(21, "basic"), build(3, "large")
    assert sum(np.prod(layer.kernel.shape) for layer in basic.layers if layer.weights) == 64 * 21**2
    assert [layer.filters for layer in large.layers if layer.weights] == [6, 6, 12, 24, 48, 96, 96, 3]


def test_the_large_module_is_initialized_with_noise():
    model = build(2, "large", None)
    first = model.get_layer("context_1").kernel.numpy()
    off_center = np.delete(first.reshape(9, -1), 4, axis=0)
    assert 0.005 < off_center.std() < 0.02
    assert not np.array_equal(first, build(2, "large", None).get_layer("context_1").kernel.numpy())


def test_receptive_field_is_67():
    model = build(1, "basic")
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([np.ones_like(layer.kernel.numpy()), np.zeros(layer.filters)])
    x = tf.Variable(tf.ones((1, 91, 91, 1)))
    with tf.GradientTape() as tape:
        middle = model(x)[0, 45, 45, 0]
    support = np.argwhere(tape.gradient(middle, x).numpy()[0, :, :, 0] != 0)
    assert support.min(0).tolist() == [45 - 33] * 2 and support.max(0).tolist() == [45 + 33] * 2
