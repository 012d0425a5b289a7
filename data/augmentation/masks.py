"""Random changes to a training picture with a mask: scale, a square cut out, flips, turns, colours."""

import math

import tensorflow as tf

from retinue.data.augmentation.color import jitter_colors, to_uint8
from retinue.data.augmentation.geometry import Geometry
from retinue.data.decoding.resize import round_pixels, size_of
from retinue.data.seeds import sub_seed
from retinue.data.void_label import VOID

FILL = 127  # grey, what lies outside of the picture


def augment_mask_image(image, mask, changes, size, seed, *, scale=(1.0, 1.0), rotation=0.0, longest=None):
    """All random changes to one training picture and its mask, which stay on each other.

    A square of `size` is cut anywhere out of the picture, scaled by a factor drawn from `scale` on a log scale. Where
    the picture is smaller than the square, grey is put below and to the right of it, and void in the mask. Then flips,
    quarter turns and a turn by up to `rotation` degrees, whose corners are grey and void. Colours change at last.

    image: uint8 `[h, w, 3]`, or an `EncodedImage`; mask: uint8 `[h, w]`; changes: the section `augment` of the
    configuration; size: int; seed: int32 `[2]`, which alone decides; longest: int, what a larger picture is made
    smaller to before `scale`.
    Returns uint8 `[size, size, 3]`, uint8 `[size, size]`; the mask by the nearest pixel.
    """
    geometry, angle = _draw(size_of(image), changes, size, scale, rotation, longest, sub_seed(seed, 0))
    pixels = to_uint8(jitter_colors(geometry.cut(image), changes, sub_seed(seed, 1)))
    pixels, mask = geometry.place(pixels, FILL), geometry.apply_to_mask(mask)
    if rotation:
        pixels = _rotated(pixels, angle, "BILINEAR", FILL)
        mask = _rotated(mask[:, :, None], angle, "NEAREST", VOID)[:, :, 0]
    return pixels, mask


def resize_for_net(image, longest):
    """The picture (pixels or an `EncodedImage`) with its longer side at `longest` or, where it is smaller, as it is:
    uint8 `[h', w', 3]`."""
    old = size_of(image)
    return round_pixels(Geometry(_whole(old), bounded_size(old, longest), None).cut(image))


def bounded_size(old, longest):
    """(height, width), int32 `[2]`, of a picture of size `old` whose longer side is at most `longest`."""
    factor = tf.minimum(longest / tf.reduce_max(old), 1.0)
    return tf.maximum(tf.cast(tf.round(tf.cast(old, tf.float64) * factor), tf.int32), 1)


def _draw(old, changes, size, scale, rotation, longest, seed):
    """The `Geometry`, and the angle in radians."""
    draws = tf.unstack(tf.random.stateless_uniform([7], seed))
    low, high = scale
    factor = low * (high / low) ** draws[0]
    if longest is not None:
        factor *= tf.minimum(tf.cast(longest, tf.float32) / tf.cast(tf.reduce_max(old), tf.float32), 1.0)
    old_sides = tf.cast(old, tf.float32)
    window = tf.minimum(tf.cast(tf.math.ceil(size / factor), tf.int32), old)
    inner = tf.cast(tf.round(tf.cast(window, tf.float32) * factor), tf.int32)
    inner = tf.where(tf.cast(window, tf.float32) < old_sides, size, tf.clip_by_value(inner, 1, size))
    room = old - window
    first = tf.cast(tf.stack([draws[1], draws[2]]) * tf.cast(room + 1, tf.float32), tf.int32)
    first = tf.minimum(first, room)
    window = tf.concat([first[::-1], (first + window)[::-1]], 0)
    transposed, mirrored, upside_down = False, False, False
    if changes.horizontal_flip:
        mirrored = draws[3] < 0.5
    if changes.vertical_flip:
        upside_down = draws[4] < 0.5
    if changes.random_rot90:  # counter-clockwise: 1 is transposed and upside down, 2 is both flips, 3 the other
        turns = tf.cast(draws[5] * 4, tf.int32)
        transposed = turns % 2 == 1
        mirrored = tf.not_equal(mirrored, turns >= 2)
        upside_down = tf.not_equal(upside_down, (turns == 1) | (turns == 2))
    angle = math.radians(rotation) * (2.0 * draws[6] - 1.0)
    return Geometry(window, inner, (size, size), transposed, mirrored, upside_down), angle


def _rotated(pixels, angle, interpolation, fill):
    """Turned about its centre: `[s, s, c]` of uint8."""
    side = pixels.shape[0]
    cosine, sine, centre = tf.cos(angle), tf.sin(angle), (side - 1) / 2
    shift_x = centre - cosine * centre + sine * centre
    shift_y = centre - sine * centre - cosine * centre
    turned = tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels[None],
        transforms=tf.stack([cosine, -sine, shift_x, sine, cosine, shift_y, 0.0, 0.0])[None],
        output_shape=[side, side],
        fill_value=tf.cast(fill, tf.float32),
        interpolation=interpolation,
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(turned[0], pixels.shape)


def _whole(old):
    return tf.stack([0, 0, old[1], old[0]])
