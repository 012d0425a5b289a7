"""Which anchors and proposals of an image are learned from in a step (Ren et al. 2015, section 3.1.3)."""

import tensorflow as tf

from retinue.data.seeds import hash_integers
from retinue.tasks.detection.matching import BACKGROUND, OBJECT


def sample(kinds, numbers, seed, count, most_objects):
    """Draw at most `count` candidates an image: at most `most_objects` that are objects, the rest background.

    The draw is a pure function of the image's seed and the candidates' numbers, so that it depends neither on the other
    images of the batch nor on what was drawn before; none is drawn twice.

    kinds: int32 `[n, a]`, OBJECT, BACKGROUND or NEITHER; numbers: int32 `[n, a]` or `[1, a]`, of OBJECT and BACKGROUND
    each another, and none that changes with how far the image is padded; seed: int32 `[n, 2]`; the others: ints.
    Returns int32 `[n, k]`, the drawn candidates, objects first, where k is `count` or a if that is smaller; and
    float32 `[n, k]`, 1 for each drawn one, 0 where there were too few.
    """
    candidates = tf.shape(kinds)[1]
    keys = _random_keys(seed, numbers)
    objects = tf.where(kinds == OBJECT, keys, -1)
    chosen, _ = tf.math.top_k(objects, tf.minimum(most_objects, candidates))
    is_chosen = (kinds == OBJECT) & (keys >= chosen[:, -1:])
    first = tf.constant(1 << 62, tf.int64)
    order = tf.where(is_chosen, keys + first, tf.where(kinds == BACKGROUND, keys, -1))
    keys, drawn = tf.math.top_k(order, tf.minimum(count, candidates))
    return drawn, tf.cast(keys >= 0, tf.float32)


def _random_keys(seed, numbers):
    """int64 `[n, a]` from 0 to below 2 to the 62: hashes of the seeds and the candidates' numbers."""
    keys = hash_integers(seed[:, :1], seed[:, 1:], numbers)
    return tf.bitcast(tf.bitwise.right_shift(keys, tf.constant(2, tf.uint64)), tf.int64)
