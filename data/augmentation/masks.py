"""Random augmentation of training images with masks: scale, a square crop, flips, rotations and colors."""

import math

import tensorflow as tf

from retinue.configs.schema import AugmentConfig
from retinue.data.augmentation.color import jitter_colors, to_uint8
from retinue.data.augmentation.geometry import Geometry, draw_orientation
from retinue.data.decoding.encoded_image import EncodedImage
from retinue.data.decoding.resize import full_window, round_pixels, size_of
from retinue.data.seeds import sub_seed
from retinue.data.void_label import VOID

FILL = 127  # gray, the level of pixels outside of the image


def augment_image_and_mask(
    image: tf.Tensor | EncodedImage,
    mask: tf.Tensor,
    augment: AugmentConfig,
    size: int,
    seed: tf.Tensor,
    *,
    scale_range: tuple[float, float] = (1.0, 1.0),
    rotation_degrees: float = 0.0,
    max_size: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply all random changes to a training image and its mask, which stay aligned.

    The image is scaled by a factor that is drawn from `scale_range` on a logarithmic scale, and a square is cropped at
    a random position. If the image is smaller than the square, it is padded below and to the right, with gray in the
    image and void in the mask. Flips and rotations by multiples of 90 degrees follow, then a rotation by up to
    `rotation_degrees`, whose corners are gray and void. The colors are changed as well.

    Args:
        image: uint8 [height, width, 3], or an `EncodedImage`.
        mask: uint8 [height, width], class ids.
        augment: The section `augment` of the configuration.
        size: Side of the square in pixels.
        seed: int32 [2]. The result depends on it alone.
        scale_range: Smallest and largest scale.
        rotation_degrees: Largest rotation in degrees, in both directions.
        max_size: Length in pixels to which the longer side of a larger image is downscaled before, or None.

    Returns:
        uint8 [size, size, 3], the image, and uint8 [size, size], the mask, resized by the nearest pixel.
    """
    geometry, angle = _draw(size_of(image), augment, size, scale_range, rotation_degrees, max_size, sub_seed(seed, 0))
    pixels = to_uint8(jitter_colors(geometry.crop(image), augment, sub_seed(seed, 1)))
    pixels, mask = geometry.orient_and_pad(pixels, FILL), geometry.apply_to_mask(mask)
    if rotation_degrees:
        pixels = _rotate(pixels, angle, "BILINEAR", FILL)
        mask = _rotate(mask[:, :, None], angle, "NEAREST", VOID)[:, :, 0]
    return pixels, mask


def resize_to_max_size(image: tf.Tensor | EncodedImage, max_size: int) -> tf.Tensor:
    """Downscale an image whose longer side is above `max_size`, and keep the size of others.

    Args:
        image: uint8 [height, width, 3], or an `EncodedImage`.
        max_size: Largest length of the longer side in pixels.

    Returns:
        uint8 [height, width, 3].
    """
    old = size_of(image)
    return round_pixels(Geometry(full_window(old), limit_size(old, max_size), None).crop(image))


def limit_size(old: tf.Tensor, max_size: int) -> tf.Tensor:
    """Return the size of an image after `resize_to_max_size`, int32 [2], from its height and width, int32 [2]."""
    factor = tf.minimum(max_size / tf.reduce_max(old), 1.0)
    return tf.maximum(tf.cast(tf.round(tf.cast(old, tf.float64) * factor), tf.int32), 1)


def _draw(
    old: tf.Tensor,
    augment: AugmentConfig,
    size: int,
    scale_range: tuple[float, float],
    rotation_degrees: float,
    max_size: int | None,
    seed: tf.Tensor,
) -> tuple[Geometry, tf.Tensor]:
    """Draw the geometry of an example, and the angle of its rotation in radians."""
    draws = tf.unstack(tf.random.stateless_uniform([7], seed))
    low, high = scale_range
    factor = low * (high / low) ** draws[0]
    if max_size is not None:
        factor *= tf.minimum(tf.cast(max_size, tf.float32) / tf.cast(tf.reduce_max(old), tf.float32), 1.0)
    crop = tf.minimum(tf.cast(tf.math.ceil(size / factor), tf.int32), old)
    resized_size = tf.cast(tf.round(tf.cast(crop, tf.float32) * factor), tf.int32)
    is_cropped = tf.cast(crop, tf.float32) < tf.cast(old, tf.float32)
    resized_size = tf.where(is_cropped, size, tf.clip_by_value(resized_size, 1, size))
    last_position = old - crop
    first = tf.cast(tf.stack([draws[1], draws[2]]) * tf.cast(last_position + 1, tf.float32), tf.int32)
    first = tf.minimum(first, last_position)
    window = tf.concat([first[::-1], (first + crop)[::-1]], 0)
    transpose, flip_left_right, flip_up_down = draw_orientation(augment, draws[3], draws[4], draws[5])
    angle = math.radians(rotation_degrees) * (2.0 * draws[6] - 1.0)
    return Geometry(window, resized_size, (size, size), transpose, flip_left_right, flip_up_down), angle


def _rotate(pixels: tf.Tensor, angle: tf.Tensor, interpolation: str, fill: int) -> tf.Tensor:
    """Rotate uint8 [side, side, channels] around its center by an angle in radians."""
    side = pixels.shape[0]
    cosine, sine, center = tf.cos(angle), tf.sin(angle), (side - 1) / 2
    shift_x = center - cosine * center + sine * center
    shift_y = center - sine * center - cosine * center
    rotated = tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels[None],
        transforms=tf.stack([cosine, -sine, shift_x, sine, cosine, shift_y, 0.0, 0.0])[None],
        output_shape=[side, side],
        fill_value=tf.cast(fill, tf.float32),
        interpolation=interpolation,
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(rotated[0], pixels.shape)
