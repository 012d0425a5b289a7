"""Every ReLU is found and gets the backward pass of the rule; other nonlinearities are refused by name."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from retinue.configs.errors import UsageError
from retinue.explain.neuron_gradient import neuron_gradient, strongest_units
from retinue.explain.relu_rules import replace_relus
from retinue.tests.helpers.explain_models import random_images, tiny_convnet, two_layer_model

# For x = (1, 2) the first layer computes (1, -1, 8) and the ReLU (1, 0, 8). The gradient of the score is (2, 3, -1).
IMAGE = np.array([1.0, 2.0], np.float32).reshape(1, 1, 2, 1)
FIRST = [[1, 1, 2], [0, -1, 3]]
SECOND = [[2], [3], [-1]]
EXPECTED = {
    "plain": [2 * 1 + 0 - 1 * 2, 0 + 0 - 1 * 3],  # (2, 0, -1) passes
    "deconvnet": [2 * 1 + 3 * 1, 0 + 3 * -1],  # (2, 3, 0)
    "guided": [2 * 1, 0],  # (2, 0, 0)
}
RELU_VARIANTS = {
    "layer ReLU": layers.ReLU(),
    "layer Activation": layers.Activation("relu"),
    "tf.nn.relu": layers.Activation(keras.ops.relu),
    "operation relu": ops.relu,
    "maximum with 0": lambda x: ops.maximum(x, 0.0),
    "0 in front": lambda x: ops.maximum(0.0, x),
    "keras.activations": keras.activations.relu,
}


@pytest.mark.parametrize("rule", EXPECTED)
@pytest.mark.parametrize("variant", RELU_VARIANTS)
def test_every_variant_of_a_relu_equals_a_result_computed_by_hand(variant, rule):
    model = two_layer_model(FIRST, SECOND, RELU_VARIANTS[variant])
    copy, count = replace_relus(model, rule)
    assert count == 1
    np.testing.assert_allclose(ops.convert_to_numpy(copy(IMAGE)), ops.convert_to_numpy(model(IMAGE)))
    np.testing.assert_allclose(neuron_gradient(model, IMAGE, 0, rule=rule).ravel(), EXPECTED[rule])


@pytest.mark.parametrize("rule", EXPECTED)
def test_a_relu_inside_a_layer_is_replaced(rule):
    image = keras.Input((1, 2, 1), name="image")
    x = layers.Dense(3, use_bias=False, activation="relu")(layers.Flatten()(image))
    model = keras.Model(image, layers.Dense(1, use_bias=False)(x))
    model.set_weights([np.array(FIRST, np.float32), np.array(SECOND, np.float32)])
    np.testing.assert_allclose(neuron_gradient(model, IMAGE, 0, rule=rule).ravel(), EXPECTED[rule])
    # The model itself is unchanged.
    np.testing.assert_allclose(neuron_gradient(model, IMAGE, 0, rule="plain").ravel(), EXPECTED["plain"])


@pytest.mark.parametrize(
    "relu6",
    [layers.ReLU(max_value=6), layers.Activation("relu6"), ops.relu6],
    ids=["ReLU(6)", "Activation", "operation"],
)
def test_relu6_stops_the_gradient_at_both_limits(relu6):
    second = [[2], [3], [4]]  # the third unit, 8, is above 6, so only the deconvnet passes its gradient
    model = two_layer_model(FIRST, second, relu6)
    assert float(model(IMAGE)[0, 0]) == 2 * 1 + 4 * 6
    np.testing.assert_allclose(neuron_gradient(model, IMAGE, 0, rule="plain").ravel(), [2, 0])
    np.testing.assert_allclose(neuron_gradient(model, IMAGE, 0, rule="guided").ravel(), [2, 0])
    np.testing.assert_allclose(neuron_gradient(model, IMAGE, 0, rule="deconvnet").ravel(), [2 + 3 + 4 * 2, -3 + 4 * 3])


def test_a_relu_that_is_used_twice_applies_the_rule_twice():
    shared = layers.ReLU(name="shared")
    image = keras.Input((1, 1, 1), name="image")
    x = layers.Dense(1, use_bias=False)(layers.Flatten()(image))
    x = layers.Dense(1, use_bias=False)(shared(x))
    model = keras.Model(image, layers.Dense(1, use_bias=False)(shared(x)))
    model.set_weights([np.array([[value]], np.float32) for value in (1, -1, 1)])
    # The forward pass is 1, 1, -1, 0, 0. The gradient of the deconvnet is 1, max(1, 0) = 1, -1, max(-1, 0) = 0.
    assert neuron_gradient(model, np.ones((1, 1, 1, 1)), 0, rule="deconvnet").ravel() == 0
    assert neuron_gradient(model, np.ones((1, 1, 1, 1)), 0, rule="guided").ravel() == 0


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (layers.Activation("swish", name="act"), r"act \(silu\)"),
        (layers.Activation("gelu", name="act"), r"act \(gelu\)"),
        (layers.LeakyReLU(name="leaky"), r"leaky \(LeakyReLU\)"),
        (layers.ReLU(negative_slope=0.1, name="sloped"), "sloped"),
        (layers.PReLU(name="prelu"), r"prelu \(PReLU\)"),
        (layers.LayerNormalization(name="norm"), r"norm \(LayerNormalization\)"),
        (layers.Lambda(lambda x: ops.relu(x), name="lambda"), r"lambda \(Lambda\)"),
        (ops.tanh, "Tanh"),
        (lambda x: ops.maximum(x, 0.5), "maximum with 0.5"),
        (lambda x: ops.clip(x, 0, 1), "Clip"),
        (lambda x: x * ops.sum(x), "Multiply"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_operations_to_which_the_rules_do_not_apply_are_refused_by_name(activation, name):
    with pytest.raises(UsageError, match=name):
        replace_relus(two_layer_model(FIRST, SECOND, activation), "guided")


def test_a_swish_inside_a_layer_and_a_nested_model_are_refused():
    with pytest.raises(UsageError, match=r"act1 \(silu\)"):
        replace_relus(tiny_convnet(activation="swish"), "guided")
    image = keras.Input((16, 16, 3))
    with pytest.raises(UsageError, match=r"tiny \(Functional\)"):
        replace_relus(keras.Model(image, tiny_convnet()(image)), "deconvnet")


def test_a_model_without_relu_is_refused():
    with pytest.raises(UsageError, match="has no ReLU"):
        replace_relus(two_layer_model(FIRST, SECOND, lambda x: x * 2.0), "guided")


@pytest.mark.parametrize("rule", ["plain", "deconvnet", "guided"])
def test_max_pooling_passes_the_gradient_to_one_position(rule):
    """One position of each window gets the whole gradient: the largest, or the first of equal ones."""
    image = keras.Input((2, 4, 1), name="image")
    x = layers.MaxPooling2D(2)(layers.ReLU()(image))
    model = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(x)))
    model.set_weights([np.array([[5], [7]], np.float32)])
    image_values = np.array([[1, 3, 2, 2], [3, 0, 2, 1]], np.float32).reshape(1, 2, 4, 1)
    gradient = neuron_gradient(model, image_values, 0, rule=rule)[0, ..., 0]
    np.testing.assert_allclose(gradient, [[0, 5, 7, 0], [0, 0, 0, 0]])


def test_padding_never_wins_a_window_of_zeros():
    """The deconvnet passes gradients where x is 0, so the switch of a window of zeros must point into the image."""
    image = keras.Input((2, 2, 1), name="image")
    x = layers.ZeroPadding2D(1)(layers.ReLU()(image))
    x = layers.Flatten()(layers.MaxPooling2D(3, 2)(x))
    model = keras.Model(image, layers.Dense(1, use_bias=False)(x))
    model.set_weights([np.array([[4]], np.float32)])
    gradient = neuron_gradient(model, -np.ones((1, 2, 2, 1), np.float32), 0, rule="deconvnet")[0, ..., 0]
    np.testing.assert_allclose(gradient, [[4, 0], [0, 0]])


def test_the_strongest_unit_of_a_layer_and_of_a_channel():
    model, images = tiny_convnet(), random_images(2)
    maps = ops.convert_to_numpy(keras.Model(model.input, model.get_layer("conv2").output)(images))
    for feature, (position, channel, value) in zip(maps, strongest_units(model, images, "conv2"), strict=True):
        assert feature[(*position, channel)] == value == feature.max()
    gradient = neuron_gradient(model, images, 4, "conv2", "plain")
    position = np.unravel_index(maps[0, ..., 4].argmax(), (8, 8))
    touched = np.argwhere(np.abs(gradient[0]).max(axis=-1) > 0)
    # 3 x 3 positions of the map before, each of 2 x 2 pixels, and one more pixel for the first convolution.
    assert np.all(np.abs(touched - 2 * np.array(position) - 0.5) <= 4.5)
    with pytest.raises(UsageError, match="conv2 has 6 channels, 0 to 5"):
        neuron_gradient(model, images, 6, "conv2")


def test_a_unit_at_the_limit_of_relu6_still_has_a_gradient():
    image = keras.Input((1, 2, 1), name="image")
    x = layers.ReLU(6, name="act")(layers.Conv2D(1, 1, use_bias=False, name="conv")(image))
    model = keras.Model(image, layers.Dense(1)(layers.Flatten()(x)))
    model.get_layer("conv").set_weights([np.full((1, 1, 1, 1), 5, np.float32)])
    image_values = np.array([3.0, 9.0], np.float32).reshape(1, 1, 2, 1)
    for rule in ("plain", "guided", "deconvnet"):
        if rule == "plain":
            np.testing.assert_allclose(neuron_gradient(model, image_values, None, "act", rule).ravel(), [0, 5])
        else:
            with pytest.raises(UsageError, match="no ReLU"):  # there is no other ReLU before it
                neuron_gradient(model, image_values, None, "act", rule)
