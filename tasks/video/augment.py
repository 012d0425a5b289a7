"""Augments training snippets: one crop, one flip and one color change for all frames and flow fields of a clip."""

from typing import TYPE_CHECKING

import tensorflow as tf

from retinue.data.augmentation.color import jitter_colors
from retinue.data.decoding.resize import crop_and_resize
from retinue.data.seeds import sub_seed

if TYPE_CHECKING:
    from retinue.configs.schema import AugmentConfig, Config, VideoConfig


def dequantize_flow(levels: tf.Tensor, bound: float, subtract_mean: bool) -> tf.Tensor:
    """Convert stored flow to pixels.

    Args:
        levels: uint8 [..., h, w, 2 L], see `flow.quantize`.
        bound: motion in pixels that 8 bits represent.
        subtract_mean: subtract the mean of each field, which removes most of the camera's motion (Simonyan and
            Zisserman 2014, section 3.1).

    Returns:
        float32 of the same shape, in pixels.
    """
    pixels = (tf.cast(levels, tf.float32) - 127.5) * (2 * bound / 255.0)
    return pixels - tf.reduce_mean(pixels, axis=(-3, -2), keepdims=True) if subtract_mean else pixels


def quantize_flow(pixels: tf.Tensor, bound: float) -> tf.Tensor:
    """Do in TensorFlow what `flow.quantize` does in NumPy: float32 pixels -> uint8 of the same shape."""
    levels = (tf.clip_by_value(pixels, -bound, bound) + bound) * (255.0 / (2 * bound))
    return tf.cast(tf.round(levels), tf.uint8)


def flip_flow(flow: tf.Tensor) -> tf.Tensor:
    """Return the flow of horizontally flipped frames: flipped, with x negated.

    Args:
        flow: float32 [..., h, w, 2 L], x and y alternating.

    Returns:
        float32 of the same shape.
    """
    signs = tf.tile([-1.0, 1.0], [flow.shape[-1] // 2])
    return tf.reverse(flow, axis=[-2]) * signs


def augment_snippets(
    frames: tf.Tensor, flow: tf.Tensor, config: "Config", size: int, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Crop, resize, flip and recolor the snippets of a clip.

    The crop's height and width are drawn from `video.crop_scales` of the frame's shorter side, at most one step apart.
    The crop is at a corner or the center, or with `video.corner_crops` off anywhere (Wang et al. 2016, TSN, section
    3.2).

    Args:
        frames: uint8 [k, H, W, 3 t]; may have no channels.
        flow: float32 [k, H, W, 2 L], in pixels; may have no channels.
        config: the configuration; its sections video and augment are used.
        size: side of the results in pixels.
        seed: int32 [2], which determines the result.

    Returns:
        (frames float32 [k, size, size, 3 t], flow float32 [k, size, size, 2 L]).
    """
    box = _sample_crop_box(tf.shape(frames)[1:3], config.video, sub_seed(seed, 0))
    flipped = config.augment.horizontal_flip & (tf.random.stateless_uniform([], sub_seed(seed, 1)) < 0.5)
    frames, flow = crop_snippets(frames, flow, box, size)
    if flow.shape[-1]:
        flow = tf.cond(flipped, lambda: flip_flow(flow), lambda: flow)
    if frames.shape[-1]:
        frames = tf.cond(flipped, lambda: tf.reverse(frames, axis=[-2]), lambda: frames)
        frames = _jitter_colors(frames, config.augment, size, sub_seed(seed, 2))
    return frames, flow


def crop_snippets(frames: tf.Tensor, flow: tf.Tensor, box: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Crop a box of frames and flow and resize it; the values of the flow are scaled with it.

    Args:
        frames: [k, H, W, 3 t]; may have no channels.
        flow: float32 [k, H, W, 2 L], in pixels; may have no channels.
        box: int32 [4], x1, y1, x2, y2 in pixels.
        size: side of the results in pixels.

    Returns:
        (frames float32 [k, size, size, 3 t], flow float32 [k, size, size, 2 L]).
    """
    if frames.shape[-1]:
        frames = _crop(frames, box, size)
    if flow.shape[-1]:
        sides = tf.cast(tf.stack([box[2] - box[0], box[3] - box[1]]), tf.float32)
        flow = _crop(flow, box, size) * tf.tile(size / sides, [flow.shape[-1] // 2])
    return frames, flow


def _crop(images: tf.Tensor, box: tf.Tensor, size: int) -> tf.Tensor:
    """Crop and resize each of [k, H, W, c] with the package's one resize function, which takes a single image."""
    count, channels = images.shape[0], images.shape[-1]
    stacked = tf.concat(tf.unstack(images), axis=-1) if count > 1 else images[0]
    resized = crop_and_resize(stacked, box, (size, size))
    return tf.stack(tf.split(resized, [channels] * count, axis=-1))


def _sample_crop_box(shape: tf.Tensor, settings: "VideoConfig", seed: tf.Tensor) -> tf.Tensor:
    """Draw the box of a crop, int32 [4], in frames of `shape`, int32 [2]: height and width."""
    draws = tf.unstack(tf.random.stateless_uniform([4], seed))
    shorter = tf.cast(tf.reduce_min(shape), tf.float32)
    scales = tf.constant(settings.crop_scales, tf.float32)
    num_scales = len(settings.crop_scales)
    height_index = tf.cast(draws[0] * num_scales, tf.int32)
    width_index = tf.clip_by_value(height_index + tf.cast(draws[1] * 3, tf.int32) - 1, 0, num_scales - 1)
    sides = tf.cast(tf.round(shorter * tf.stack([scales[height_index], scales[width_index]])), tf.int32)
    margin = shape - sides  # in y and x
    if settings.corner_crops:
        corners = tf.constant([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.5]])
        position = corners[tf.cast(draws[2] * 5, tf.int32)]
    else:
        position = tf.stack(draws[2:])
    top_left = tf.cast(tf.round(tf.cast(margin, tf.float32) * position), tf.int32)
    return tf.concat([top_left[::-1], (top_left + sides)[::-1]], axis=0)


def _jitter_colors(frames: tf.Tensor, augment: "AugmentConfig", size: int, seed: tf.Tensor) -> tf.Tensor:
    """Apply one color change to all frames of a clip, which are joined to one tall image for it."""
    if not any((augment.brightness, augment.contrast, augment.saturation, augment.hue)):
        return frames
    count, channels = frames.shape[0], frames.shape[-1]
    images = tf.reshape(frames, (count, size, size, channels // 3, 3))
    rows = tf.reshape(tf.transpose(images, (0, 3, 1, 2, 4)), (count * channels // 3 * size, size, 3))
    rows = tf.clip_by_value(jitter_colors(rows, augment, seed), 0.0, 255.0)
    images = tf.reshape(rows, (count, channels // 3, size, size, 3))
    return tf.reshape(tf.transpose(images, (0, 2, 3, 1, 4)), (count, size, size, channels))
