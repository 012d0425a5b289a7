"""Micro-batches have the gradients and losses of the full batch: by hand, in a classifier and in a detector."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.schema import Stage
from retinue.pipeline.training.freeze import apply_stage
from retinue.pipeline.training.optimizer import SGD, make_optimizer
from retinue.tasks.gradient_accumulation import accumulate_gradients
from retinue.tasks.model import TaskModel
from retinue.tests.helpers import small_detector as small


@pytest.mark.parametrize("micro_batches", [2, 3, 5])
def test_sums_are_right_for_unequal_micro_batches_and_weights_without_a_gradient(micro_batches):
    weights = [tf.Variable([1.0, 1.0]), tf.Variable(5.0)]
    x, y = tf.constant([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [4.0, 1.0], [5.0, 0.0]]), tf.zeros(5)
    shapes = []

    def gradients_of(inputs, targets):
        shapes.append(inputs.shape)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(inputs @ weights[0][:, None])
        return tape.gradient(loss, weights), [loss]

    gradients, (loss,) = tf.function(lambda: accumulate_gradients(gradients_of, weights, 1, (x, y), micro_batches))()
    np.testing.assert_array_equal(gradients[0], [15.0, 2.0])
    assert gradients[1] is None
    assert float(loss) == 17.0
    assert len(shapes) == 1  # the model is in the graph once


def dense_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(2, name="head")(keras.layers.Dense(4, activation="relu", name="trunk")(inputs))
    model = TaskModel(
        inputs, outputs, lambda t, o: {"loss": keras.losses.categorical_crossentropy(t, o, True)}, ("loss",), ["trunk"]
    )
    return model


def test_steps_with_micro_batches_equal_full_steps_of_a_classifier():
    """Five rows in two micro-batches, with momentum, and with the gradient norm clipped after the sum."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(5, 3)).astype(np.float32), np.eye(2, dtype=np.float32)[[0, 1, 1, 0, 1]]
    results = []
    for steps in (1, 2):
        model = dense_model()
        model.gradient_accumulation_steps, model.batch_size = steps, 5
        model.compile(SGD(0.5, momentum=0.9, **PLAIN, clip_norm=0.1))
        model.optimizer.build(model.trainable_variables)
        history = model.fit(tf.data.Dataset.from_tensors((x, y)).repeat(), epochs=4, steps_per_epoch=1, verbose=0)
        results.append((model.get_weights(), history.history["loss"]))
        assert int(model.optimizer.iterations.numpy()) == 4
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-6)
    for full, accumulated in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(full, accumulated, atol=1e-6)


@pytest.mark.slow
def test_steps_with_micro_batches_equal_full_steps_of_a_detector():
    results = []
    for steps in (1, 2):
        keras.utils.set_random_seed(0)
        config, detector = small.detector(settings=["train.batch_norm=frozen", "train.optimizer=sgd"])
        apply_stage(detector, stage := Stage(epochs=10, learning_rate=1e-2, backbone_lr_multiplier=1.0), config.train)
        detector.gradient_accumulation_steps, detector.batch_size = steps, 2
        detector.compile(optimizer=make_optimizer(config.train, stage, detector, 1))
        history = detector.fit(
            small.stream(small.batch()), epochs=2, steps_per_epoch=1, verbose=0, shuffle=False
        ).history
        results.append((detector.get_weights(), history))
    for name, values in results[0][1].items():
        np.testing.assert_allclose(values, results[1][1][name], rtol=1e-5, err_msg=name)
    for full, accumulated in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(full, accumulated, atol=1e-6)


# Every variable moves at the learning rate, and none decays.
PLAIN = {"lr_multiplier_of": lambda v: 1.0, "weight_decay_of": lambda v: 0.0}

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

def per_replica_batches():
    while True:
        yield x[:2], y[:2]
        yield x[2:], y[2:]

def train(steps, precision="float32", norm=False):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        inputs = keras.Input((3,))
        hidden = keras.layers.Dense(4, activation="relu", name="trunk")(inputs)
        if norm:
            hidden = keras.layers.BatchNormalization(name="norm", synchronized=True)(hidden)
        outputs = keras.layers.Dense(2, name="head")(hidden)
        model = TaskModel(inputs, outputs, lambda t, o: {"loss": keras.losses.categorical_crossentropy(t, o, True)},
                          ("loss",), ["trunk"])
        model.gradient_accumulation_steps, model.batch_size, model.precision = steps, 5, precision
        model.compile(SGD(0.5, momentum=0.9, **PLAIN, clip_norm=0.1))
        model.optimizer.build(model.trainable_variables)
    kinds = tf.TensorSpec((None, 3), tf.float32), tf.TensorSpec((None, 2), tf.float32)
    data = strategy.distribute_datasets_from_function(
        lambda _: tf.data.Dataset.from_generator(per_replica_batches, output_signature=kinds))
    losses = model.fit(data, epochs=4, steps_per_epoch=1, verbose=0).history["loss"]
    return losses, model.get_weights()

full, accumulated = train(1), train(2)
np.testing.assert_allclose(full[0], accumulated[0], rtol=1e-6)
for one, other in zip(full[1], accumulated[1], strict=True):
    np.testing.assert_allclose(one, other, atol=1e-6)
losses, _ = train(2, "mixed_bfloat16", norm=True)
assert losses[-1] < losses[0], losses
print("equal")
"""


@pytest.mark.slow
def test_two_replicas_with_micro_batches_equal_two_without():
    """Unequal per-replica batches; and synchronized batch norms, which communicate in every micro-batch, in 16 bits."""
    finished = subprocess.run([sys.executable, "-c", REPLICAS], capture_output=True, text=True, timeout=300)
    assert finished.stdout.strip().endswith("equal"), finished.stderr[-2000:]
