import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue.tasks.segmentation.context import context


def module(classes, kind, noise=0.0):
    scores = keras.Input((None, None, classes))
    return keras.Model(scores, context(scores, kind, noise))


@pytest.mark.parametrize("kind", ["basic", "large"])
def test_identity_of_non_negative_scores(kind):
    x = np.random.default_rng(0).normal(size=(1, 9, 12, 3)).astype(np.float32)
    made = module(3, kind)(x)
    np.testing.assert_allclose(made, np.maximum(x, 0), atol=1e-5)  # and negative ones become zero


def test_widths_and_weights():
    basic, large = module(21, "basic"), module(3, "large")
    assert sum(np.prod(layer.kernel.shape) for layer in basic.layers if layer.weights) == 64 * 21**2
    assert [layer.filters for layer in large.layers if layer.weights] == [6, 6, 12, 24, 48, 96, 96, 3]


def test_large_starts_with_noise_that_differs_by_layer():
    net = module(2, "large", None)
    first = net.get_layer("context_1").kernel.numpy()
    off_centre = np.delete(first.reshape(9, -1), 4, axis=0)
    assert 0.005 < off_centre.std() < 0.02
    assert not np.array_equal(first, module(2, "large", None).get_layer("context_1").kernel.numpy())


def test_receptive_field_is_67():
    net = module(1, "basic")
    for layer in net.layers:
        if layer.weights:
            layer.set_weights([np.ones_like(layer.kernel.numpy()), np.zeros(layer.filters)])
    x = tf.Variable(tf.ones((1, 91, 91, 1)))
    with tf.GradientTape() as tape:
        middle = net(x)[0, 45, 45, 0]
    support = np.argwhere(tape.gradient(middle, x).numpy()[0, :, :, 0] != 0)
    assert support.min(0).tolist() == [45 - 33] * 2 and support.max(0).tolist() == [45 + 33] * 2
