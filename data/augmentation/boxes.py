"""Random augmentation of training images with boxes: a crop that keeps an object, scale, flips, rotations, colors."""

import tensorflow as tf

from retinue.configs.schema import AugmentConfig
from retinue.data.augmentation.color import jitter_colors, to_uint8
from retinue.data.augmentation.geometry import Geometry, draw_orientation, window_size
from retinue.data.augmentation.randaugment import rand_augment
from retinue.data.decoding.encoded_image import EncodedImage
from retinue.data.decoding.resize import full_window, round_pixels, size_of
from retinue.data.seeds import sub_seed

MIN_VISIBLE_FRACTION = 0.3  # of a box's area; an object of which the crop keeps less is removed
MIN_SCALE = 0.8  # with random crops, the image is also made smaller than `detection_size`, at most by this factor


def augment_image_and_boxes(
    image: tf.Tensor | EncodedImage,
    boxes: tf.Tensor,
    labels: tf.Tensor,
    augment: AugmentConfig,
    min_size: int,
    max_size: int,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Apply all random changes to a training image and its boxes.

    The crop has an area from `augment.crop_scale` and an aspect ratio from `augment.crop_aspect`. It contains a random
    object, entirely if the object is smaller than the crop; without objects, the crop can be anywhere. The crop is
    resized to `detection_size`, multiplied by a scale from 0.8 to 1. Therefore, the crop makes objects larger and the
    scale makes them smaller. A crop_scale of [1, 1] turns both off. Boxes are clipped to the crop, and those of which
    less than 0.3 of the area is left are removed. A crop that would remove all objects is not used.

    Args:
        image: uint8 [height, width, 3], or an `EncodedImage`.
        boxes: float32 [m, 4], x1, y1, x2, y2 in pixels of the image.
        labels: int32 [m]. Negative labels (for example of crowds) are not objects: no crop is made for them, and they
            are kept if any part of them is visible.
        augment: The section `augment` of the configuration.
        min_size: Length of the shorter side of the resized image in pixels.
        max_size: Largest length of its longer side in pixels.
        seed: int32 [2]. The result depends on it alone.

    Returns:
        uint8 [height, width, 3], the image; float32 [k, 4], the boxes in its pixels; and int32 [k], their labels.
    """
    geometry, kept = _draw(size_of(image), boxes, labels, augment, min_size, max_size, sub_seed(seed, 0))
    boxes, _ = geometry.apply_to_boxes(boxes)
    pixels = to_uint8(jitter_colors(geometry.crop(image), augment, sub_seed(seed, 1)))
    if augment.randaugment_num_ops:
        pixels = rand_augment(pixels, augment.randaugment_num_ops, augment.randaugment_magnitude, sub_seed(seed, 2))
    pixels = tf.ensure_shape(geometry.orient(pixels), [None, None, 3])
    return pixels, tf.boolean_mask(boxes, kept), tf.boolean_mask(labels, kept)


def resize_image_and_boxes(
    image: tf.Tensor | EncodedImage, boxes: tf.Tensor, min_size: int, max_size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Resize an image and its boxes to `detection_size`, without anything random, for evaluation.

    Args:
        image: uint8 [height, width, 3], or an `EncodedImage`.
        boxes: float32 [m, 4], x1, y1, x2, y2 in pixels of the image.
        min_size: As for `detection_size`.
        max_size: As for `detection_size`.

    Returns:
        uint8 [height, width, 3], the resized image, and float32 [m, 4], the boxes in its pixels.
    """
    old = size_of(image)
    geometry = Geometry(full_window(old), detection_size(old, min_size, max_size), None)
    return round_pixels(geometry.crop(image)), geometry.apply_to_boxes(boxes)[0]


def detection_size(old: tf.Tensor, min_size: int, max_size: int, scale: float | tf.Tensor = 1.0) -> tf.Tensor:
    """Compute the size to which detection resizes an image.

    Args:
        old: int32 [2], height and width of the image in pixels.
        min_size: Length of the shorter side in pixels, unless the longer side would be above `max_size`.
        max_size: Largest length of the longer side in pixels.
        scale: Factor by which the result is multiplied.

    Returns:
        int32 [2], height and width in pixels, rounded down as in torchvision's detectors.
    """
    sides = tf.cast(old, tf.float64)
    limits = tf.constant([min_size, max_size], tf.float64)
    factor = tf.reduce_min(limits / tf.stack([tf.reduce_min(sides), tf.reduce_max(sides)])) * tf.cast(scale, tf.float64)
    return tf.maximum(tf.cast(tf.floor(sides * factor + 1e-6), tf.int32), 1)


def _draw(
    old: tf.Tensor,
    boxes: tf.Tensor,
    labels: tf.Tensor,
    augment: AugmentConfig,
    min_size: int,
    max_size: int,
    seed: tf.Tensor,
) -> tuple[Geometry, tf.Tensor]:
    """Draw the geometry of an example. Also returns which boxes are kept, bool [m]."""
    draws = tf.unstack(tf.random.stateless_uniform([9], seed))
    window = _draw_window(old, boxes, labels, augment, draws[:5])
    is_object = labels >= 0
    is_visible = is_object & (_visible_fraction(boxes, window) >= MIN_VISIBLE_FRACTION)
    removes_all = tf.reduce_any(is_object) & ~tf.reduce_any(is_visible)
    window = tf.where(removes_all, full_window(old), window)
    fraction = _visible_fraction(boxes, window)
    kept = tf.where(is_object, fraction >= MIN_VISIBLE_FRACTION, fraction > 0)
    is_cropped = tuple(augment.crop_scale) != (1.0, 1.0)
    scale = MIN_SCALE ** draws[5] if is_cropped else 1.0
    resized_size = detection_size(window_size(window), min_size, max_size, scale)
    transpose, flip_left_right, flip_up_down = draw_orientation(augment, draws[6], draws[7], draws[8])
    return Geometry(window, resized_size, None, transpose, flip_left_right, flip_up_down), kept


def _draw_window(
    old: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, augment: AugmentConfig, draws: list[tf.Tensor]
) -> tf.Tensor:
    """Draw the window of a random crop, int32 [4], from numbers for area, aspect ratio, object and position (two)."""
    low, high = augment.crop_scale
    area = low + draws[0] * (high - low)
    low, high = augment.crop_aspect
    aspect = tf.clip_by_value(low * (high / low) ** draws[1], area, 1 / area)  # relative to the image's own
    sides = tf.cast(old, tf.float32) * tf.stack([tf.sqrt(area / aspect), tf.sqrt(area * aspect)])
    sides = tf.cast(tf.clip_by_value(tf.cast(tf.round(sides), tf.int32), 1, old), tf.float32)
    last_position = tf.cast(old, tf.float32) - sides
    objects = tf.boolean_mask(boxes, labels >= 0)
    count = tf.shape(objects)[0]
    # The whole image is added as a last row, so that there is one to draw if there is no object.
    objects = tf.concat([objects, tf.cast([[0, 0, old[1], old[0]]], tf.float32)], 0)
    chosen = objects[tf.cast(draws[2] * tf.cast(tf.maximum(count, 1), tf.float32), tf.int32)]
    begin, end = chosen[1::-1], chosen[3:1:-1]
    # The first pixel of the crop lies between these two: then the box is in the crop, or, if larger, the crop in it.
    first, last = tf.minimum(begin, end - sides), tf.maximum(begin, end - sides)
    first = tf.clip_by_value(tf.math.ceil(first), 0.0, last_position)
    last = tf.clip_by_value(tf.floor(last), 0.0, last_position)
    position = tf.stack([draws[3], draws[4]])
    first = tf.minimum(tf.floor(first + position * (tf.maximum(last - first, 0.0) + 1.0)), tf.maximum(first, last))
    first = tf.clip_by_value(first, 0.0, last_position)
    return tf.cast(tf.concat([first[::-1], (first + sides)[::-1]], 0), tf.int32)


def _visible_fraction(boxes: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """Return the fraction of the area of each box that lies in the window, float32 [m]."""
    window = tf.cast(window, tf.float32)
    corners = tf.reshape(boxes, (-1, 2, 2))
    visible = tf.clip_by_value(corners, window[:2], window[2:])
    visible_area, area = (tf.reduce_prod(each[:, 1] - each[:, 0], axis=1) for each in (visible, corners))
    return visible_area / tf.maximum(area, 1e-6)
