"""Reading the bytes of an encoded file by TensorFlow operations, so that an exported model can do it."""

import tensorflow as tf

# The attributes of a `tf.function` that stays a function of its own in every graph that calls it. TensorFlow prepares
# its nodes when it is first called, and not for each input pipeline. The function must not raise errors: they would be
# replaced by a `CancelledError`.
NOT_INLINED = {"_noinline": True}


def read_bytes(encoded: tf.Tensor, position: int | tf.Tensor, count: int) -> tf.Tensor:
    """Return `count` bytes from `position` on as int64 [count], with zeros beyond the end of the file."""
    length = tf.cast(tf.strings.length(encoded), tf.int64)
    position = tf.clip_by_value(tf.cast(position, tf.int64), tf.constant(0, tf.int64), length)
    part = tf.strings.substr(encoded, position, tf.constant(count, tf.int64))
    return tf.cast(tf.io.decode_raw(part, tf.uint8, fixed_length=count), tf.int64)


def to_unsigned(values: tf.Tensor, little_endian: bool | tf.Tensor) -> tf.Tensor:
    """Return the unsigned integers whose bytes are along the last axis of `values`, int64 [..., n]."""
    powers = 256 ** tf.range(values.shape[-1], dtype=tf.int64)
    return tf.reduce_sum(values * tf.where(little_endian, powers, powers[::-1]), axis=-1)


def equals(values: tf.Tensor, expected: bytes) -> tf.Tensor:
    """Return whether the bytes `values`, int64 [n], are the n bytes `expected`, as a bool scalar."""
    return tf.reduce_all(values == tf.constant(list(expected), tf.int64))
