"""Colour jitter: brightness, contrast, saturation and hue, drawn once an image and applied as one 3x3 matrix."""

import math

import tensorflow as tf

GREY = (0.299, 0.587, 0.114)  # luma of ITU-R BT.601
IQ = ((0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))  # the two chroma axes of YIQ; each row sums to 0


def jitter_colors(image, augment, seed):
    """Draw a colour change and apply it.

    Brightness scales by a factor from [1 - b, 1 + b]; contrast blends with the image's mean grey, saturation with each
    pixel's own grey, both by such a factor; hue turns by up to `augment.hue` turns around the grey axis of YIQ. They
    follow one another in this order, without clipping in between.

    image: uint8 or float32 `[height, width, 3]` in 0..255; augment: has `brightness`, `contrast`, `saturation`, `hue`;
    seed: int32 `[2]`. Returns float32 `[height, width, 3]`, not yet clipped or rounded (see `to_uint8`).
    """
    image = tf.cast(image, tf.float32)
    amounts = (augment.brightness, augment.contrast, augment.saturation, augment.hue)
    if not any(amounts):
        return image
    draws = tf.unstack(tf.random.stateless_uniform([4], seed, -1.0, 1.0) * tf.constant(amounts, tf.float32))
    brightness, contrast, saturation = (
        1.0 + draw if amount else None for draw, amount in zip(draws[:3], amounts[:3], strict=True)
    )
    return change_colors(image, brightness, contrast, saturation, draws[3] if augment.hue else None)


def change_colors(image, brightness=None, contrast=None, saturation=None, hue=None):
    """Apply a known colour change: three factors (1 changes nothing), and hue in turns; None leaves a step out.

    image: float32 `[height, width, 3]`. Returns float32 `[height, width, 3]`, not clipped.
    """
    factor, offset = 1.0 if brightness is None else brightness, None
    if contrast is not None:
        mean_grey = factor * tf.reduce_sum(tf.reduce_mean(image, (0, 1)) * GREY)
        offset = (1.0 - contrast) * mean_grey  # grey is left alone by saturation and hue
        factor = factor * contrast
    if saturation is None and hue is None:
        changed = image * factor
    else:
        matrix = tf.eye(3)
        if saturation is not None:
            matrix = saturation * matrix + (1.0 - saturation) * tf.constant([GREY] * 3)
        if hue is not None:
            matrix = _hue_matrix(hue) @ matrix
        changed = tf.matmul(tf.reshape(image, (-1, 3)), factor * matrix, transpose_b=True)
        changed = tf.ensure_shape(tf.reshape(changed, tf.shape(image)), image.shape)
    return changed if offset is None else changed + offset


def to_uint8(image):
    """Clip float pixels to 0..255 and round them, halves to even: float32 -> uint8 of the same shape."""
    return tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)


def _hue_matrix(turns):
    """The 3x3 matrix that turns the chroma plane of YIQ by `turns` of a full turn and leaves luma alone."""
    cosine, sine = tf.cos(2 * math.pi * turns), tf.sin(2 * math.pi * turns)
    to_yiq = tf.constant([GREY, *IQ], tf.float32)
    from_yiq = tf.linalg.inv(to_yiq)
    one, zero = tf.ones_like(cosine), tf.zeros_like(cosine)
    turn = tf.stack([[one, zero, zero], [zero, cosine, -sine], [zero, sine, cosine]])
    return from_yiq @ turn @ to_yiq
