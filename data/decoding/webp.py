"""Decoding WebP by TensorFlow operations: the first frame is taken out of its container before it is decoded.

`tf.io.decode_webp` must never see an animation. For one without alpha it reserves three bytes per pixel and writes four
(TensorFlow 2.21), which corrupts the memory of the process. It also decodes every frame of one that it can decode.
"""

import tensorflow as tf

from retinue.data.decoding.graph_bytes import equals, read_bytes, to_unsigned
from retinue.data.decoding.image_structure import MAX_WEBP_CHUNKS, MAX_WEBP_SIDE

FILE_HEADER, CHUNK_HEADER, FRAME_HEADER = 12, 8, 16  # bytes


def decode_webp(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a WebP file, or the first frame of an animation. Alpha is removed without blending.

    A frame that is smaller than the canvas of its animation is put where it belongs, on black, as libwebp's own decoder
    of animations and Pillow do it.

    Source: RFC 9649, section 2.

    Args:
        encoded: string scalar, the content of the file.

    Returns:
        uint8 [height, width, 3], RGB, with the rows and columns as they are stored.

    Raises:
        tf.errors.InvalidArgumentError: If the first frame is damaged or incomplete.
    """
    position = _find_chunk(encoded, tf.constant(FILE_HEADER, tf.int64), (b"VP8 ", b"VP8L", b"ANMF"))
    head = read_bytes(encoded, position, CHUNK_HEADER + FRAME_HEADER)
    is_frame = equals(head[:4], b"ANMF")
    left_top = 2 * to_unsigned(tf.reshape(head[CHUNK_HEADER : CHUNK_HEADER + 6], (2, 3)), little_endian=True)
    position = tf.cond(
        is_frame,
        lambda: _find_chunk(encoded, position + CHUNK_HEADER + FRAME_HEADER, (b"VP8 ", b"VP8L")),
        lambda: position,
    )
    pixels = tf.io.decode_webp(_as_simple_file(encoded, position), channels=0)[0, :, :, :3]
    size = tf.shape(pixels, tf.int64)[:2]

    extended = read_bytes(encoded, FILE_HEADER, 18)
    canvas = tf.where(
        equals(extended[:4], b"VP8X"), 1 + to_unsigned(tf.stack([extended[15:18], extended[12:15]]), True), size
    )
    # The size of a frame is that of its pixels, as for libwebp, whatever the container says.
    offset = tf.where(is_frame, left_top[::-1], tf.zeros_like(canvas))
    rest = canvas - size - offset
    is_consistent = (
        tf.reduce_all(rest >= 0) & (is_frame | tf.reduce_all(rest == 0)) & tf.reduce_all(canvas <= MAX_WEBP_SIDE)
    )
    with tf.control_dependencies([tf.debugging.Assert(is_consistent, ["WebP: a frame has a wrong size"])]):
        pixels = tf.identity(pixels)
    return tf.cond(
        tf.reduce_all(canvas == size),
        lambda: pixels,
        lambda: tf.pad(pixels, [[offset[0], rest[0]], [offset[1], rest[1]], [0, 0]]),
    )


def _find_chunk(encoded: tf.Tensor, position: tf.Tensor, names: tuple[bytes, ...]) -> tf.Tensor:
    """Return the position of the first chunk with one of the names from a chunk on, or where the search ended."""

    def is_searching(position: tf.Tensor) -> tf.Tensor:
        name = read_bytes(encoded, position, 4)
        return ~tf.reduce_any([equals(name, each) for each in (*names, bytes(4))])

    def step(position: tf.Tensor) -> tuple[tf.Tensor]:
        size = to_unsigned(read_bytes(encoded, position + 4, 4), little_endian=True)
        return (position + CHUNK_HEADER + size + size % 2,)

    return tf.while_loop(is_searching, step, (position,), maximum_iterations=MAX_WEBP_CHUNKS, parallel_iterations=1)[0]


def _as_simple_file(encoded: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Return the chunk at a position as a file of its own, which by its format has no animation: string scalar."""
    length = tf.cast(tf.strings.length(encoded), tf.int64)
    position = tf.minimum(position, length)
    size = to_unsigned(read_bytes(encoded, position + 4, 4), little_endian=True)
    chunk = tf.strings.substr(encoded, position, CHUNK_HEADER + size)
    padding = tf.where(size % 2 == 1, tf.constant(b"\0"), tf.constant(b""))
    # The declared size is the one that a complete chunk has, so that libwebp refuses a truncated one.
    file_size = 4 + CHUNK_HEADER + size + size % 2
    size_bytes = tf.gather([bytes([value]) for value in range(256)], file_size // [1, 1 << 8, 1 << 16, 1 << 24] % 256)
    return tf.strings.join([b"RIFF", tf.strings.reduce_join(size_bytes), b"WEBP", chunk, padding])
