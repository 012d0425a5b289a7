"""A batch in parts is the batch: gradients and losses by hand, and the steps of a classifier and of a detector."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.schema import Stage
from retinue.pipeline.freeze import apply_stage
from retinue.pipeline.optimizer import SGD, make_optimizer
from retinue.tasks.accumulation import accumulated
from retinue.tasks.model import TaskModel

spec = importlib.util.spec_from_file_location("small", Path(__file__).parent / "detection" / "small.py")
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

    gradients, (loss,) = tf.function(lambda: accumulated(gradients_of, weights, 1, (x, y), parts))()
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


@pytest.mark.parametrize("replicas", [1, 2])
def test_steps_in_parts_equal_whole_steps_of_a_classifier(replicas):
    """Five rows in two parts, with momentum, and the norm clipped after the sum."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(5, 3)).astype(np.float32), np.eye(2, dtype=np.float32)[[0, 1, 1, 0, 1]]
    results = []
    for parts in (1, 2):
        model = dense_net()
        model.accumulate, model.batch_size = parts, 5
        model.compile(SGD(0.5, momentum=0.9, rate_of=lambda v: 1.0, decay_of=lambda v: 0.0, clip_norm=0.1))
        model.optimizer.build(model.trainable_variables)
        history = model.fit(tf.data.Dataset.from_tensors((x, y)).repeat(), epochs=4, steps_per_epoch=1, verbose=0)
        results.append((model.get_weights(), history.history["loss"]))
        assert int(model.optimizer.iterations.numpy()) == 4
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-6)
    for whole, in_parts in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(whole, in_parts, atol=1e-6)


def test_steps_in_parts_equal_whole_steps_of_a_detector():
    results = []
    for parts in (1, 2):
        keras.utils.set_random_seed(0)
        config, net = small.detector(settings=["train.batch_norm=frozen", "train.optimizer=sgd"])
        apply_stage(net, stage := Stage(epochs=10, rate=1e-2, backbone_rate=1.0), config.train)
        net.accumulate, net.batch_size = parts, 2
        net.compile(optimizer=make_optimizer(config.train, stage, net, 1))
        history = net.fit(small.stream(small.batch()), epochs=2, steps_per_epoch=1, verbose=0, shuffle=False).history
        results.append((net.get_weights(), history))
    for name, values in results[0][1].items():
        np.testing.assert_allclose(values, results[1][1][name], rtol=1e-5, err_msg=name)
    for whole, in_parts in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(whole, in_parts, atol=1e-6)
