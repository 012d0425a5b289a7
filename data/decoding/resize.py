"""The one resize of the library: training, evaluation, prediction and the exported SavedModel all call it."""

import tensorflow as tf

from retinue.data.decoding.encoded_image import EncodedImage

RESIZE_MODES = ("stretch", "center_crop", "letterbox")


def resize_image(image, size, resize_mode="stretch", crop_fraction=1.0, padding=0):
    """Resize a picture to a given size.

    An axis that shrinks is averaged over the area that each new pixel covers; an axis that grows is interpolated
    linearly between pixel centres. Results are rounded to the nearest level, halves to the even one. A picture that
    already has the size is returned as it is.

    image: uint8 `[height, width, channels]`, or an `EncodedImage`; size: int, or (height, width).
    resize_mode: "stretch" ignores the aspect; "center_crop" takes the largest centred window of the new aspect, its
    sides times
    `crop_fraction` (0.875 is a crop of 224 from a shorter side of 256); "letterbox" fits the picture inside and fills
    below
    and to the right with `padding`.
    Returns uint8 `[height, width, channels]` of `size`. Raises ValueError for another resize_mode.
    """
    window, inner = plain_window(size_of(image), size, resize_mode, crop_fraction)
    return pad_to(round_pixels(cut_and_resize(image, window, inner)), size, padding)


def size_of(image):
    """(height, width), int32 `[2]`, of pixels `[height, width, ...]` or of an `EncodedImage`."""
    return image.size if isinstance(image, EncodedImage) else tf.shape(image)[:2]


def plain_window(old, size, resize_mode="stretch", crop_fraction=1.0):
    """The part of a picture that `resize_mode` keeps, and the size it gets: what `resize_image` does, in numbers.

    old: int32 `[2]`, the picture's height and width. Returns int32 `[4]`, the window x1, y1, x2, y2 in its pixels
    (exclusive), and the new (height, width): Python ints, but for "letterbox" an int32 `[2]` tensor.
    """
    if resize_mode not in RESIZE_MODES:
        raise ValueError(f"resize_mode is {resize_mode!r}, but must be one of {', '.join(RESIZE_MODES)}")
    height, width = height_and_width(size)
    if resize_mode == "center_crop":
        largest = tf.cast(largest_window(old, height / width), tf.float32)
        window = tf.clip_by_value(tf.cast(tf.round(largest * crop_fraction), tf.int32), 1, old)
        first = (old - window) // 2
        return tf.concat([first[::-1], (first + window)[::-1]], 0), (height, width)
    everything = tf.stack([0, 0, old[1], old[0]])
    return everything, inner_size(old, (height, width)) if resize_mode == "letterbox" else (height, width)


def cut_and_resize(image, window, size):
    """The pixels of `window` (int32 `[4]`: x1, y1, x2, y2) resized to `size`, ints or int32 `[2]`: (height, width).

    image: uint8 `[height, width, channels]`, or an `EncodedImage`, which is decoded no larger than is needed for this.
    Returns float32 `[height, width, channels]`, unrounded, by the method that `resize_image` describes.
    """
    if isinstance(image, EncodedImage):
        image, edges = image.decode_for(window, size)
        window = tf.cast(edges, tf.int32)
        resized = tf.cond(
            tf.reduce_all(tf.cast(window, tf.float32) == edges),
            lambda: _cut_and_resize_pixels(image, window, size),
            lambda: _average_between(image, edges, size),
        )
    else:
        resized = _cut_and_resize(image, window, size)
    channels = image.shape[-1]
    resized.set_shape([None, None, channels] if tf.is_tensor(size) else [*size, channels])
    return resized


def cut_and_resize_mask(mask, window, size):
    """The same for class ids, by the nearest pixel centre: uint8 `[height, width]` -> uint8 `[height, width]`."""
    return tf.image.resize(mask[window[1] : window[3], window[0] : window[2], None], size, method="nearest")[:, :, 0]


def _cut_and_resize(image, window, size):
    channels = image.shape[-1]
    first = tf.stack([window[1], window[0], 0])
    image = tf.slice(image, first, tf.stack([window[3] - window[1], window[2] - window[0], channels]))
    old, new = tf.shape(image)[:2], tf.convert_to_tensor(size)
    smaller = tf.minimum(old, new)
    averaged = tf.cond(
        tf.reduce_all(smaller == old),
        lambda: tf.cast(image, tf.float32),
        lambda: tf.image.resize(image, smaller, method="area"),
    )
    return tf.cond(
        tf.reduce_all(smaller == new),
        lambda: averaged,
        lambda: tf.image.resize(averaged, new, method="bilinear"),
    )


_PIXELS, _SIZE = tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int32)
_WINDOW, _EDGES = tf.TensorSpec([4], tf.int32), tf.TensorSpec([4], tf.float32)
# The same for decoded pictures, traced once a process, as `decode_image` is.
_cut_and_resize_pixels = tf.function(_cut_and_resize, input_signature=[_PIXELS, _WINDOW, _SIZE], autograph=False)


@tf.function(input_signature=[_PIXELS, _EDGES, _SIZE], autograph=False)
def _average_between(image, edges, size):
    """The same where both axes shrink and the window's edges, float32 `[4]`, lie between pixels, which is slower."""
    columns = tf.transpose(_average_rows(image, edges[1], edges[3], size[0]), (1, 0, 2))
    return tf.transpose(_average_rows(columns, edges[0], edges[2], size[1]), (1, 0, 2))


def _average_rows(image, first, last, count):
    """Means of `count` equal parts from `first` to `last`, float32 scalars: `[n, m, c]` -> float32 `[count, m, c]`."""
    step = (last - first) / tf.cast(count, tf.float32)
    begin = first + step * tf.range(tf.cast(count, tf.float32))

    def add(number, total):  # the part of each mean that lies in its `number`-th row
        row = tf.floor(begin) + tf.cast(number, tf.float32)
        share = tf.maximum(tf.minimum(begin + step, row + 1) - tf.maximum(begin, row), 0) / step
        rows = tf.gather(image, tf.minimum(tf.cast(row, tf.int32), tf.shape(image)[0] - 1))
        return number + 1, total + share[:, None, None] * tf.cast(rows, tf.float32)

    most = tf.cast(tf.math.ceil(step), tf.int32) + 1
    total = tf.zeros(tf.concat([[count], tf.shape(image)[1:]], 0))
    shapes = (tf.TensorShape([]), tf.TensorShape([None, None, image.shape[-1]]))
    total.set_shape(shapes[1])
    return tf.while_loop(lambda number, _: number < most, add, (0, total), shapes, parallel_iterations=1)[1]


def round_pixels(pixels):
    """float32 in 0..255 -> uint8, halves to even. Values outside must be clipped before."""
    return tf.cast(tf.round(pixels), tf.uint8)


def pad_to(image, size, padding=0):
    """Fill below and to the right with `padding`: `[height, width, ...]` -> `size` (int or (height, width))."""
    height, width = height_and_width(size)
    if image.shape[:2] == (height, width):
        return image
    shape = tf.shape(image)
    missing = [[0, height - shape[0]], [0, width - shape[1]]] + [[0, 0]] * (len(image.shape) - 2)
    image = tf.pad(image, missing, constant_values=tf.cast(padding, image.dtype))
    return tf.ensure_shape(image, [height, width, *image.shape[2:]])


def largest_window(old, aspect):
    """The largest (height, width), int32 `[2]`, inside `old` whose height is `aspect` times its width."""
    height, width = tf.cast(old[0], tf.float32), tf.cast(old[1], tf.float32)
    window = tf.stack([tf.minimum(height, width * aspect), tf.minimum(width, height / aspect)])
    return tf.maximum(tf.cast(tf.round(window), tf.int32), 1)


def inner_size(old, size):
    """The largest (height, width) inside `size` with the aspect of `old`: int32 `[2]`, a pair -> int32 `[2]`."""
    old, size = tf.cast(old, tf.float32), tf.cast(size, tf.float32)
    inner = tf.round(old * tf.reduce_min(size / old))
    return tf.cast(tf.clip_by_value(inner, 1.0, size), tf.int32)


def height_and_width(size):
    """(height, width) of an int or a pair."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
