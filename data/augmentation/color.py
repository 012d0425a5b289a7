"""Color jitter: brightness, contrast, saturation and hue, drawn once for each image and applied as one 3x3 matrix."""

import math

import tensorflow as tf

from retinue.configs.schema import AugmentConfig

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in ITU-R BT.601
CHROMA = ((0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))  # the axes I and Q of YIQ; each row sums to 0


def jitter_colors(image: tf.Tensor, augment: AugmentConfig, seed: tf.Tensor) -> tf.Tensor:
    """Draw a color change and apply it.

    Brightness multiplies the pixels by a factor from [1 - b, 1 + b]. Contrast blends the image with its mean gray, and
    saturation blends each pixel with its own gray, both by such a factor. Hue rotates colors by up to `augment.hue`
    turns around the gray axis of YIQ. The changes follow each other in this order, without clipping in between.

    Args:
        image: uint8 or float32 [height, width, 3] in 0..255.
        augment: The section `augment` of the configuration; `brightness`, `contrast`, `saturation` and `hue` are used.
        seed: int32 [2].

    Returns:
        float32 [height, width, 3], neither clipped nor rounded (see `to_uint8`).
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


def change_colors(
    image: tf.Tensor,
    brightness: float | tf.Tensor | None = None,
    contrast: float | tf.Tensor | None = None,
    saturation: float | tf.Tensor | None = None,
    hue: float | tf.Tensor | None = None,
) -> tf.Tensor:
    """Apply a color change.

    Args:
        image: float32 [height, width, 3].
        brightness: Factor of the brightness; 1 changes nothing. None skips this and the following changes likewise.
        contrast: Factor of the contrast.
        saturation: Factor of the saturation.
        hue: Rotation of the hue in turns.

    Returns:
        float32 [height, width, 3], not clipped.
    """
    factor, offset = 1.0 if brightness is None else brightness, None
    if contrast is not None:
        mean_gray = factor * tf.reduce_sum(tf.reduce_mean(image, (0, 1)) * LUMA)
        offset = (1.0 - contrast) * mean_gray  # saturation and hue do not change gray
        factor = factor * contrast
    if saturation is None and hue is None:
        changed = image * factor
    else:
        matrix = tf.eye(3)
        if saturation is not None:
            matrix = saturation * matrix + (1.0 - saturation) * tf.constant([LUMA] * 3)
        if hue is not None:
            matrix = _hue_matrix(hue) @ matrix
        changed = tf.matmul(tf.reshape(image, (-1, 3)), factor * matrix, transpose_b=True)
        changed = tf.ensure_shape(tf.reshape(changed, tf.shape(image)), image.shape)
    return changed if offset is None else changed + offset


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """Clip float32 pixels to 0..255 and round them to uint8, halves to even. The shape stays the same."""
    return tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)


def _hue_matrix(turns: float | tf.Tensor) -> tf.Tensor:
    """Return the matrix, float32 [3, 3], that rotates the chroma plane of YIQ by `turns` and keeps luma."""
    cosine, sine = tf.cos(2 * math.pi * turns), tf.sin(2 * math.pi * turns)
    to_yiq = tf.constant([LUMA, *CHROMA], tf.float32)
    from_yiq = tf.linalg.inv(to_yiq)
    one, zero = tf.ones_like(cosine), tf.zeros_like(cosine)
    rotation = tf.stack([[one, zero, zero], [zero, cosine, -sine], [zero, sine, cosine]])
    return from_yiq @ rotation @ to_yiq
