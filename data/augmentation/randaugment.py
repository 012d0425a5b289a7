"""RandAugment (Cubuk et al. 2020, "RandAugment: Practical automated data augmentation with a reduced search space").

The operations and their ranges are those of AutoAugment (Cubuk et al. 2019, table 6), each made of TensorFlow ops that
work on uint8 pixels. Magnitude 10 is the end of those ranges, as in the paper, and a larger one goes beyond.
"""

import math

import tensorflow as tf

from retinue.data.augmentation.color import change_colors, to_uint8
from retinue.data.seeds import sub_seed

FILL = 128  # what comes in from outside the picture
LARGEST_MAGNITUDE = 10
MOST_SHEAR = 0.3
MOST_TRANSLATION = 0.45  # of the width or height: AutoAugment's 150 of 331 pixels
MOST_DEGREES = 30.0
MOST_CHANGE = 0.9  # of color, contrast, brightness and sharpness, to both sides of 1
MOST_BITS = 4  # that posterize takes away


def rand_augment(image, layers, magnitude, seed):
    """Apply `layers` operations, each drawn uniformly from the fourteen of `operations`.

    image: uint8 `[height, width, 3]`; layers: int; magnitude: number, 0 to 30; seed: int32 `[2]`. Returns uint8 of the
    same shape.
    """
    shape = image.shape
    for layer in range(layers):
        draws = tf.random.stateless_uniform([2], sub_seed(seed, layer))
        sign = tf.where(draws[1] < 0.5, -1.0, 1.0)
        branches = [_bind(operation, image, sign) for operation in operations(magnitude).values()]
        index = tf.minimum(tf.cast(draws[0] * len(branches), tf.int32), len(branches) - 1)
        image = tf.switch_case(index, branches)
        image.set_shape(shape)
    return image


def operations(magnitude):
    """The fourteen operations at `magnitude`, by name: functions (uint8 image, float32 sign) -> image."""
    strength = magnitude / LARGEST_MAGNITUDE
    change, shear_by = MOST_CHANGE * strength, MOST_SHEAR * strength
    shift, angle = MOST_TRANSLATION * strength, math.radians(MOST_DEGREES * strength)
    bits = min(round(MOST_BITS * strength), 7)
    threshold = max(round(256 * (1 - strength)), 0)
    return {
        "identity": lambda image, sign: image,
        "autocontrast": lambda image, sign: autocontrast(image),
        "equalize": lambda image, sign: equalize(image),
        "rotate": lambda image, sign: rotate(image, sign * angle),
        "solarize": lambda image, sign: solarize(image, threshold),
        "color": lambda image, sign: _recolor(image, saturation=_factor(sign, change)),
        "posterize": lambda image, sign: posterize(image, 8 - bits),
        "contrast": lambda image, sign: _recolor(image, contrast=_factor(sign, change)),
        "brightness": lambda image, sign: _recolor(image, brightness=_factor(sign, change)),
        "sharpness": lambda image, sign: sharpen(image, _factor(sign, change)),
        "shear_x": lambda image, sign: warp(image, 1.0, sign * shear_by, 0.0, 1.0),
        "shear_y": lambda image, sign: warp(image, 1.0, 0.0, sign * shear_by, 1.0),
        "translate_x": lambda image, sign: translate(image, 0.0, sign * shift),
        "translate_y": lambda image, sign: translate(image, sign * shift, 0.0),
    }


def autocontrast(image):
    """Stretch each channel to 0..255: uint8 `[height, width, 3]` -> the same. A channel of one level stays as it is."""
    low = tf.cast(tf.reduce_min(image, (0, 1)), tf.float32)
    high = tf.cast(tf.reduce_max(image, (0, 1)), tf.float32)
    is_flat = high == low
    scale = tf.where(is_flat, 1.0, 255.0 / (high - low))
    offset = tf.where(is_flat, 0.0, low * scale)
    rows, width = _rows(image)
    stretched = tf.cast(rows, tf.float32) * tf.tile(scale, [width]) - tf.tile(offset, [width])
    return tf.reshape(to_uint8(stretched), tf.shape(image))


def equalize(image):
    """Make a channel's levels equally frequent, as Pillow's `ImageOps.equalize`: uint8 `[height, width, 3]` -> same."""
    rows, width = _rows(image)
    index = tf.cast(rows, tf.int32) + tf.tile([0, 256, 512], [width])
    counts = tf.reshape(tf.math.bincount(tf.reshape(index, (-1,)), minlength=768, maxlength=768), (3, 256))
    highest = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0), axis=1)
    rest = tf.reduce_sum(counts, axis=1) - tf.gather(counts, highest, batch_dims=1)
    step = (rest // 255)[:, None]
    table = tf.minimum((tf.cumsum(counts, axis=1, exclusive=True) + step // 2) // tf.maximum(step, 1), 255)
    table = tf.where(step == 0, tf.range(256), table)
    return tf.reshape(tf.gather(tf.cast(tf.reshape(table, (-1,)), tf.uint8), index), tf.shape(image))


def solarize(image, threshold):
    """Invert the levels from `threshold` (int, 0 to 256) on: uint8 -> uint8 of the same shape."""
    # Exclusive or with 255 inverts; tf.where on bytes takes eight times as long.
    if threshold >= 256:
        return image
    inverted = tf.cast(image >= tf.constant(threshold, tf.uint8), tf.uint8) * 255
    return tf.bitwise.bitwise_xor(image, inverted)


def posterize(image, bits):
    """Keep the highest `bits` (int, 1 to 8) of each level: uint8 -> uint8 of the same shape."""
    return tf.bitwise.bitwise_and(image, tf.constant(256 - 2 ** (8 - bits), tf.uint8))


def sharpen(image, factor):
    """Move away from (factor > 1) or towards (below 1) a smoothed image; factor 1 changes nothing.

    image: uint8 `[height, width, 3]`; smoothed by Pillow's 3x3 kernel (5 in the centre, 1 around, over 13), the border
    being repeated outwards. Returns uint8 of the same shape.
    """
    smooth = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13.0
    same = tf.constant([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    kernel = tf.tile((smooth + factor * (same - smooth))[:, :, None, None], [1, 1, 3, 1])
    padded = tf.concat([image[:1], image, image[-1:]], 0)
    padded = tf.cast(tf.concat([padded[:, :1], padded, padded[:, -1:]], 1), tf.float32)
    return to_uint8(tf.nn.depthwise_conv2d(padded[None], kernel, [1, 1, 1, 1], "VALID")[0])


def rotate(image, angle):
    """Turn around the centre by `angle` (radians, counter-clockwise as seen); what comes in from outside is grey."""
    cosine, sine = tf.cos(angle), tf.sin(angle)
    return warp(image, cosine, -sine, sine, cosine)


def translate(image, down, right):
    """Shift by shares of the height and the width; what comes in is grey. uint8 `[height, width, 3]` -> the same."""
    size = tf.shape(image)[:2]
    shift = tf.cast(tf.round(tf.stack([down, right]) * tf.cast(size, tf.float32)), tf.int32)
    shift = tf.clip_by_value(shift, -size, size)
    before, after = tf.maximum(shift, 0), tf.maximum(-shift, 0)
    kept = image[after[0] : size[0] - before[0], after[1] : size[1] - before[1]]
    return tf.pad(kept, [[before[0], after[0]], [before[1], after[1]], [0, 0]], constant_values=FILL)


def warp(image, xx, xy, yx, yy):
    """Linear map around the centre: the new pixel at (x, y) is the old one nearest to (xx x + xy y, yx x + yy y).

    image: uint8 `[height, width, 3]`; xx to yy: float scalars. Returns uint8 of the same shape, grey where the old
    place lies outside.
    """
    # A gather from the padded picture; ImageProjectiveTransform takes twice as long for the same pixels.
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    centre_x, centre_y = tf.cast(width - 1, tf.float32) / 2, tf.cast(height - 1, tf.float32) / 2
    x = (tf.range(tf.cast(width, tf.float32)) - centre_x)[None, :]
    y = (tf.range(tf.cast(height, tf.float32)) - centre_y)[:, None]
    # 1 for the border that is padded on, 0.5 to round by cutting off
    column = tf.clip_by_value(tf.cast(tf.floor(xx * x + (xy * y + (centre_x + 1.5))), tf.int32), 0, width + 1)
    row = tf.clip_by_value(tf.cast(tf.floor(yx * x + (yy * y + (centre_y + 1.5))), tf.int32), 0, height + 1)
    padded = tf.pad(image, [[1, 1], [1, 1], [0, 0]], constant_values=FILL)
    return tf.gather(tf.reshape(padded, (-1, 3)), row * (width + 2) + column)


def _rows(image):
    """The image as `[height, 3 * width]`: TensorFlow is slow to broadcast along an axis of 3. And its width."""
    width = tf.shape(image)[1]
    return tf.reshape(image, (-1, 3 * width)), width


def _recolor(image, **changes):
    return to_uint8(change_colors(tf.cast(image, tf.float32), **changes))


def _factor(sign, change):
    return tf.maximum(1.0 + sign * change, 0.0)


def _bind(operation, image, sign):
    return lambda: operation(image, sign)
