"""EXIF orientation, found and applied by TensorFlow ops, so that an exported model turns photos as training did."""

import tensorflow as tf

EXIF_SIGNATURE = b"Exif\x00\x00"
ORIENTATION_TAG = 0x0112
MAX_SEGMENTS = 64  # segments or chunks that are walked before giving up; cameras put EXIF first or second
MAX_ENTRIES = 128  # entries of the first image directory that are read; it is sorted, and this tag comes early

# A function with this signature is traced once a process. Every input pipeline would otherwise build the hundreds of
# nodes of the decoder again, which takes about half a second each time.
ENCODED_SIGNATURE = [tf.TensorSpec([], tf.string)]


@tf.function(input_signature=ENCODED_SIGNATURE, autograph=False)
def exif_orientation(encoded):
    """The EXIF orientation of a JPEG, PNG (chunk eXIf before the pixels) or WebP file, read from its bytes.

    encoded: string scalar. Returns int32 scalar, 1 to 8; 1 (upright) for other formats and where EXIF is missing or
    malformed. Source: CIPA DC-008 (Exif 2.3), sections 4.5.4 (JPEG APP1) and 4.6.4 (the tag Orientation).
    """
    head = _bytes(encoded, 0, 12)
    is_jpeg = _equal(head[:2], b"\xff\xd8")
    is_png = _equal(head[:8], b"\x89PNG\r\n\x1a\n")
    is_webp = _equal(head[:4], b"RIFF") & _equal(head[8:], b"WEBP")
    start = tf.case(
        [
            (is_jpeg, lambda: _walk(encoded, 2, _jpeg_segment)),
            (is_png, lambda: _walk(encoded, 8, _png_chunk)),
            (is_webp, lambda: _walk(encoded, 12, _webp_chunk)),
        ],
        default=lambda: tf.constant(-1, tf.int64),
    )
    return tf.cond(start < 0, lambda: tf.constant(1), lambda: _read_orientation(encoded, start))


def apply_orientation(image, orientation):
    """Turn `image` (`[height, width, channels]`, any dtype) upright; orientation is int32 scalar, 1 to 8.

    5 to 8 swap height and width. The same as Pillow's `ImageOps.exif_transpose`.
    """
    channels = image.shape[-1]

    def upright():
        turned = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
        mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
        upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
        turned = tf.cond(mirrored, lambda: tf.reverse(turned, [1]), lambda: turned)
        return tf.cond(upside_down, lambda: tf.reverse(turned, [0]), lambda: turned)

    image = tf.cond(orientation == 1, lambda: image, upright)
    image.set_shape([None, None, channels])
    return image


def _walk(encoded, position, read_header):
    """Position of the EXIF payload, or -1: go from header to header, each 10 bytes as int64, from `position` on.

    read_header gives (is EXIF, bytes from header to payload, bytes to the next header, is last).
    """

    def proceed(position, found, last):
        return (found < 0) & ~last

    def step(position, found, last):
        is_exif, to_payload, to_next, last = read_header(_bytes(encoded, position, 10))
        return position + to_next, tf.where(is_exif, position + to_payload, found), last

    start = (tf.constant(position, tf.int64), tf.constant(-1, tf.int64), tf.constant(False))
    return tf.while_loop(proceed, step, start, maximum_iterations=MAX_SEGMENTS, parallel_iterations=1)[1]


def _jpeg_segment(header):
    marker, size = header[1], 256 * header[2] + header[3]
    is_exif = (marker == 0xE1) & _equal(header[4:], EXIF_SIGNATURE)
    is_frame = (marker >= 0xC0) & (marker <= 0xC2)  # the picture itself begins; EXIF comes before
    last = (header[0] != 0xFF) | is_frame | (marker == 0xDA) | (marker == 0xD9)
    is_fill = marker == 0xFF  # any marker may follow extra bytes 0xFF
    return is_exif & ~last, 4, tf.where(is_fill, tf.constant(1, tf.int64), size + 2), last


def _png_chunk(header):
    size, name = _unsigned(header[:4], little=False), header[4:8]
    last = _equal(name, b"IDAT") | _equal(name, b"IEND") | _equal(name, bytes(4))
    return _equal(name, b"eXIf"), 8, size + 12, last


def _webp_chunk(header):
    name, size = header[:4], _unsigned(header[4:8], little=True)
    return _equal(name, b"EXIF"), 8, 8 + size + size % 2, _equal(name, bytes(4))


def _read_orientation(encoded, start):
    """The tag's value in the first directory of the TIFF structure at `start`, 1 if it has none."""
    signed = _equal(_bytes(encoded, start, 6), EXIF_SIGNATURE)
    start += tf.where(signed, tf.constant(6, tf.int64), tf.constant(0, tf.int64))
    head = _bytes(encoded, start, 8)
    little = _equal(head[:2], b"II")
    valid = (little | _equal(head[:2], b"MM")) & (_unsigned(head[2:4], little) == 42)
    directory = start + _unsigned(head[4:8], little)
    count = tf.minimum(_unsigned(_bytes(encoded, directory, 2), little), MAX_ENTRIES)
    entries = tf.reshape(_bytes(encoded, directory + 2, 12 * MAX_ENTRIES), (MAX_ENTRIES, 12))
    kind = _unsigned(entries[:, 2:4], little)
    value = tf.where(kind == 4, _unsigned(entries[:, 8:12], little), _unsigned(entries[:, 8:10], little))
    matches = (_unsigned(entries[:, :2], little) == ORIENTATION_TAG) & ((kind == 3) | (kind == 4))
    matches &= (tf.range(MAX_ENTRIES, dtype=tf.int64) < count) & (value >= 1) & (value <= 8) & valid
    return tf.cast(tf.maximum(tf.reduce_max(tf.where(matches, value, tf.zeros_like(value))), 1), tf.int32)


def _bytes(encoded, position, count):
    """`count` bytes from `position` on, int64 `[count]`; zeros past the end of the file."""
    length = tf.cast(tf.strings.length(encoded), tf.int64)
    position = tf.clip_by_value(tf.cast(position, tf.int64), tf.constant(0, tf.int64), length)
    part = tf.strings.substr(encoded, position, tf.constant(count, tf.int64))
    return tf.cast(tf.io.decode_raw(part, tf.uint8, fixed_length=count), tf.int64)


def _unsigned(values, little):
    """The unsigned integers whose bytes lie along the last axis of `values`."""
    powers = 256 ** tf.range(values.shape[-1], dtype=tf.int64)
    return tf.reduce_sum(values * tf.where(little, powers, powers[::-1]), axis=-1)


def _equal(values, expected):
    return tf.reduce_all(values == tf.constant(list(expected), tf.int64))
