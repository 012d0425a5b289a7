"""Replicas that share a batch, unequally, drop what one process would have dropped."""

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
one, several = Dropout(0.4, seed=7), None
with strategy.scope():
    several = Dropout(0.4, seed=7)
several.batch_size = 8
shares = [(0, 2), (2, 5), (5, 8)]
for step in range(2):  # the second draw differs from the first
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(x[2 * shares[context.replica_id_in_sync_group][0] :
                                      2 * shares[context.replica_id_in_sync_group][1]]))
    run = tf.function(lambda parts: strategy.run(lambda part: several(part, training=True), args=(parts,)))
    found = np.concatenate([value.numpy() for value in run(parts).values])
    expected = one(x, training=True).numpy()
    assert 10 < (expected == 0).sum() < 60
    np.testing.assert_allclose(found, expected, rtol=1e-6)
print("equal")
"""


def test_three_replicas_drop_what_one_drops():
    done = subprocess.run([sys.executable, "-c", REPLICAS], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]


def test_one_replica_is_kerass_own():
    x = np.ones((4, 6), np.float32)
    ours, theirs = Dropout(0.5, seed=3), keras.layers.Dropout(0.5, seed=3)
    np.testing.assert_array_equal(ours(x, training=True), theirs(x, training=True))
    np.testing.assert_array_equal(ours(x), x)
