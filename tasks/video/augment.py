"""Random changes to training snippets: one crop, one mirroring and one change of colours for all frames and fields."""

import tensorflow as tf

from retinue.data.augmentation.color import jitter_colors
from retinue.data.decoding.resize import cut_and_resize
from retinue.data.seeds import sub_seed


def decode_flow(levels, bound, flow_subtract_mean):
    """Flow kept in 8 bits, uint8 `[..., h, w, 2 L]` -> pixels, float32; with `flow_subtract_mean` less each field's
    mean.

    Subtracting the mean takes out most of the camera's motion (Simonyan and Zisserman 2014, section 3.1).
    """
    pixels = (tf.cast(levels, tf.float32) - 127.5) * (2 * bound / 255.0)
    return pixels - tf.reduce_mean(pixels, axis=(-3, -2), keepdims=True) if flow_subtract_mean else pixels


def encode_flow(pixels, bound):
    """`flow.to_bytes` in TensorFlow operations: float32 pixels -> uint8 of the same shape."""
    levels = (tf.clip_by_value(pixels, -bound, bound) + bound) * (255.0 / (2 * bound))
    return tf.cast(tf.round(levels), tf.uint8)


def mirror_flow(flow):
    """The flow of the mirrored frames: turned left to right and x negated. float32 `[..., h, w, 2 L]`, x, y in turn."""
    signs = tf.tile([-1.0, 1.0], [flow.shape[-1] // 2])
    return tf.reverse(flow, axis=[-2]) * signs


def augment_snippets(frames, flow, config, size, seed):
    """Cut, resize, mirror and recolour the snippets of a clip.

    The crop's height and width are drawn from `video.crop_scales` of the frame's shorter side, at most one step apart;
    it lies in a corner or the centre, or with `video.corner_crops` off anywhere (Wang et al. 2016, TSN, section 3.2).
    frames: uint8 `[k, H, W, 3 t]`; flow: float32 `[k, H, W, 2 L]`, pixels; either may have no channels.
    size: pixels a side of the result; seed: int32 `[2]`. Returns float32 `[k, size, size, ...]` of both.
    """
    window = _draw_window(tf.shape(frames)[1:3], config.video, sub_seed(seed, 0))
    mirrored = config.augment.horizontal_flip & (tf.random.stateless_uniform([], sub_seed(seed, 1)) < 0.5)
    frames, flow = cut(frames, flow, window, size)
    if flow.shape[-1]:
        flow = tf.cond(mirrored, lambda: mirror_flow(flow), lambda: flow)
    if frames.shape[-1]:
        frames = tf.cond(mirrored, lambda: tf.reverse(frames, axis=[-2]), lambda: frames)
        frames = _recolour(frames, config.augment, size, sub_seed(seed, 2))
    return frames, flow


def cut(frames, flow, window, size):
    """The window (int32 `[4]`: x1, y1, x2, y2) of frames and flow, resized to `size` pixels a side; the flow's values
    are scaled along."""
    if frames.shape[-1]:
        frames = _cut(frames, window, size)
    if flow.shape[-1]:
        sides = tf.cast(tf.stack([window[2] - window[0], window[3] - window[1]]), tf.float32)
        flow = _cut(flow, window, size) * tf.tile(size / sides, [flow.shape[-1] // 2])
    return frames, flow


def _cut(pictures, window, size):
    """Each of `[k, H, W, c]` by the one resize of the library, which takes a single picture."""
    count, channels = pictures.shape[0], pictures.shape[-1]
    side_by_side = tf.concat(tf.unstack(pictures), axis=-1) if count > 1 else pictures[0]
    resized = cut_and_resize(side_by_side, window, (size, size))
    return tf.stack(tf.split(resized, [channels] * count, axis=-1))


def _draw_window(shape, settings, seed):
    draws = tf.unstack(tf.random.stateless_uniform([4], seed))
    shorter = tf.cast(tf.reduce_min(shape), tf.float32)
    scales = tf.constant(settings.crop_scales, tf.float32)
    steps = len(settings.crop_scales)
    step = tf.cast(draws[0] * steps, tf.int32)
    other = tf.clip_by_value(step + tf.cast(draws[1] * 3, tf.int32) - 1, 0, steps - 1)
    sides = tf.cast(tf.round(shorter * tf.stack([scales[step], scales[other]])), tf.int32)
    room = shape - sides  # of y and x
    if settings.corner_crops:
        place = tf.cast(draws[2] * 5, tf.int32)
        corners = tf.constant([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.5]])
        share = corners[place]
    else:
        share = tf.stack(draws[2:])
    first = tf.cast(tf.round(tf.cast(room, tf.float32) * share), tf.int32)
    return tf.concat([first[::-1], (first + sides)[::-1]], axis=0)


def _recolour(frames, augment, size, seed):
    """One colour change for all frames of a clip, which are brought side by side for it."""
    if not any((augment.brightness, augment.contrast, augment.saturation, augment.hue)):
        return frames
    count, channels = frames.shape[0], frames.shape[-1]
    pictures = tf.reshape(frames, (count, size, size, channels // 3, 3))
    rows = tf.reshape(tf.transpose(pictures, (0, 3, 1, 2, 4)), (count * channels // 3 * size, size, 3))
    rows = tf.clip_by_value(jitter_colors(rows, augment, seed), 0.0, 255.0)
    pictures = tf.reshape(rows, (count, channels // 3, size, size, 3))
    return tf.reshape(tf.transpose(pictures, (0, 2, 3, 1, 4)), (count, size, size, channels))
