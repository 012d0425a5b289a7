"""Seeds: equal in TensorFlow and NumPy, distinct and uniformly distributed."""

import numpy as np
import tensorflow as tf

from retinue.data.seeds import example_seed, hash_integers, hash_integers_numpy, sub_seed


def splitmix(*integers):
    """Compute the hash with Python's integers, which cannot overflow."""
    limit = 2**64
    state = 0x9E3779B97F4A7C15
    for integer in integers:
        state ^= integer % limit
        state = (state * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % limit
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % limit
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % limit
        state ^= state >> 31
    return state


def test_tensorflow_numpy_and_python_agree():
    for numbers in ((0,), (0, 0), (1, 2, 3), (-1, 5), (2**62, 2**40, 7)):
        expected = splitmix(*numbers)
        assert int(hash_integers(*numbers)) == expected
        assert int(hash_integers_numpy(*numbers)) == expected
        assert int(tf.function(lambda *given: hash_integers(*given))(*map(tf.constant, np.int64(numbers)))) == expected


def test_a_column_of_records_equals_one_at_a_time():
    records = tf.range(20, dtype=tf.int64)
    together = example_seed(4, tf.constant(2), records)
    assert together.shape == (20, 2) and together.dtype == tf.int32
    for record in range(20):
        np.testing.assert_array_equal(together[record], example_seed(4, 2, record))


def test_seeds_differ_by_seed_epoch_and_record():
    seeds = {
        tuple(example_seed(seed, epoch, record).numpy())
        for seed in range(5)
        for epoch in range(5)
        for record in range(20)
    }
    assert len(seeds) == 500


def test_bits_are_spread():
    bits = np.unpackbits(hash_integers_numpy(0, 0, np.arange(20000)).view(np.uint8)).reshape(-1, 64)
    np.testing.assert_allclose(bits.mean(axis=0), 0.5, atol=0.02)  # six standard deviations are 0.021
    correlations = np.corrcoef(bits.T) - np.eye(64)
    assert np.abs(correlations).max() < 0.04


def test_sub_seeds_give_unrelated_numbers():
    seed = example_seed(0, 0, 0)
    drawn = [tf.random.stateless_uniform([1000], sub_seed(seed, number)).numpy() for number in range(3)]
    for first in range(3):
        for second in range(first):
            assert abs(np.corrcoef(drawn[first], drawn[second])[0, 1]) < 0.15
