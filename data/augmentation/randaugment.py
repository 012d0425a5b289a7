"""RandAugment (Cubuk et al. 2020, "RandAugment: Practical automated data augmentation with a reduced search space").

The operations and their ranges are those of AutoAugment (Cubuk et al. 2019, table 6). Each consists of TensorFlow
operations on uint8 pixels. Magnitude 10 is the end of the ranges, as in the paper; larger magnitudes go beyond it.
"""

import math
from collections.abc import Callable

import tensorflow as tf

from retinue.data.augmentation.color import change_colors, to_uint8
from retinue.data.seeds import sub_seed

FILL = 128  # gray, the level of pixels outside of the image
FULL_MAGNITUDE = 10
MAX_SHEAR = 0.3
MAX_TRANSLATION = 0.45  # fraction of the height or width: AutoAugment's 150 of 331 pixels
MAX_DEGREES = 30.0
MAX_CHANGE = 0.9  # of the factors of color, contrast, brightness and sharpness, in both directions from 1
MAX_REMOVED_BITS = 4  # by posterize

Operation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # from a uint8 image and a float32 sign to a uint8 image


def rand_augment(image: tf.Tensor, num_ops: int, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Apply operations, each drawn uniformly from the fourteen of `operations`.

    Args:
        image: uint8 [height, width, 3].
        num_ops: Number of operations.
        magnitude: Their magnitude, 0 to 30.
        seed: int32 [2].

    Returns:
        uint8 [height, width, 3].
    """
    shape = image.shape
    for number in range(num_ops):
        draws = tf.random.stateless_uniform([2], sub_seed(seed, number))
        sign = tf.where(draws[1] < 0.5, -1.0, 1.0)
        branches = [_bind(operation, image, sign) for operation in operations(magnitude).values()]
        index = tf.minimum(tf.cast(draws[0] * len(branches), tf.int32), len(branches) - 1)
        image = tf.switch_case(index, branches)
        image.set_shape(shape)
    return image


def operations(magnitude: float) -> dict[str, Operation]:
    """Return the fourteen operations by name.

    Args:
        magnitude: Their magnitude, 0 to 30.
    """
    strength = magnitude / FULL_MAGNITUDE
    change, shear = MAX_CHANGE * strength, MAX_SHEAR * strength
    shift, angle = MAX_TRANSLATION * strength, math.radians(MAX_DEGREES * strength)
    removed_bits = min(round(MAX_REMOVED_BITS * strength), 7)
    threshold = max(round(256 * (1 - strength)), 0)
    return {
        "identity": lambda image, sign: image,
        "autocontrast": lambda image, sign: autocontrast(image),
        "equalize": lambda image, sign: equalize(image),
        "rotate": lambda image, sign: rotate(image, sign * angle),
        "solarize": lambda image, sign: solarize(image, threshold),
        "color": lambda image, sign: _change_colors(image, saturation=_factor(sign, change)),
        "posterize": lambda image, sign: posterize(image, 8 - removed_bits),
        "contrast": lambda image, sign: _change_colors(image, contrast=_factor(sign, change)),
        "brightness": lambda image, sign: _change_colors(image, brightness=_factor(sign, change)),
        "sharpness": lambda image, sign: sharpen(image, _factor(sign, change)),
        "shear_x": lambda image, sign: warp(image, 1.0, sign * shear, 0.0, 1.0),
        "shear_y": lambda image, sign: warp(image, 1.0, 0.0, sign * shear, 1.0),
        "translate_x": lambda image, sign: translate(image, 0.0, sign * shift),
        "translate_y": lambda image, sign: translate(image, sign * shift, 0.0),
    }


def autocontrast(image: tf.Tensor) -> tf.Tensor:
    """Stretch the levels of each channel to 0..255. A channel with only one level is not changed.

    Args:
        image: uint8 [height, width, 3].

    Returns:
        uint8 [height, width, 3].
    """
    low = tf.cast(tf.reduce_min(image, (0, 1)), tf.float32)
    high = tf.cast(tf.reduce_max(image, (0, 1)), tf.float32)
    is_flat = high == low
    scale = tf.where(is_flat, 1.0, 255.0 / (high - low))
    offset = tf.where(is_flat, 0.0, low * scale)
    rows, width = _flatten_channels(image)
    stretched = tf.cast(rows, tf.float32) * tf.tile(scale, [width]) - tf.tile(offset, [width])
    return tf.reshape(to_uint8(stretched), tf.shape(image))


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Make the levels of each channel equally frequent, as Pillow's `ImageOps.equalize` does.

    Args:
        image: uint8 [height, width, 3].

    Returns:
        uint8 [height, width, 3].
    """
    rows, width = _flatten_channels(image)
    index = tf.cast(rows, tf.int32) + tf.tile([0, 256, 512], [width])
    counts = tf.reshape(tf.math.bincount(tf.reshape(index, (-1,)), minlength=768, maxlength=768), (3, 256))
    highest = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0), axis=1)
    rest = tf.reduce_sum(counts, axis=1) - tf.gather(counts, highest, batch_dims=1)
    step = (rest // 255)[:, None]
    table = tf.minimum((tf.cumsum(counts, axis=1, exclusive=True) + step // 2) // tf.maximum(step, 1), 255)
    table = tf.where(step == 0, tf.range(256), table)
    return tf.reshape(tf.gather(tf.cast(tf.reshape(table, (-1,)), tf.uint8), index), tf.shape(image))


def solarize(image: tf.Tensor, threshold: int) -> tf.Tensor:
    """Invert the levels from `threshold` on, an int from 0 to 256: uint8 -> uint8 of the same shape."""
    # Exclusive or with 255 inverts a byte; tf.where on bytes takes eight times as long.
    if threshold >= 256:
        return image
    mask = tf.cast(image >= tf.constant(threshold, tf.uint8), tf.uint8) * 255
    return tf.bitwise.bitwise_xor(image, mask)


def posterize(image: tf.Tensor, bits: int) -> tf.Tensor:
    """Keep only the highest `bits` of each level, an int from 1 to 8: uint8 -> uint8 of the same shape."""
    return tf.bitwise.bitwise_and(image, tf.constant(256 - 2 ** (8 - bits), tf.uint8))


def sharpen(image: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    """Sharpen or smooth an image by moving it away from a smoothed version, or towards it.

    The smoothed version uses Pillow's 3x3 kernel (5 in the center, 1 around it, divided by 13), with the border pixels
    repeated outwards.

    Args:
        image: uint8 [height, width, 3].
        factor: Above 1 sharpens, below 1 smooths, and 1 changes nothing.

    Returns:
        uint8 [height, width, 3].
    """
    smooth = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13.0
    identity = tf.constant([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    kernel = tf.tile((smooth + factor * (identity - smooth))[:, :, None, None], [1, 1, 3, 1])
    padded = tf.concat([image[:1], image, image[-1:]], 0)
    padded = tf.cast(tf.concat([padded[:, :1], padded, padded[:, -1:]], 1), tf.float32)
    return to_uint8(tf.nn.depthwise_conv2d(padded[None], kernel, [1, 1, 1, 1], "VALID")[0])


def rotate(image: tf.Tensor, angle: float | tf.Tensor) -> tf.Tensor:
    """Rotate an image around its center. Pixels from outside the image are gray.

    Args:
        image: uint8 [height, width, 3].
        angle: Angle in radians, counterclockwise.

    Returns:
        uint8 [height, width, 3].
    """
    cosine, sine = tf.cos(angle), tf.sin(angle)
    return warp(image, cosine, -sine, sine, cosine)


def translate(image: tf.Tensor, down: float | tf.Tensor, right: float | tf.Tensor) -> tf.Tensor:
    """Shift an image. Pixels from outside the image are gray.

    Args:
        image: uint8 [height, width, 3].
        down: Shift downwards as a fraction of the height.
        right: Shift to the right as a fraction of the width.

    Returns:
        uint8 [height, width, 3].
    """
    size = tf.shape(image)[:2]
    shift = tf.cast(tf.round(tf.stack([down, right]) * tf.cast(size, tf.float32)), tf.int32)
    shift = tf.clip_by_value(shift, -size, size)
    before, after = tf.maximum(shift, 0), tf.maximum(-shift, 0)
    kept = image[after[0] : size[0] - before[0], after[1] : size[1] - before[1]]
    return tf.pad(kept, [[before[0], after[0]], [before[1], after[1]], [0, 0]], constant_values=FILL)


def warp(
    image: tf.Tensor,
    xx: float | tf.Tensor,
    xy: float | tf.Tensor,
    yx: float | tf.Tensor,
    yy: float | tf.Tensor,
) -> tf.Tensor:
    """Apply a linear map around the center by nearest-neighbor interpolation.

    With coordinates relative to the center, the new pixel at (x, y) is the old one at (xx x + xy y, yx x + yy y).

    Args:
        image: uint8 [height, width, 3].
        xx: float scalar, as above.
        xy: float scalar, as above.
        yx: float scalar, as above.
        yy: float scalar, as above.

    Returns:
        uint8 [height, width, 3], gray where the old pixel would be outside of the image.
    """
    # This gathers from the padded image; ImageProjectiveTransform takes twice as long for the same pixels.
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    center_x, center_y = tf.cast(width - 1, tf.float32) / 2, tf.cast(height - 1, tf.float32) / 2
    x = (tf.range(tf.cast(width, tf.float32)) - center_x)[None, :]
    y = (tf.range(tf.cast(height, tf.float32)) - center_y)[:, None]
    # 1.5 is 1 for the padded border and 0.5 for rounding by truncation.
    column = tf.clip_by_value(tf.cast(tf.floor(xx * x + (xy * y + (center_x + 1.5))), tf.int32), 0, width + 1)
    row = tf.clip_by_value(tf.cast(tf.floor(yx * x + (yy * y + (center_y + 1.5))), tf.int32), 0, height + 1)
    padded = tf.pad(image, [[1, 1], [1, 1], [0, 0]], constant_values=FILL)
    return tf.gather(tf.reshape(padded, (-1, 3)), row * (width + 2) + column)


def _flatten_channels(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the image as [height, 3 * width], and its width. TensorFlow is slow to broadcast along an axis of 3."""
    width = tf.shape(image)[1]
    return tf.reshape(image, (-1, 3 * width)), width


def _change_colors(image: tf.Tensor, **changes: tf.Tensor) -> tf.Tensor:
    return to_uint8(change_colors(tf.cast(image, tf.float32), **changes))


def _factor(sign: tf.Tensor, change: float) -> tf.Tensor:
    return tf.maximum(1.0 + sign * change, 0.0)


def _bind(operation: Operation, image: tf.Tensor, sign: tf.Tensor) -> Callable[[], tf.Tensor]:
    return lambda: operation(image, sign)
