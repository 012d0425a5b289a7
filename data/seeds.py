"""Seeds that depend on (seed, epoch, record) alone, so that resumed and differently sharded runs see the same pictures.

The same numbers come out of TensorFlow, in a graph or not, and out of NumPy. Mixing function: the finaliser of
SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 18).
"""

import numpy as np
import tensorflow as tf

GOLDEN = 0x9E3779B97F4A7C15
FIRST_FACTOR = 0xBF58476D1CE4E5B9
SECOND_FACTOR = 0x94D049BB133111EB


def hashed(*numbers):
    """A uint64 hash of integers, in order; the numbers are int tensors that broadcast against each other."""
    state = tf.constant(GOLDEN, tf.uint64)
    for number in numbers:
        state = state ^ tf.cast(tf.cast(number, tf.int64), tf.uint64)
        state = state * tf.constant(GOLDEN, tf.uint64) + tf.constant(GOLDEN, tf.uint64)
        state = (state ^ _right(state, 30)) * tf.constant(FIRST_FACTOR, tf.uint64)
        state = (state ^ _right(state, 27)) * tf.constant(SECOND_FACTOR, tf.uint64)
        state = state ^ _right(state, 31)
    return state


def hashed_numpy(*numbers):
    """The same hash as `hashed` of integers or int arrays, uint64, without TensorFlow's help."""
    state = np.uint64(GOLDEN)
    with np.errstate(over="ignore"):
        for number in numbers:
            state = state ^ np.asarray(number, np.int64).astype(np.uint64)
            state = state * np.uint64(GOLDEN) + np.uint64(GOLDEN)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(FIRST_FACTOR)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(SECOND_FACTOR)
            state = state ^ (state >> np.uint64(31))
    return state


def example_seed(seed, epoch, record):
    """The seed of a record in an epoch, int32 `[..., 2]` for stateless ops; the arguments are ints or int tensors."""
    return tf.bitcast(hashed(seed, epoch, record), tf.int32)


def sub_seed(seed, number):
    """Seed `number` (a Python int, 0, 1, ...) of an example: int32 `[..., 2]` -> int32 `[..., 2]`, one an operation."""
    return seed + tf.constant([0, number], tf.int32)


def _right(state, bits):
    return tf.bitwise.right_shift(state, tf.constant(bits, tf.uint64))
