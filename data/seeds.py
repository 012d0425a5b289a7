"""Random seeds that depend only on the run's seed, the epoch and the record.

Runs that were resumed or sharded differently therefore see identical augmented images. TensorFlow (in a graph or
eagerly) and NumPy compute the same numbers. The mixing function is the finalizer of SplitMix64 (Steele, Lea and Flood
2014, "Fast splittable pseudorandom number generators", figure 18).
"""

import numpy as np
import tensorflow as tf

GOLDEN = 0x9E3779B97F4A7C15
FIRST_FACTOR = 0xBF58476D1CE4E5B9
SECOND_FACTOR = 0x94D049BB133111EB


def hash_integers(*integers: int | np.ndarray | tf.Tensor) -> tf.Tensor:
    """Hash a sequence of integers.

    Args:
        *integers: ints or int tensors of any shapes that broadcast against each other. Their order matters.

    Returns:
        uint64 tensor of the broadcast shape.
    """
    state = tf.constant(GOLDEN, tf.uint64)
    for integer in integers:
        state = state ^ tf.cast(tf.cast(integer, tf.int64), tf.uint64)
        state = state * tf.constant(GOLDEN, tf.uint64) + tf.constant(GOLDEN, tf.uint64)
        state = (state ^ _shift_right(state, 30)) * tf.constant(FIRST_FACTOR, tf.uint64)
        state = (state ^ _shift_right(state, 27)) * tf.constant(SECOND_FACTOR, tf.uint64)
        state = state ^ _shift_right(state, 31)
    return state


def hash_integers_numpy(*integers: int | np.ndarray) -> np.ndarray:
    """Compute the hash of `hash_integers` in NumPy.

    Args:
        *integers: ints or int arrays of any shapes that broadcast against each other.

    Returns:
        uint64 array of the broadcast shape.
    """
    state = np.asarray(GOLDEN, np.uint64)
    with np.errstate(over="ignore"):
        for integer in integers:
            state = state ^ np.asarray(integer, np.int64).astype(np.uint64)
            state = state * np.uint64(GOLDEN) + np.uint64(GOLDEN)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(FIRST_FACTOR)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(SECOND_FACTOR)
            state = state ^ (state >> np.uint64(31))
    return state


def example_seed(seed: int, epoch: int | tf.Tensor, record: int | np.ndarray | tf.Tensor) -> tf.Tensor:
    """Return the seed of a record in an epoch, for stateless operations of TensorFlow.

    Args:
        seed: Seed of the run.
        epoch: Index of the epoch.
        record: Row or rows of the dataset, int [...].

    Returns:
        int32 [..., 2].
    """
    return tf.bitcast(hash_integers(seed, epoch, record), tf.int32)


def sub_seed(seed: tf.Tensor, number: int) -> tf.Tensor:
    """Derive the seed of one random operation from the seed of an example.

    Args:
        seed: int32 [..., 2].
        number: Number of the operation: 0, 1, ...

    Returns:
        int32 [..., 2].
    """
    return seed + tf.constant([0, number], tf.int32)


def _shift_right(state: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.right_shift(state, tf.constant(bits, tf.uint64))
