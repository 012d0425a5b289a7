"""The moving average of weights, by hand."""

import keras
import numpy as np

from retinue.pipeline.training.ema import MovingAverage


def model():
    inputs = keras.Input((1,))
    return keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(inputs))


def test_update_and_swap_by_hand():
    network = model()
    average = MovingAverage(network, decay=0.5)
    network.weights[0].assign([[2.0]])
    average.update()  # decay min(0.5, 1/10): 1 + 0.9 * (2 - 1) = 1.9
    average.update()  # decay min(0.5, 2/11): 1.9 + 9/11 * 0.1
    average.swap()
    np.testing.assert_allclose(network.weights[0].numpy(), [[1.9 + 0.1 * 9 / 11]], rtol=1e-6)
    average.swap()
    np.testing.assert_array_equal(network.weights[0].numpy(), [[2.0]])


def test_only_what_is_followed_moves():
    inputs = keras.Input((1,))
    hidden = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(inputs)
    network = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(hidden))
    average = MovingAverage(network, decay=0.5)
    average.follow(network.weights[1:])
    for weight in network.weights:
        weight.assign([[2.0]])
    average.update()
    np.testing.assert_allclose([variable.numpy().item() for variable in average.variables], [1, 1, 1.9], rtol=1e-6)
    average.follow(network.weights)
    average.update()  # decay 2/11
    np.testing.assert_allclose(average.variables[1].numpy().item(), 1 + 9 / 11, rtol=1e-6)


def test_batch_norm_statistics_are_averaged_too():
    inputs = keras.Input((1,))
    network = keras.Model(inputs, keras.layers.BatchNormalization()(inputs))
    assert len(MovingAverage(network, 0.9).variables) == 1 + 4
