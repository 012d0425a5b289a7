"""The k largest of many values, as in `tf.math.top_k`, but in operations that are fast in OpenVINO, too.

OpenVINO's TopK takes k times as long for k values as for one. It took 190 ms to select the best 1000 of 57,600 logits,
which was a fifth of the time of a whole detector.
"""

import tensorflow as tf

HALVINGS = 32  # bisection steps over the range of the values, more than float32 can distinguish


def top_k_indices(values: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """Find the indices of the `count` largest values of each row, in ascending order of the indices.

    Args:
        values: float32 `[n, a]`, finite.
        count: int or int32 scalar, at most a. Of equal values at the end, the later ones are left out.

    Returns:
        int32 `[n, count]`.
    """
    low = tf.reduce_min(values, 1, keepdims=True)
    high = tf.reduce_max(values, 1, keepdims=True) + 1.0
    wanted = tf.cast(count, tf.float32)
    for _ in range(HALVINGS):  # always, `count` or more values are >= `low`, and fewer are >= `high`
        middle = 0.5 * (low + high)
        is_enough = tf.reduce_sum(tf.cast(values >= middle, tf.float32), 1, keepdims=True) >= wanted
        low, high = tf.where(is_enough, middle, low), tf.where(is_enough, high, middle)
    larger = values >= high
    equal = tf.cast((values >= low) & ~larger, tf.int32)
    remaining = count - tf.reduce_sum(tf.cast(larger, tf.int32), 1, keepdims=True)
    is_selected = larger | ((equal > 0) & (tf.cumsum(equal, 1) <= remaining))
    position = tf.cumsum(tf.cast(is_selected, tf.int32), 1)
    shape = tf.shape(values)
    rows, columns = tf.expand_dims(tf.range(shape[0]), 1), tf.expand_dims(tf.range(shape[1]), 0)
    # Each row of the result has one slot more than wanted. It takes everything that is not selected.
    slot = tf.where(is_selected, position - 1, count) + rows * (count + 1)
    columns = tf.reshape(columns + tf.zeros_like(slot), [-1])
    indices = tf.zeros([shape[0] * (count + 1)], tf.int32)
    indices = tf.tensor_scatter_nd_update(indices, tf.reshape(slot, [-1, 1]), columns)
    return tf.reshape(indices, [shape[0], count + 1])[:, :count]
