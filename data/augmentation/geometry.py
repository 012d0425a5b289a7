"""Random geometry of training pictures, drawn once an example and applied to its image, boxes and mask alike."""

import dataclasses

import tensorflow as tf

from retinue.data.augmentation.color import jitter_colors, to_uint8
from retinue.data.augmentation.randaugment import rand_augment
from retinue.data.decoding.resize import (
    cut_and_resize,
    cut_and_resize_mask,
    height_and_width,
    inner_size,
    pad_to,
    round_pixels,
    size_of,
)
from retinue.data.seeds import sub_seed
from retinue.data.void_label import VOID


@dataclasses.dataclass(frozen=True)
class Geometry:
    """A window of a picture, resized, perhaps transposed and mirrored, and placed in a canvas; in this order.

    window: int32 `[4]`, x1, y1, x2, y2 in pixels of the picture, x2 and y2 exclusive.
    inner: what the window is resized to, (height, width): Python ints or int32 `[2]`.
    canvas: (height, width), Python ints; what `inner` (transposed) does not cover lies below and to the right.
    transposed: bool scalar, or False where it is known. mirrored (left and right), upside_down: bool scalars.
    """

    window: tf.Tensor
    inner: object
    canvas: tuple
    transposed: object = False
    mirrored: object = False
    upside_down: object = False

    def apply_to_image(self, image, padding=0):
        """uint8 `[height, width, channels]` -> uint8 `[*canvas, channels]`, padded with `padding`."""
        return self.place(round_pixels(self.cut(image)), padding)

    def apply_to_mask(self, mask):
        """Class ids uint8 `[height, width]` -> uint8 `canvas`, by the nearest pixel, padded with 255."""
        return self.place(cut_and_resize_mask(mask, self.window, self.inner)[:, :, None], VOID)[:, :, 0]

    def apply_to_boxes(self, boxes):
        """Move boxes along, clip them to the window, and say which are still good.

        boxes: float32 `[k, 4]`, x1, y1, x2, y2 in pixels of the picture. Returns float32 `[k, 4]` in pixels of the
        canvas, and bool `[k]`: whether the box's centre lies in the window (SSD, Liu et al. 2016, section 2.2).
        """
        window = tf.cast(self.window, tf.float32)
        low, high = window[:2], window[2:]
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        kept = tf.reduce_all((centre >= low) & (centre < high), axis=1)
        inner = tf.cast(tf.stack([self.inner[1], self.inner[0]]), tf.float32)
        corners = tf.reshape(boxes, (-1, 2, 2))
        corners = (tf.clip_by_value(corners, low, high) - low) * (inner / (high - low))
        corners = tf.where(self.transposed, corners[:, :, ::-1], corners)
        inner = tf.where(self.transposed, inner[::-1], inner)
        flipped = tf.stack([self.mirrored, self.upside_down])
        corners = tf.where(flipped, (inner - corners)[:, ::-1], corners)
        boxes = tf.reshape(corners, (-1, 4))
        return boxes, kept & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])

    def cut(self, image):
        """The first half of `apply_to_image`: the window, resized; float32 `[*inner, channels]`, not rounded."""
        return cut_and_resize(image, self.window, self.inner)

    def place(self, pixels, padding=0):
        """The second half: `[*inner, channels]` of any dtype -> `[*canvas, channels]`."""
        channels = pixels.shape[-1]
        if self.transposed is not False:
            pixels = tf.cond(self.transposed, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
            is_whole = not tf.is_tensor(self.inner)
            pixels.set_shape([*self.canvas, channels] if is_whole else [None, None, channels])
        if self.mirrored is not False or self.upside_down is not False:
            shape = pixels.shape
            flips = tf.stack([self.upside_down, self.mirrored, False])
            pixels = tf.raw_ops.Reverse(tensor=pixels, dims=flips)  # takes which axes as a tensor, so no branches
            pixels.set_shape(shape)
        return pad_to(pixels, self.canvas, padding)


def draw_geometry(old, augment, size, resize_mode="stretch", seed=(0, 0)):
    """Draw a random resized crop, flips and quarter turns.

    The crop has `augment.crop_scale` of the area, and `augment.crop_aspect` of the aspect, of what `resize_image` would
    keep with this `resize_mode`, so that training sees the shapes that evaluation shows; aspects are drawn on a log
    scale among
    those that resize_mode into the picture. After Szegedy et al. 2015 (GoogLeNet), section 6.

    old: int32 `[2]`, the picture's height and width; augment: has `horizontal_flip`, `vertical_flip`, `random_rot90`,
    `crop_scale`, `crop_aspect`; size: int or (height, width); seed: int32 `[2]`.
    """
    canvas = height_and_width(size)
    draws = tf.unstack(tf.random.stateless_uniform([7], seed))
    turns = tf.cast(draws[4] * 4, tf.int32) if augment.random_rot90 else None
    transposed = turns % 2 == 1 if augment.random_rot90 else False
    before_turn = canvas
    if augment.random_rot90 and canvas[0] != canvas[1]:
        before_turn = tf.where(transposed, canvas[::-1], canvas)
    window = _draw_window(old, before_turn, augment, resize_mode, draws[:4])
    inner = before_turn
    if resize_mode == "letterbox":
        inner = inner_size(tf.stack([window[3] - window[1], window[2] - window[0]]), before_turn)
    mirrored, upside_down = False, False
    if augment.horizontal_flip:
        mirrored = draws[5] < 0.5
    if augment.vertical_flip:
        upside_down = draws[6] < 0.5
    if augment.random_rot90:  # counter-clockwise: 1 is transposed and upside down, 2 is both flips, 3 the other
        mirrored = tf.not_equal(mirrored, turns >= 2)
        upside_down = tf.not_equal(upside_down, (turns == 1) | (turns == 2))
    return Geometry(window, inner, canvas, transposed, mirrored, upside_down)


def augment_image(image, augment, size, resize_mode="stretch", seed=(0, 0)):
    """All random changes to one training picture that concern it alone: geometry, colours, RandAugment.

    image: uint8 `[height, width, 3]`, or an `EncodedImage`; augment: the `augment` section of the configuration; size:
    int or (height, width); resize_mode: as for `resize_image`; seed: int32 `[2]`. Returns uint8 `[*size, 3]`.
    """
    geometry = draw_geometry(size_of(image), augment, size, resize_mode, sub_seed(seed, 0))
    pixels = to_uint8(jitter_colors(geometry.cut(image), augment, sub_seed(seed, 1)))
    if augment.randaugment_num_ops:
        pixels = rand_augment(pixels, augment.randaugment_num_ops, augment.randaugment_magnitude, sub_seed(seed, 2))
    return geometry.place(pixels)


def _draw_window(old, size, augment, resize_mode, draws):
    """x1, y1, x2, y2, int32 `[4]`, of a random crop; draws are four uniform numbers."""
    height, width = tf.cast(old[0], tf.float32), tf.cast(old[1], tf.float32)
    base_height, base_width = height, width
    if resize_mode == "center_crop":
        aspect = tf.cast(size[0], tf.float32) / tf.cast(size[1], tf.float32)
        base_height, base_width = tf.minimum(height, width * aspect), tf.minimum(width, height / aspect)
    low, high = augment.crop_scale
    scale = low + draws[0] * (high - low)
    low, high = augment.crop_aspect
    narrowest, widest = scale * (base_height / height) ** 2, (width / base_width) ** 2 / scale
    low, high = tf.clip_by_value(low, narrowest, widest), tf.clip_by_value(high, narrowest, widest)
    aspect = low * (high / low) ** draws[1]
    size = tf.stack([base_height * tf.sqrt(scale / aspect), base_width * tf.sqrt(scale * aspect)])
    size = tf.clip_by_value(tf.cast(tf.round(size), tf.int32), 1, old)
    room = tf.cast(old - size, tf.float32) + 1.0
    first = tf.minimum(tf.cast(tf.stack([draws[2], draws[3]]) * room, tf.int32), old - size)
    return tf.concat([first[::-1], (first + size)[::-1]], 0)
