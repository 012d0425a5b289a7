"""Random geometric augmentation, drawn once for each example and applied to its image, boxes and mask alike."""

from dataclasses import dataclass

import tensorflow as tf

from retinue.configs.schema import AugmentConfig
from retinue.data.augmentation.color import jitter_colors, to_uint8
from retinue.data.augmentation.randaugment import rand_augment
from retinue.data.decoding.encoded_image import EncodedImage
from retinue.data.decoding.resize import (
    Size,
    crop_and_resize,
    crop_and_resize_mask,
    fit_inside,
    height_and_width,
    pad_to,
    round_pixels,
    size_of,
)
from retinue.data.seeds import sub_seed
from retinue.data.void_label import VOID


@dataclass(frozen=True)
class Geometry:
    """A window of an image that is resized, possibly transposed and flipped, and padded, in this order.

    Attributes:
        window: int32 [4], x1, y1, x2, y2 in pixels of the image, with x2 and y2 exclusive.
        resized_size: Height and width in pixels to which the window is resized, ints or int32 [2].
        output_size: Height and width in pixels of the result. It is padded below and to the right. None if the result
            is not padded, and only `crop` and `apply_to_boxes` are used.
        transpose: Whether height and width are exchanged: bool scalar, or False if that is known.
        flip_left_right: Whether the image is flipped left to right: bool scalar, or False if that is known.
        flip_up_down: Whether the image is flipped top to bottom: bool scalar, or False if that is known.
    """

    window: tf.Tensor
    resized_size: tuple[int, int] | tf.Tensor
    output_size: tuple[int, int] | None
    transpose: bool | tf.Tensor = False
    flip_left_right: bool | tf.Tensor = False
    flip_up_down: bool | tf.Tensor = False

    def apply_to_image(self, image: tf.Tensor | EncodedImage, padding: int = 0) -> tf.Tensor:
        """Transform an image.

        Args:
            image: uint8 [height, width, channels], or an `EncodedImage`.
            padding: Level of the padding, 0 to 255.

        Returns:
            uint8 [*output_size, channels].
        """
        return self.orient_and_pad(round_pixels(self.crop(image)), padding)

    def apply_to_mask(self, mask: tf.Tensor) -> tf.Tensor:
        """Transform a mask by the nearest pixel.

        Args:
            mask: uint8 [height, width], class ids.

        Returns:
            uint8 [*output_size], class ids, padded with 255 (void).
        """
        resized = crop_and_resize_mask(mask, self.window, self.resized_size)
        return self.orient_and_pad(resized[:, :, None], VOID)[:, :, 0]

    def apply_to_boxes(self, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Transform boxes, and clip them to the window.

        Args:
            boxes: float32 [k, 4], x1, y1, x2, y2 in pixels of the image.

        Returns:
            float32 [k, 4], in pixels of the result, and bool [k], whether the box should be kept: its center lies in
            the window (SSD, Liu et al. 2016, section 2.2), and it is not empty.
        """
        window = tf.cast(self.window, tf.float32)
        low, high = window[:2], window[2:]
        center = (boxes[:, :2] + boxes[:, 2:]) / 2
        kept = tf.reduce_all((center >= low) & (center < high), axis=1)
        resized = tf.cast(tf.stack([self.resized_size[1], self.resized_size[0]]), tf.float32)
        corners = tf.reshape(boxes, (-1, 2, 2))
        corners = (tf.clip_by_value(corners, low, high) - low) * (resized / (high - low))
        corners = tf.where(self.transpose, corners[:, :, ::-1], corners)
        resized = tf.where(self.transpose, resized[::-1], resized)
        flipped = tf.stack([self.flip_left_right, self.flip_up_down])
        corners = tf.where(flipped, (resized - corners)[:, ::-1], corners)
        boxes = tf.reshape(corners, (-1, 4))
        return boxes, kept & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])

    def crop(self, image: tf.Tensor | EncodedImage) -> tf.Tensor:
        """Crop the window and resize it, which is the first half of `apply_to_image`.

        Args:
            image: uint8 [height, width, channels], or an `EncodedImage`.

        Returns:
            float32 [*resized_size, channels], not rounded.
        """
        return crop_and_resize(image, self.window, self.resized_size)

    def orient(self, pixels: tf.Tensor) -> tf.Tensor:
        """Transpose and flip pixels.

        Args:
            pixels: [*resized_size, channels] of any dtype.

        Returns:
            [height, width, channels] of the same dtype.
        """
        if self.transpose is not False:
            channels, is_static = pixels.shape[-1], not tf.is_tensor(self.resized_size)
            pixels = tf.cond(self.transpose, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
            if is_static and self.output_size is not None:
                pixels.set_shape([*self.output_size, channels])
            else:
                pixels.set_shape([None, None, channels])
        if self.flip_left_right is not False or self.flip_up_down is not False:
            shape = pixels.shape
            flips = tf.stack([self.flip_up_down, self.flip_left_right, False])
            pixels = tf.raw_ops.Reverse(tensor=pixels, dims=flips)  # the axes are a tensor, so no branches are needed
            pixels.set_shape(shape)
        return pixels

    def orient_and_pad(self, pixels: tf.Tensor, padding: int = 0) -> tf.Tensor:
        """Transpose, flip and pad pixels, which is the second half of `apply_to_image`.

        Args:
            pixels: [*resized_size, channels] of any dtype.
            padding: The value of the added pixels.

        Returns:
            [*output_size, channels] of the same dtype.
        """
        assert self.output_size is not None
        return pad_to(self.orient(pixels), self.output_size, padding)


def draw_geometry(
    old: tf.Tensor, augment: AugmentConfig, size: Size, resize_mode: str = "stretch", seed: tf.Tensor = (0, 0)
) -> Geometry:
    """Draw a random resized crop, flips, and rotations by multiples of 90 degrees.

    The crop has an area from `augment.crop_scale` and an aspect ratio from `augment.crop_aspect`. Both are relative to
    the window that `resize_image` would keep with this resize mode, so that training sees the same shapes as
    evaluation. Aspect ratios are drawn on a logarithmic scale among those that fit into the image. After Szegedy et al.
    2015 (GoogLeNet), section 6.

    Args:
        old: int32 [2], height and width of the image in pixels.
        augment: The section `augment` of the configuration.
        size: Height and width of the result in pixels.
        resize_mode: As for `resize_image`.
        seed: int32 [2].

    Returns:
        The geometry for this example.
    """
    output_size = height_and_width(size)
    draws = tf.unstack(tf.random.stateless_uniform([7], seed))
    transpose, flip_left_right, flip_up_down = draw_orientation(augment, draws[5], draws[6], draws[4])
    size_before_transpose: tuple[int, int] | tf.Tensor = output_size
    if augment.random_rot90 and output_size[0] != output_size[1]:
        size_before_transpose = tf.where(transpose, output_size[::-1], output_size)
    window = _draw_window(old, size_before_transpose, augment, resize_mode, draws[:4])
    resized_size = size_before_transpose
    if resize_mode == "letterbox":
        resized_size = fit_inside(window_size(window), size_before_transpose)
    return Geometry(window, resized_size, output_size, transpose, flip_left_right, flip_up_down)


def draw_orientation(
    augment: AugmentConfig, flip_left_right_draw: tf.Tensor, flip_up_down_draw: tf.Tensor, rotation_draw: tf.Tensor
) -> tuple[bool | tf.Tensor, bool | tf.Tensor, bool | tf.Tensor]:
    """Draw flips and a rotation by a multiple of 90 degrees.

    Args:
        augment: The section `augment` of the configuration.
        flip_left_right_draw: float32 scalar, a uniform random number in [0, 1).
        flip_up_down_draw: float32 scalar, another one.
        rotation_draw: float32 scalar, another one.

    Returns:
        Whether to transpose the image, to flip it left to right, and to flip it top to bottom. Each is a bool scalar,
        or False if the configuration turns it off.
    """
    transpose: bool | tf.Tensor = False
    flip_left_right: bool | tf.Tensor = False
    flip_up_down: bool | tf.Tensor = False
    if augment.horizontal_flip:
        flip_left_right = flip_left_right_draw < 0.5
    if augment.vertical_flip:
        flip_up_down = flip_up_down_draw < 0.5
    if augment.random_rot90:
        # Quarter turns, counterclockwise: 1 is a transposition and a flip top to bottom, 2 is both flips, and 3 is a
        # transposition and a flip left to right.
        turns = tf.cast(rotation_draw * 4, tf.int32)
        transpose = turns % 2 == 1
        flip_left_right = tf.not_equal(flip_left_right, turns >= 2)
        flip_up_down = tf.not_equal(flip_up_down, (turns == 1) | (turns == 2))
    return transpose, flip_left_right, flip_up_down


def window_size(window: tf.Tensor) -> tf.Tensor:
    """Return the height and width, int32 [2], of a window x1, y1, x2, y2, int32 [4]."""
    return tf.stack([window[3] - window[1], window[2] - window[0]])


def augment_image(
    image: tf.Tensor | EncodedImage,
    augment: AugmentConfig,
    size: Size,
    resize_mode: str = "stretch",
    seed: tf.Tensor = (0, 0),
) -> tf.Tensor:
    """Apply all random changes that concern only the image: geometry, colors and RandAugment.

    Args:
        image: uint8 [height, width, 3], or an `EncodedImage`.
        augment: The section `augment` of the configuration.
        size: Height and width of the result in pixels.
        resize_mode: As for `resize_image`.
        seed: int32 [2].

    Returns:
        uint8 [height, width, 3] of this size.
    """
    geometry = draw_geometry(size_of(image), augment, size, resize_mode, sub_seed(seed, 0))
    pixels = to_uint8(jitter_colors(geometry.crop(image), augment, sub_seed(seed, 1)))
    if augment.randaugment_num_ops:
        pixels = rand_augment(pixels, augment.randaugment_num_ops, augment.randaugment_magnitude, sub_seed(seed, 2))
    return geometry.orient_and_pad(pixels)


def _draw_window(
    old: tf.Tensor,
    size: tuple[int, int] | tf.Tensor,
    augment: AugmentConfig,
    resize_mode: str,
    draws: list[tf.Tensor],
) -> tf.Tensor:
    """Draw the window of a random crop, int32 [4], from four uniform random numbers."""
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
    crop = tf.stack([base_height * tf.sqrt(scale / aspect), base_width * tf.sqrt(scale * aspect)])
    crop = tf.clip_by_value(tf.cast(tf.round(crop), tf.int32), 1, old)
    positions = tf.cast(old - crop, tf.float32) + 1.0  # number of possible positions on each axis
    first = tf.minimum(tf.cast(tf.stack([draws[2], draws[3]]) * positions, tf.int32), old - crop)
    return tf.concat([first[::-1], (first + crop)[::-1]], 0)
