"""What holds for every backbone of the table.

The whole table is built without memory for weights. Light backbones of each family are also run, trained for a step,
saved and loaded; the rest is marked slow.
"""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue import backbones
from retinue.backbones.multiply_adds import MULTIPLY_ADDS

OURS = [name for name in backbones.names() if not name.startswith("keras/")]
LIGHT_KERAS = ["keras/MobileNetV2", "keras/MobileNetV3Small", "keras/NASNetMobile", "keras/EfficientNetB0"]
HEAVY_KERAS = [name for name in backbones.names("keras/*") if name not in LIGHT_KERAS]
RUN = [
    "lenet5",
    "alexnet",
    "vgg11_bn",
    "googlenet",
    "bn_inception",
    "resnet18",
    "plain18",
    "densenet121",
    "efficientnet_lite1",
    "keras/MobileNetV3Small",
]
ALSO_RUN = ["inception_v3", "inception_v4", "inception_resnet_v2", "xception", "seresnet50", "senet154", "resnet152"]


def facts_of(names):
    command = [sys.executable, str(Path(__file__).with_name("contract.py")), *names]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {fact["name"]: fact for fact in (json.loads(line[5:]) for line in lines if line.startswith("fact "))}


@pytest.fixture(scope="module")
def facts():
    return facts_of([*OURS, *LIGHT_KERAS])


@pytest.fixture(scope="module")
def heavy_facts():
    return facts_of(HEAVY_KERAS)


@pytest.mark.parametrize("name", [*OURS, *LIGHT_KERAS])
def test_every_backbone_fulfills_the_contract(name, facts):
    check(name, facts[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY_KERAS)
def test_the_heavy_backbones_fulfill_the_contract(name, heavy_facts):
    check(name, heavy_facts[name])


def check(name, fact):
    assert fact["parameters"] == backbones.find(name).parameters
    assert fact["multiply_adds"] == MULTIPLY_ADDS[name]
    assert fact["logits"] == (10 if name == "lenet5" else 1000)
    assert fact["preprocess"] == ["preprocess"] * 2
    assert fact["names"] and not fact["nested"] and not fact["normalizing"]
    strides = [int(stride) for stride in fact["maps"]]
    assert strides == [stride for stride in (2, 4, 8, 16, 32) if strides[0] <= stride <= strides[-1]]
    assert strides[-1] == (4 if name == "lenet5" else 32)
    for stride, sides in fact["maps"].items():
        for side, pixels in zip(sides, fact["size"], strict=True):
            # Backbones without padding (LeNet, Inception, AlexNet) lose some pixels at the border; none may gain any.
            assert max(1, pixels / int(stride) - 8) <= side <= np.ceil(pixels / int(stride)), (stride, fact)


def run(name, folder):
    """Run a step with the backbone trained and one with it frozen; save it, set it to zeros, and load it."""
    model = backbones.build(name, "none")
    side = max(backbones.find(name).min_size, 32)
    last = max(model.output)
    head = keras.layers.Dense(2, name="head")(keras.layers.GlobalAveragePooling2D()(model.output[last]))
    full = keras.Model(model.input, head)
    images = np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype("float32")

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(full(images, training=True)))
        gradients = tape.gradient(loss, [variable.value for variable in full.trainable_variables])
        for variable, gradient in zip(full.trainable_variables, gradients, strict=True):
            assert gradient is not None, variable.path
            assert np.isfinite(gradient).all(), variable.path
            variable.assign_sub(1e-3 * gradient)

    before = model.get_weights()
    step()
    changed = [not np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True)]
    assert sum(changed) > len(before) / 3
    model.set_weights(before)
    for layer in model.layers:
        layer.trainable = False
    step()
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    full.save_weights(folder / "a.weights.h5")
    expected = np.asarray(model(images)[last])
    model.set_weights([np.zeros_like(weight) for weight in before])
    report = backbones.load_weights(model, str(folder / "a.weights.h5"), name)
    assert not report.missing
    np.testing.assert_allclose(model(images)[last], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", RUN)
def test_light_backbones_run_train_freeze_save_and_load(name, tmp_path):
    run(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALSO_RUN)
def test_other_backbones_run_train_freeze_save_and_load(name, tmp_path):
    run(name, tmp_path)
