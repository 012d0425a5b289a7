"""A batch in parts is the batch: gradients and losses by hand, and the steps of a classifier and of a detector."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.schema import Stage
from retinue.pipeline.training.freeze import apply_stage
from retinue.pipeline.training.optimizer import SGD, make_optimizer
from retinue.tasks.gradient_accumulation import accumulate_gradients
from retinue.tasks.model import TaskModel

spec = importlib.util.spec_from_file_location("small", Path(__file__).parents[1] / "helpers" / "small_detector.py")
small = importlib.util.module_from_spec(spec)
spec.loader.exec_module(small)


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_sums_by_hand_also_of_unequal_parts_and_of_weights_without_a_gradient(parts):
    weights = [tf.Variable([1.0, 1.0]), tf.Variable(5.0)]
    x, y = tf.constant([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [4.0, 1.0], [5.0, 0.0]]), tf.zeros(5)
    seen = []

    def gradients_of(inputs, targets):
        seen.append(inputs.shape)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(inputs @ weights[0][:, None])
        return tape.gradient(loss, weights), [loss]

    gradients, (loss,) = tf.function(lambda: accumulate_gradients(gradients_of, weights, 1, (x, y), parts))()
    np.testing.assert_array_equal(gradients[0], [15.0, 2.0])
    assert gradients[1] is None
    assert float(loss) == 17.0
    assert len(seen) == 1  # the net is in the graph once


def dense_net():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(2, name="head")(keras.layers.Dense(4, activation="relu", name="trunk")(inputs))
    model = TaskModel(
        inputs, outputs, lambda t, o: {"loss": keras.losses.categorical_crossentropy(t, o, True)}, ("loss",), ["trunk"]
    )
    return model


def test_steps_in_parts_equal_whole_steps_of_a_classifier():
    """Five rows in two parts, with momentum, and the norm clipped after the sum."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(5, 3)).astype(np.float32), np.eye(2, dtype=np.float32)[[0, 1, 1, 0, 1]]
    results = []
    for parts in (1, 2):
        model = dense_net()
        model.gradient_accumulation_steps, model.batch_size = parts, 5
        model.compile(SGD(0.5, momentum=0.9, rate_of=lambda v: 1.0, decay_of=lambda v: 0.0, clip_norm=0.1))
        model.optimizer.build(model.trainable_variables)
        history = model.fit(tf.data.Dataset.from_tensors((x, y)).repeat(), epochs=4, steps_per_epoch=1, verbose=0)
        results.append((model.get_weights(), history.history["loss"]))
        assert int(model.optimizer.iterations.numpy()) == 4
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-6)
    for whole, in_parts in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(whole, in_parts, atol=1e-6)


@pytest.mark.slow
def test_steps_in_parts_equal_whole_steps_of_a_detector():
    results = []
    for parts in (1, 2):
        keras.utils.set_random_seed(0)
        config, net = small.detector(settings=["train.batch_norm=frozen", "train.optimizer=sgd"])
        apply_stage(net, stage := Stage(epochs=10, learning_rate=1e-2, backbone_lr_multiplier=1.0), config.train)
        net.gradient_accumulation_steps, net.batch_size = parts, 2
        net.compile(optimizer=make_optimizer(config.train, stage, net, 1))
        history = net.fit(small.stream(small.batch()), epochs=2, steps_per_epoch=1, verbose=0, shuffle=False).history
        results.append((net.get_weights(), history))
    for name, values in results[0][1].items():
        np.testing.assert_allclose(values, results[1][1][name], rtol=1e-5, err_msg=name)
    for whole, in_parts in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(whole, in_parts, atol=1e-6)


REPLICAS = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
from retinue.pipeline.training.optimizer import SGD
from retinue.tasks.model import TaskModel
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
y = np.eye(2, dtype="float32")[[0, 1, 1, 0, 1]]

def shares():
    while True:
        yield x[:2], y[:2]
        yield x[2:], y[2:]

def train(parts, precision="float32", norm=False):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        inputs = keras.Input((3,))
        hidden = keras.layers.Dense(4, activation="relu", name="trunk")(inputs)
        if norm:
            hidden = keras.layers.BatchNormalization(name="norm", synchronized=True)(hidden)
        outputs = keras.layers.Dense(2, name="head")(hidden)
        model = TaskModel(inputs, outputs, lambda t, o: {"loss": keras.losses.categorical_crossentropy(t, o, True)},
                          ("loss",), ["trunk"])
        model.gradient_accumulation_steps, model.batch_size, model.precision = parts, 5, precision
        model.compile(SGD(0.5, momentum=0.9, rate_of=lambda v: 1.0, decay_of=lambda v: 0.0, clip_norm=0.1))
        model.optimizer.build(model.trainable_variables)
    kinds = tf.TensorSpec((None, 3), tf.float32), tf.TensorSpec((None, 2), tf.float32)
    data = strategy.distribute_datasets_from_function(
        lambda _: tf.data.Dataset.from_generator(shares, output_signature=kinds))
    losses = model.fit(data, epochs=4, steps_per_epoch=1, verbose=0).history["loss"]
    return losses, model.get_weights()

whole, parts = train(1), train(2)
np.testing.assert_allclose(whole[0], parts[0], rtol=1e-6)
for one, other in zip(whole[1], parts[1], strict=True):
    np.testing.assert_allclose(one, other, atol=1e-6)
losses, _ = train(2, "mixed_bfloat16", norm=True)
assert losses[-1] < losses[0], losses
print("equal")
"""


@pytest.mark.slow
def test_two_replicas_with_parts_equal_two_with_whole_shares():
    """Unequal shares; and synchronised batch norms, which talk in every part, in 16 bits."""
    done = subprocess.run([sys.executable, "-c", REPLICAS], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]
