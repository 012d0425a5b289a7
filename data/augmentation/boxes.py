"""Random changes to a training picture with boxes: a crop that keeps an object, scale, flips, turns, colours."""

import tensorflow as tf

from retinue.data.augmentation.color import jitter_colors, to_uint8
from retinue.data.augmentation.geometry import Geometry
from retinue.data.augmentation.randaugment import rand_augment
from retinue.data.decoding.resize import round_pixels, size_of
from retinue.data.seeds import sub_seed

LEAST_VISIBLE = 0.3  # share of a box's area; an object that the crop leaves less of is dropped
SMALLEST_SCALE = 0.8  # with random crops the picture is also made smaller than the rule says, down to this


def augment_boxes_image(image, boxes, labels, changes, shorter, longest, seed):
    """All random changes to one training picture and its boxes.

    The crop has `changes.crop_scale` of the area and a `changes.crop_aspect` of the aspect, and lies around an object
    drawn at random, wholly where it is smaller than the crop (without objects it lies anywhere). The crop is resized by
    `size_by_rule`, times a scale from 0.8 to 1. So objects get larger by the crop and smaller by the scale; crop_scale
    [1, 1] turns both off. A box is clipped to the crop, and dropped when less than 0.3 of its area is left; a crop that
    would drop all is not made.

    image: uint8 `[h, w, 3]`, or an `EncodedImage`. boxes: float32 `[m, 4]`, x1, y1, x2, y2 in its pixels; labels: int32
    `[m]`, kept along with the boxes (negative ones, as of crowds, are no objects: no crop is made for them, and all
    that is seen stays).
    changes: the section `augment` of the configuration; shorter, longest: int, of the resized picture's sides;
    seed: int32 `[2]`, which alone decides.
    Returns image uint8 `[h', w', 3]`, boxes float32 `[m', 4]` in its pixels, labels int32 `[m']`.
    """
    geometry, kept = _draw(size_of(image), boxes, labels, changes, shorter, longest, sub_seed(seed, 0))
    boxes, _ = geometry.apply_to_boxes(boxes)
    pixels = to_uint8(jitter_colors(geometry.cut(image), changes, sub_seed(seed, 1)))
    if changes.randaugment_num_ops:
        pixels = rand_augment(pixels, changes.randaugment_num_ops, changes.randaugment_magnitude, sub_seed(seed, 2))
    return _turn(pixels, geometry), tf.boolean_mask(boxes, kept), tf.boolean_mask(labels, kept)


def resize_boxes_image(image, boxes, shorter, longest):
    """The picture and its boxes resized by `size_by_rule`, nothing random: for evaluation.

    image: uint8 `[h, w, 3]` or an `EncodedImage`, boxes: float32 `[m, 4]` -> pixels and boxes in the new size.
    """
    old = size_of(image)
    geometry = Geometry(_whole(old), size_by_rule(old, shorter, longest), None)
    return round_pixels(geometry.cut(image)), geometry.apply_to_boxes(boxes)[0]


def size_by_rule(old, shorter, longest, scale=1.0):
    """(height, width), int32 `[2]`, with the shorter side at `shorter` unless the longer would be above `longest`.

    old: int32 `[2]`. scale: the result is smaller by it. Sides are rounded down, as torchvision's detectors do.
    """
    sides = tf.cast(old, tf.float64)
    limits = tf.constant([shorter, longest], tf.float64)
    factor = tf.reduce_min(limits / tf.stack([tf.reduce_min(sides), tf.reduce_max(sides)])) * tf.cast(scale, tf.float64)
    return tf.maximum(tf.cast(tf.floor(sides * factor + 1e-6), tf.int32), 1)


def _draw(old, boxes, labels, changes, shorter, longest, seed):
    """The `Geometry`, and which boxes are kept, bool `[m]`."""
    draws = tf.unstack(tf.random.stateless_uniform([9], seed))
    window = _draw_window(old, boxes, labels, changes, draws[:5])
    is_object = labels >= 0
    lost = tf.reduce_any(is_object) & ~tf.reduce_any(is_object & (_visible_share(boxes, window) >= LEAST_VISIBLE))
    window = tf.where(lost, _whole(old), window)
    share = _visible_share(boxes, window)
    kept = tf.where(is_object, share >= LEAST_VISIBLE, share > 0)
    is_cropped = tuple(changes.crop_scale) != (1.0, 1.0)
    scale = SMALLEST_SCALE ** draws[5] if is_cropped else 1.0
    inner = size_by_rule(tf.stack([window[3] - window[1], window[2] - window[0]]), shorter, longest, scale)
    transposed, mirrored, upside_down = False, False, False
    if changes.horizontal_flip:
        mirrored = draws[6] < 0.5
    if changes.vertical_flip:
        upside_down = draws[7] < 0.5
    if changes.random_rot90:  # counter-clockwise: 1 is transposed and upside down, 2 is both flips, 3 the other
        turns = tf.cast(draws[8] * 4, tf.int32)
        transposed = turns % 2 == 1
        mirrored = tf.not_equal(mirrored, turns >= 2)
        upside_down = tf.not_equal(upside_down, (turns == 1) | (turns == 2))
    return Geometry(window, inner, None, transposed, mirrored, upside_down), kept


def _draw_window(old, boxes, labels, changes, draws):
    """x1, y1, x2, y2, int32 `[4]`; draws: five uniform numbers, for area, aspect, object and place."""
    low, high = changes.crop_scale
    area = low + draws[0] * (high - low)
    low, high = changes.crop_aspect
    aspect = tf.clip_by_value(low * (high / low) ** draws[1], area, 1 / area)  # relative to the picture's own
    sides = tf.cast(old, tf.float32) * tf.stack([tf.sqrt(area / aspect), tf.sqrt(area * aspect)])
    sides = tf.cast(tf.clip_by_value(tf.cast(tf.round(sides), tf.int32), 1, old), tf.float32)
    room = tf.cast(old, tf.float32) - sides
    objects = tf.boolean_mask(boxes, labels >= 0)
    count = tf.shape(objects)[0]
    # One row more, the whole picture, so that there is one to draw where there is no object.
    objects = tf.concat([objects, tf.cast([[0, 0, old[1], old[0]]], tf.float32)], 0)
    chosen = objects[tf.cast(draws[2] * tf.cast(tf.maximum(count, 1), tf.float32), tf.int32)]
    begin, end = chosen[1::-1], chosen[3:1:-1]
    # The first pixel lies between these two: the box within the crop, or, if larger, the crop within the box.
    first, last = tf.minimum(begin, end - sides), tf.maximum(begin, end - sides)
    first, last = tf.clip_by_value(tf.math.ceil(first), 0.0, room), tf.clip_by_value(tf.floor(last), 0.0, room)
    place = tf.stack([draws[3], draws[4]])
    first = tf.minimum(tf.floor(first + place * (tf.maximum(last - first, 0.0) + 1.0)), tf.maximum(first, last))
    first = tf.clip_by_value(first, 0.0, room)
    return tf.cast(tf.concat([first[::-1], (first + sides)[::-1]], 0), tf.int32)


def _visible_share(boxes, window):
    """float32 `[m]`: the share of each box's area that lies in the window."""
    window = tf.cast(window, tf.float32)
    inside = tf.clip_by_value(tf.reshape(boxes, (-1, 2, 2)), window[:2], window[2:])
    areas = [
        tf.reduce_prod(corners[:, 1] - corners[:, 0], axis=1) for corners in (inside, tf.reshape(boxes, (-1, 2, 2)))
    ]
    return areas[0] / tf.maximum(areas[1], 1e-6)


def _whole(old):
    return tf.stack([0, 0, old[1], old[0]])


def _turn(pixels, geometry):
    """Transposed and flipped as `Geometry.place` does, without its canvas: `[h, w, 3]` of any dtype."""
    if geometry.transposed is not False:
        pixels = tf.cond(geometry.transposed, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
    dims = tf.stack([geometry.upside_down, geometry.mirrored, False])
    return tf.ensure_shape(tf.raw_ops.Reverse(tensor=pixels, dims=dims), [None, None, 3])
