"""Receptive fields of the layer table equal the support of a gradient: the pixels that one output unit depends on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue import backbones
from retinue.backbones.layer_table import layer_table

SIZE = 144
# a member of each family, and the stride whose last map is tested
CASES = {
    "lenet5": 4,
    "alexnet": 8,
    "alexnet_torchvision": 8,
    "vgg11": 8,
    "googlenet": 8,
    "bn_inception": 8,
    "inception_v3": 8,
    "inception_v4": 4,
    "inception_resnet_v2": 4,
    "resnet18": 8,
    "plain18": 8,
    "resnet50_paper": 4,
    "densenet121": 4,
    "xception": 8,
    "efficientnet_lite0": 8,
    "keras/MobileNetV2": 8,
}


# They take ten seconds, and the other backbones have the same kinds of layers.
LARGE = ("inception_v4", "inception_resnet_v2")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in CASES])
def test_the_receptive_field_is_the_support_of_the_gradient(name):
    full = backbones.build(name, "none", input_size=SIZE)
    tensor = full.output[CASES[name]]
    model = keras.Model(full.input, tensor)
    row = next(row for row in layer_table(model) if row.name == layer_of(model, tensor))
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype("float32"))
    middle = tensor.shape[1] // 2
    with tf.GradientTape() as tape:
        tape.watch(images)
        unit = tf.reduce_sum(model(images)[:, middle, middle])
    rows = np.flatnonzero(np.abs(tape.gradient(unit, images)).sum(axis=(0, 2, 3)))
    first = row.offset + middle * row.effective_stride
    expected = max(first, 0), min(first + row.receptive_field - 1, SIZE - 1)
    assert (rows[0], rows[-1]) == expected
    assert row.receptive_field < SIZE, "choose a layer with a smaller receptive field"


def layer_of(model, tensor):
    return next(layer.name for layer in model.layers if layer.output is tensor)


def test_squeeze_and_excitation_has_an_infinite_receptive_field():
    full = backbones.build("seresnet50", "none", input_size=SIZE)
    rows = layer_table(keras.Model(full.input, full.output[4]))
    assert rows[-1].receptive_field == np.inf
    assert rows[-1].min_receptive_field < SIZE
