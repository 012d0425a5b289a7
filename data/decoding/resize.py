"""The one resize of the library. Training, evaluation, prediction and the exported SavedModel all call it."""

from collections.abc import Sequence

import tensorflow as tf

from retinue.data.decoding.encoded_image import EncodedImage
from retinue.data.decoding.graph_bytes import NOT_INLINED

RESIZE_MODES = ("stretch", "center_crop", "letterbox")
Size = int | Sequence[int]  # a side of a square, or (height, width), in pixels


def resize_image(
    image: tf.Tensor | EncodedImage,
    size: Size,
    resize_mode: str = "stretch",
    crop_fraction: float = 1.0,
    padding: int = 0,
) -> tf.Tensor:
    """Resize an image to a given size.

    An axis that shrinks is averaged over the area that each new pixel covers. An axis that grows is interpolated
    linearly between pixel centers. Results are rounded to the nearest level, halves to the even one. An image that has
    the size already is returned unchanged.

    Args:
        image: uint8 [height, width, channels], or an `EncodedImage`.
        size: Height and width of the result in pixels.
        resize_mode: "stretch" ignores the aspect ratio. "center_crop" takes the largest centered window of the new
            aspect ratio, with its sides multiplied by `crop_fraction`. "letterbox" fits the image inside and fills the
            rest, below and to the right, with `padding`.
        crop_fraction: Sides of the crop of "center_crop": 0.875 is a crop of 224 from a shorter side of 256.
        padding: Level of the padding, 0 to 255.

    Returns:
        uint8 [height, width, channels].

    Raises:
        ValueError: If the resize mode is unknown.
    """
    window, resized_size = resize_geometry(size_of(image), size, resize_mode, crop_fraction)
    return pad_to(round_pixels(crop_and_resize(image, window, resized_size)), size, padding)


def size_of(image: tf.Tensor | EncodedImage) -> tf.Tensor:
    """Return the height and width of pixels [height, width, ...] or of an `EncodedImage`, int32 [2]."""
    return image.size if isinstance(image, EncodedImage) else tf.shape(image)[:2]


def resize_geometry(
    old: tf.Tensor, size: Size, resize_mode: str = "stretch", crop_fraction: float = 1.0
) -> tuple[tf.Tensor, tuple[int, int] | tf.Tensor]:
    """Compute which part of an image `resize_image` keeps, and the size of this part afterwards.

    Args:
        old: int32 [2], height and width of the image in pixels.
        size: As for `resize_image`.
        resize_mode: As for `resize_image`.
        crop_fraction: As for `resize_image`.

    Returns:
        int32 [4], the part as x1, y1, x2, y2 in pixels of the image, with x2 and y2 exclusive, and its new height and
        width: ints, or for "letterbox" an int32 [2] tensor.

    Raises:
        ValueError: If the resize mode is unknown.
    """
    if resize_mode not in RESIZE_MODES:
        raise ValueError(f"resize_mode is {resize_mode!r}, but must be one of {', '.join(RESIZE_MODES)}")
    height, width = height_and_width(size)
    if resize_mode == "center_crop":
        largest = tf.cast(largest_window(old, height / width), tf.float32)
        window = tf.clip_by_value(tf.cast(tf.round(largest * crop_fraction), tf.int32), 1, old)
        first = (old - window) // 2
        return tf.concat([first[::-1], (first + window)[::-1]], 0), (height, width)
    resized_size = fit_inside(old, (height, width)) if resize_mode == "letterbox" else (height, width)
    return full_window(old), resized_size


def full_window(size: tf.Tensor) -> tf.Tensor:
    """Return the window x1, y1, x2, y2 of a whole image, int32 [4], from its height and width, int32 [2]."""
    return tf.stack([0, 0, size[1], size[0]])


def crop_and_resize(image: tf.Tensor | EncodedImage, window: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """Crop a part of an image and resize it, as `resize_image` describes it.

    Args:
        image: uint8 [height, width, channels], or an `EncodedImage`, which is decoded only as large as needed.
        window: int32 [4], x1, y1, x2, y2 of the part in pixels.
        size: Height and width of the result in pixels, ints or int32 [2].

    Returns:
        float32 [height, width, channels], not rounded.
    """
    if isinstance(image, EncodedImage):
        pixels, edges = image.decode_for(window, size)
        whole_pixels = tf.cast(edges, tf.int32)
        resized = tf.cond(
            tf.reduce_all(tf.cast(whole_pixels, tf.float32) == edges),
            lambda: _crop_and_resize_traced(pixels, whole_pixels, size),
            lambda: _average_between(pixels, edges, size),
        )
    else:
        pixels = image
        resized = _crop_and_resize(pixels, window, size)
    channels = pixels.shape[-1]
    resized.set_shape([None, None, channels] if tf.is_tensor(size) else [*size, channels])
    return resized


def crop_and_resize_mask(mask: tf.Tensor, window: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """Crop a part of a mask and resize it by the nearest pixel center.

    Args:
        mask: uint8 [height, width], class ids.
        window: As for `crop_and_resize`.
        size: As for `crop_and_resize`.

    Returns:
        uint8 [height, width], class ids.
    """
    return tf.image.resize(mask[window[1] : window[3], window[0] : window[2], None], size, method="nearest")[:, :, 0]


def _crop_and_resize(image: tf.Tensor, window: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
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
# The same for decoded images. It is traced once in a process, like `decode_image`.
_crop_and_resize_traced = tf.function(_crop_and_resize, input_signature=[_PIXELS, _WINDOW, _SIZE], autograph=False)


@tf.function(input_signature=[_PIXELS, _EDGES, _SIZE], autograph=False, experimental_attributes=NOT_INLINED)
def _average_between(image: tf.Tensor, edges: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """Crop and downscale if the window's edges, float32 [4], are between pixels. This is slower."""
    columns = tf.transpose(_average_rows(image, edges[1], edges[3], size[0]), (1, 0, 2))
    return tf.transpose(_average_rows(columns, edges[0], edges[2], size[1]), (1, 0, 2))


def _average_rows(image: tf.Tensor, first: tf.Tensor, last: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """Average the rows of an image over equal intervals.

    Args:
        image: [n, m, channels].
        first: float32 scalar, where the first interval begins.
        last: float32 scalar, where the last interval ends.
        count: Number of intervals.

    Returns:
        float32 [count, m, channels].
    """
    step = (last - first) / tf.cast(count, tf.float32)
    begin = first + step * tf.range(tf.cast(count, tf.float32))

    def add_row(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Add the contribution of the row with this number within each interval."""
        row = tf.floor(begin) + tf.cast(number, tf.float32)
        weight = tf.maximum(tf.minimum(begin + step, row + 1) - tf.maximum(begin, row), 0) / step
        rows = tf.gather(image, tf.minimum(tf.cast(row, tf.int32), tf.shape(image)[0] - 1))
        return number + 1, total + weight[:, None, None] * tf.cast(rows, tf.float32)

    max_rows = tf.cast(tf.math.ceil(step), tf.int32) + 1
    total = tf.zeros(tf.concat([[count], tf.shape(image)[1:]], 0))
    shapes = (tf.TensorShape([]), tf.TensorShape([None, None, image.shape[-1]]))
    total.set_shape(shapes[1])
    return tf.while_loop(lambda number, _: number < max_rows, add_row, (0, total), shapes, parallel_iterations=1)[1]


def round_pixels(pixels: tf.Tensor) -> tf.Tensor:
    """Round float32 pixels in 0..255 to uint8, halves to even. Values outside must be clipped before."""
    return tf.cast(tf.round(pixels), tf.uint8)


def pad_to(image: tf.Tensor, size: Size, padding: int = 0) -> tf.Tensor:
    """Pad an image below and to the right.

    Args:
        image: [height, width, ...] of any dtype.
        size: Height and width of the result in pixels, at least those of the image.
        padding: The value of the added pixels.

    Returns:
        The padded image, of the same dtype.
    """
    height, width = height_and_width(size)
    if image.shape[:2] == (height, width):
        return image
    shape = tf.shape(image)
    missing = [[0, height - shape[0]], [0, width - shape[1]]] + [[0, 0]] * (len(image.shape) - 2)
    image = tf.pad(image, missing, constant_values=tf.cast(padding, image.dtype))
    return tf.ensure_shape(image, [height, width, *image.shape[2:]])


def largest_window(old: tf.Tensor, aspect: float) -> tf.Tensor:
    """Return the largest size inside `old` whose height is `aspect` times its width, int32 [2].

    Args:
        old: int32 [2], height and width in pixels.
        aspect: Height divided by width.
    """
    height, width = tf.cast(old[0], tf.float32), tf.cast(old[1], tf.float32)
    window = tf.stack([tf.minimum(height, width * aspect), tf.minimum(width, height / aspect)])
    return tf.maximum(tf.cast(tf.round(window), tf.int32), 1)


def fit_inside(old: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """Return the largest size inside `size` with the aspect ratio of `old`, int32 [2].

    Args:
        old: int32 [2], height and width in pixels.
        size: Height and width in pixels, ints or int32 [2].
    """
    old, size = tf.cast(old, tf.float32), tf.cast(size, tf.float32)
    resized = tf.round(old * tf.reduce_min(size / old))
    return tf.cast(tf.clip_by_value(resized, 1.0, size), tf.int32)


def height_and_width(size: Size) -> tuple[int, int]:
    """Return the height and width that a size in pixels stands for."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
