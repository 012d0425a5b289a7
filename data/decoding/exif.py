"""EXIF orientation, read and applied by TensorFlow operations, so that an exported model turns images like training."""

from collections.abc import Callable
from functools import partial

import tensorflow as tf

from retinue.data.decoding.graph_bytes import NOT_INLINED, equals, read_bytes, to_unsigned
from retinue.data.decoding.orientation import FLIPS_LEFT_RIGHT, FLIPS_UP_DOWN, MAX_SEGMENTS, ORIENTATION_TAG

EXIF_SIGNATURE = b"Exif\x00\x00"
MAX_ENTRIES = 128  # entries of the first image directory that are read; they are sorted, and this tag comes early

# A function with this signature is traced once in a process. Every input pipeline would otherwise build the hundreds of
# nodes of the decoder again, which takes about half a second each time.
ENCODED_SIGNATURE = [tf.TensorSpec([], tf.string)]

# Of the 10 bytes of a header: whether it is EXIF, the bytes from the header to the payload, the bytes to the next
# header, and whether it is the last header to look at.
HeaderParser = Callable[[tf.Tensor], tuple[tf.Tensor, int, tf.Tensor, tf.Tensor]]


@tf.function(input_signature=ENCODED_SIGNATURE, autograph=False)
def exif_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Read the EXIF orientation of a JPEG, PNG (chunk eXIf before the pixels) or WebP file from its bytes.

    Source: CIPA DC-008 (Exif 2.3), sections 4.5.4 (JPEG APP1) and 4.6.4 (the tag Orientation).

    Args:
        encoded: string scalar, the content of the file.

    Returns:
        int32 scalar, 1 to 8. It is 1 (upright) for other formats and if EXIF is missing or malformed.
    """
    head = read_bytes(encoded, 0, 12)
    is_jpeg = equals(head[:2], b"\xff\xd8")
    is_png = equals(head[:8], b"\x89PNG\r\n\x1a\n")
    is_webp = equals(head[:4], b"RIFF") & equals(head[8:], b"WEBP")
    start = tf.case(
        [
            (is_jpeg, lambda: _find_in_jpeg(encoded)),
            (is_png, lambda: _find_in_png(encoded)),
            (is_webp, lambda: _find_in_webp(encoded)),
        ],
        default=lambda: tf.constant(-1, tf.int64),
    )
    return tf.cond(start < 0, lambda: tf.constant(1), lambda: _read_orientation(encoded, start))


def apply_orientation(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn an image upright, as Pillow's `ImageOps.exif_transpose` does.

    Args:
        image: [height, width, channels] of any dtype.
        orientation: int32 scalar, 1 to 8. The orientations 5 to 8 exchange height and width.

    Returns:
        The upright image, of the same dtype.
    """
    channels = image.shape[-1]

    def turn_upright() -> tf.Tensor:
        turned = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
        flip_left_right = tf.reduce_any(orientation == list(FLIPS_LEFT_RIGHT))
        flip_up_down = tf.reduce_any(orientation == list(FLIPS_UP_DOWN))
        turned = tf.cond(flip_left_right, lambda: tf.reverse(turned, [1]), lambda: turned)
        return tf.cond(flip_up_down, lambda: tf.reverse(turned, [0]), lambda: turned)

    upright = tf.cond(orientation == 1, lambda: image, turn_upright)
    upright.set_shape([None, None, channels])
    return upright


def _find_exif(encoded: tf.Tensor, position: int, parse_header: HeaderParser) -> tf.Tensor:
    """Search the headers of a file for EXIF.

    Args:
        encoded: string scalar, the content of the file.
        position: Position of the first header.
        parse_header: A function of the 10 bytes of a header, int64 [10].

    Returns:
        int64 scalar, the position of the EXIF payload, or -1 if there is none.
    """

    def is_searching(position: tf.Tensor, payload: tf.Tensor, is_last: tf.Tensor) -> tf.Tensor:
        return (payload < 0) & ~is_last

    def step(position: tf.Tensor, payload: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        is_exif, to_payload, to_next, is_last = parse_header(read_bytes(encoded, position, 10))
        return position + to_next, tf.where(is_exif, position + to_payload, payload), is_last

    start = (tf.constant(position, tf.int64), tf.constant(-1, tf.int64), tf.constant(False))
    return tf.while_loop(is_searching, step, start, maximum_iterations=MAX_SEGMENTS, parallel_iterations=1)[1]


def _parse_jpeg_segment(header: tf.Tensor) -> tuple[tf.Tensor, int, tf.Tensor, tf.Tensor]:
    marker, size = header[1], 256 * header[2] + header[3]
    is_exif = (marker == 0xE1) & equals(header[4:], EXIF_SIGNATURE)
    is_frame = (marker >= 0xC0) & (marker <= 0xC2)  # the image data begins here; EXIF comes before it
    is_last = (header[0] != 0xFF) | is_frame | (marker == 0xDA) | (marker == 0xD9)
    is_fill = marker == 0xFF  # additional bytes 0xFF may come before any marker
    return is_exif & ~is_last, 4, tf.where(is_fill, tf.constant(1, tf.int64), size + 2), is_last


def _parse_png_chunk(header: tf.Tensor) -> tuple[tf.Tensor, int, tf.Tensor, tf.Tensor]:
    size, name = to_unsigned(header[:4], little_endian=False), header[4:8]
    is_last = equals(name, b"IDAT") | equals(name, b"IEND") | equals(name, bytes(4))
    return equals(name, b"eXIf"), 8, size + 12, is_last


def _parse_webp_chunk(header: tf.Tensor) -> tuple[tf.Tensor, int, tf.Tensor, tf.Tensor]:
    name, size = header[:4], to_unsigned(header[4:8], little_endian=True)
    return equals(name, b"EXIF"), 8, 8 + size + size % 2, equals(name, bytes(4))


_find_in_jpeg, _find_in_png, _find_in_webp = (
    tf.function(
        partial(_find_exif, position=position, parse_header=parse_header),
        input_signature=ENCODED_SIGNATURE,
        autograph=False,
        experimental_attributes=NOT_INLINED,
    )
    for position, parse_header in ((2, _parse_jpeg_segment), (8, _parse_png_chunk), (12, _parse_webp_chunk))
)


@tf.function(
    input_signature=[*ENCODED_SIGNATURE, tf.TensorSpec([], tf.int64)],
    autograph=False,
    experimental_attributes=NOT_INLINED,
)
def _read_orientation(encoded: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Return the orientation in the first directory of the TIFF structure at `start`, or 1 if there is none."""
    has_signature = equals(read_bytes(encoded, start, 6), EXIF_SIGNATURE)
    start += tf.where(has_signature, tf.constant(6, tf.int64), tf.constant(0, tf.int64))
    head = read_bytes(encoded, start, 8)
    little_endian = equals(head[:2], b"II")
    is_valid = (little_endian | equals(head[:2], b"MM")) & (to_unsigned(head[2:4], little_endian) == 42)
    directory = start + to_unsigned(head[4:8], little_endian)
    count = tf.minimum(to_unsigned(read_bytes(encoded, directory, 2), little_endian), MAX_ENTRIES)
    entries = tf.reshape(read_bytes(encoded, directory + 2, 12 * MAX_ENTRIES), (MAX_ENTRIES, 12))
    tag, kind = to_unsigned(entries[:, :2], little_endian), to_unsigned(entries[:, 2:4], little_endian)
    long_value, short_value = (to_unsigned(entries[:, 8:end], little_endian) for end in (12, 10))
    value = tf.where(kind == 4, long_value, short_value)
    matches = (tag == ORIENTATION_TAG) & ((kind == 3) | (kind == 4))
    matches &= to_unsigned(entries[:, 4:8], little_endian) == 1  # one value
    matches &= (tf.range(MAX_ENTRIES, dtype=tf.int64) < count) & (value >= 1) & (value <= 8) & is_valid
    return tf.cast(tf.maximum(tf.reduce_max(tf.where(matches, value, tf.zeros_like(value))), 1), tf.int32)
