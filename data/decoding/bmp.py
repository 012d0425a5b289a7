"""Decoding BMP by TensorFlow operations, as far as `tf.io.decode_bmp` does not do it right.

Sources: the structures BITMAPFILEHEADER, BITMAPINFOHEADER and BITMAPV4HEADER in Microsoft's documentation.
"""

from typing import NamedTuple

import tensorflow as tf

from retinue.data.decoding.graph_bytes import read_bytes, to_unsigned
from retinue.data.decoding.image_structure import BMP_COLOR_MASKS, BMP_HEADER, BMP_MAX_SIDE, BMP_MIN_INFO_HEADER


class _Header(NamedTuple):
    """Numbers of a header, each an int64 scalar. The height is negative where the top row comes first."""

    offset: tf.Tensor
    info_size: tf.Tensor
    width: tf.Tensor
    height: tf.Tensor
    bits: tf.Tensor
    compression: tf.Tensor


def decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a BMP.

    TensorFlow's operation takes palette indices for gray levels, does not decode 1 and 4 bits and does not read where
    the colors of a pixel are, so that images with a palette are decoded here and unusual ones are errors.

    Args:
        encoded: string scalar, the content of the file.

    Returns:
        uint8 [height, width, 3], RGB.

    Raises:
        tf.errors.InvalidArgumentError: The file is damaged, incomplete or of another variant.
    """
    header = _read_header(encoded)
    has_palette = header.bits <= 8
    has_usual_colors = (header.compression == 0) | (
        ~has_palette
        & (header.compression == 3)
        & tf.reduce_all(read_bytes(encoded, BMP_HEADER, 12) == tf.constant(list(BMP_COLOR_MASKS), tf.int64))
    )
    is_usual = (
        (header.info_size >= BMP_MIN_INFO_HEADER)
        & tf.reduce_any(header.bits == tf.constant([1, 2, 4, 8, 24, 32], tf.int64))
        & has_usual_colors
        & (header.width > 0)
        & (tf.maximum(header.width, tf.abs(header.height)) <= BMP_MAX_SIDE)
    )
    with tf.control_dependencies([tf.debugging.Assert(is_usual, ["BMP: a damaged or unusual header"])]):
        has_palette = tf.identity(has_palette)
    return tf.cond(
        has_palette,
        lambda: _decode_palette(encoded, header),
        lambda: tf.io.decode_bmp(encoded, channels=0)[:, :, :3],
    )


def _read_header(encoded: tf.Tensor) -> _Header:
    content = read_bytes(encoded, 0, BMP_HEADER)

    def number(first: int, count: int, signed: bool = False) -> tf.Tensor:
        value = to_unsigned(content[first : first + count], little_endian=True)
        return tf.where(value >= 2 ** (8 * count - 1), value - 2 ** (8 * count), value) if signed else value

    return _Header(number(10, 4), number(14, 4), number(18, 4, True), number(22, 4, True), number(28, 2), number(30, 4))


def _decode_palette(encoded: tf.Tensor, header: _Header) -> tf.Tensor:
    rows, palette_start, length = tf.abs(header.height), 14 + header.info_size, tf.strings.length(encoded)
    stride = (header.width * header.bits + 31) // 32 * 4
    is_complete = (palette_start <= header.offset) & (header.offset + stride * rows <= tf.cast(length, tf.int64))
    with tf.control_dependencies([tf.debugging.Assert(is_complete, ["BMP: the file ends before the image does"])]):
        offset = tf.identity(header.offset)
    values = tf.io.decode_raw(tf.strings.substr(encoded, offset, stride * rows), tf.uint8)
    values = tf.cast(tf.reshape(values, tf.stack([rows, stride, 1])), tf.int32)
    bits = tf.cast(header.bits, tf.int32)
    shifts = tf.range(8 - bits, -1, -bits)  # the leftmost pixel is in the highest bits
    index = tf.bitwise.bitwise_and(tf.bitwise.right_shift(values, shifts), tf.bitwise.left_shift(1, bits) - 1)
    index = tf.reshape(index, tf.stack([rows, stride * 8 // header.bits]))[:, : header.width]
    index = tf.cond(header.height > 0, lambda: tf.reverse(index, [0]), lambda: index)  # positive: bottom row first
    palette = tf.io.decode_raw(tf.strings.substr(encoded, palette_start, offset - palette_start), tf.uint8)
    palette = tf.reshape(palette[: tf.size(palette) // 4 * 4], (-1, 4))[:, 2::-1]  # blue, green, red, unused
    has_colors = tf.reduce_all(index < tf.shape(palette)[0])
    with tf.control_dependencies([tf.debugging.Assert(has_colors, ["BMP: more colors than its palette defines"])]):
        return tf.gather(palette, index)
