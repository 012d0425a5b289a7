"""Replicas that share a batch unequally drop the same values as a single process."""

import subprocess
import sys

import keras
import numpy as np

from retinue.backbones.dropout import Dropout

REPLICAS = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
from retinue.backbones.dropout import Dropout
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1", "CPU:2"])
x = np.random.default_rng(0).normal(size=(16, 5)).astype("float32")  # 8 examples of 2 rows
single, replicated = Dropout(0.4, seed=7), None
with strategy.scope():
    replicated = Dropout(0.4, seed=7)
replicated.batch_size = 8
example_ranges = [(0, 2), (2, 5), (5, 8)]
for step in range(2):  # the second draw differs from the first
    per_replica = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(x[2 * example_ranges[context.replica_id_in_sync_group][0] :
                                      2 * example_ranges[context.replica_id_in_sync_group][1]]))
    run = tf.function(lambda values: strategy.run(lambda rows: replicated(rows, training=True), args=(values,)))
    actual = np.concatenate([value.numpy() for value in run(per_replica).values])
    expected = single(x, training=True).numpy()
    assert 10 < (expected == 0).sum() < 60
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
print("equal")
"""


def test_three_replicas_drop_the_same_values_as_one():
    done = subprocess.run([sys.executable, "-c", REPLICAS], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]


def test_on_one_replica_the_layer_equals_that_of_keras():
    x = np.ones((4, 6), np.float32)
    ours, theirs = Dropout(0.5, seed=3), keras.layers.Dropout(0.5, seed=3)
    np.testing.assert_array_equal(ours(x, training=True), theirs(x, training=True))
    np.testing.assert_array_equal(ours(x), x)
