"""Sampling of the anchors and proposals that enter the losses of a training step (Ren et al. 2015, section 3.1.3)."""

import tensorflow as tf

from retinue.data.seeds import hash_integers
from retinue.tasks.detection.matching import NEGATIVE, POSITIVE


def sample(
    assignments: tf.Tensor, numbers: tf.Tensor, seed: tf.Tensor, sample_size: int, max_positives: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sample up to `sample_size` candidates of each image: up to `max_positives` positive ones, the rest negative.

    The sample is a pure function of the image's seed and the candidates' numbers. It depends neither on the other
    images of the batch nor on earlier samples. No candidate is sampled twice.

    Args:
        assignments: int32 `[n, a]`, POSITIVE, NEGATIVE or IGNORED.
        numbers: int32 `[n, a]` or `[1, a]`. The positive and negative candidates of an image have different numbers,
            which do not depend on how far the image is padded.
        seed: int32 `[n, 2]`.
        sample_size: number of candidates.
        max_positives: largest number of positive candidates.

    Returns:
        int32 `[n, k]`, the indices of the sampled candidates, positive ones first, where k is the smaller of
        `sample_size` and a; and float32 `[n, k]`, their weights: 1, or 0 where there were too few candidates.
    """
    candidates = tf.shape(assignments)[1]
    keys = _random_keys(seed, numbers)
    positives = tf.where(assignments == POSITIVE, keys, -1)
    largest, _ = tf.math.top_k(positives, tf.minimum(max_positives, candidates))
    is_sampled_positive = (assignments == POSITIVE) & (keys >= largest[:, -1:])
    first = tf.constant(1 << 62, tf.int64)
    order = tf.where(is_sampled_positive, keys + first, tf.where(assignments == NEGATIVE, keys, -1))
    keys, indices = tf.math.top_k(order, tf.minimum(sample_size, candidates))
    return indices, tf.cast(keys >= 0, tf.float32)


def _random_keys(seed: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Hash the seeds and the candidates' numbers to int64 `[n, a]` from 0 to below 2 to the power of 62."""
    keys = hash_integers(seed[:, :1], seed[:, 1:], numbers)
    return tf.bitcast(tf.bitwise.right_shift(keys, tf.constant(2, tf.uint64)), tf.int64)
