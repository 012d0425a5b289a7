"""Files to pixels: the one decoder that training, evaluation, prediction and the exported SavedModel share."""

import io

import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.data.decoding.exif import ENCODED_SIGNATURE, apply_orientation, exif_orientation
from retinue.data.decoding.opencv import opencv_quiet

TIFF_SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")  # the last two are BigTIFF
JPEG_SIGNATURE = b"\xff\xd8\xff"
FULL_SCALES = (255, 4095, 65535)  # white of 8-bit, 12-bit and 16-bit pictures


@tf.function(input_signature=ENCODED_SIGNATURE, autograph=False)
def decode_image(encoded):
    """Decode a JPEG, PNG, GIF (first frame), BMP or WebP (first frame) file to pixels, turned upright by its EXIF.

    Grey is repeated, palettes are looked up, CMYK is converted, alpha is dropped without blending and 16 bits are cut
    to 8. All TensorFlow ops: it works inside a SavedModel. TIFF is not known here; `read_encoded` transcodes it.

    encoded: string scalar. Returns uint8 `[height, width, 3]`, RGB.
    Raises tf.errors.InvalidArgumentError when the bytes are no such picture, or only a part of one.
    """
    return apply_orientation(decode_stored(encoded), exif_orientation(encoded))


@tf.function(input_signature=ENCODED_SIGNATURE, autograph=False)
def decode_stored(encoded):
    """The same without turning it: the rows and columns as they are in the file."""
    image = tf.case(
        [
            (starts_with(encoded, JPEG_SIGNATURE), lambda: decode_jpeg(encoded)),
            (starts_with(encoded, b"RIFF"), lambda: _decode_webp(encoded)),
            (starts_with(encoded, b"BM"), lambda: _decode_bmp(encoded)),
        ],
        default=lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    image.set_shape([None, None, 3])
    return image


def decode_jpeg(encoded, ratio=1):
    """A JPEG as it is stored, at 1/`ratio` (1, 2, 4 or 8) of its size, rounded up: uint8 `[height, width, 3]`."""
    # The accurate transform gives the pixels of Pillow and OpenCV; TensorFlow's default is up to 5 levels off.
    return tf.io.decode_jpeg(encoded, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")


def starts_with(encoded, signature):
    """Whether the bytes of a string scalar start with `signature`, bytes: bool scalar."""
    return tf.strings.substr(encoded, 0, len(signature)) == tf.constant(signature)


def read_encoded(path):
    """Read a file in the graph: its bytes, or, for a TIFF (told by its first bytes), the same picture as PNG bytes.

    path: string scalar. Returns string scalar. Raises tf.errors.OpError when it can't be read.
    TIFFs are transcoded with Python, so this function is for input pipelines, not for a SavedModel.
    """
    path = tf.convert_to_tensor(path)
    encoded = tf.io.read_file(path)
    head = tf.strings.substr(encoded, 0, 4)
    is_tiff = tf.reduce_any(head == tf.constant(TIFF_SIGNATURES))
    encoded = tf.cond(
        is_tiff, lambda: tf.numpy_function(_transcode_tensors, (encoded, path), tf.string), lambda: encoded
    )
    encoded.set_shape([])
    return encoded


def encoded_bytes(path):
    """The Python twin of `read_encoded`: path (str) -> bytes. Raises OSError, or RetinueError for a broken TIFF."""
    with open(path, "rb") as file:
        encoded = file.read()
    return _transcode(encoded, path) if encoded[:4] in TIFF_SIGNATURES else encoded


def to_eight_bits(pixels):
    """Bring numbers of any dtype to uint8, keeping the shape.

    White is 1 for floats up to 1, otherwise the smallest of 255, 4095 and 65535 that no value exceeds: cameras write
    12 bits into 16-bit files. With negative or larger values, the picture's own lowest and highest become 0 and 255.
    """
    if pixels.dtype == np.uint8:
        return pixels
    is_float = pixels.dtype.kind == "f"
    pixels = np.nan_to_num(pixels.astype(np.float64), posinf=0, neginf=0)
    low, high = pixels.min(), pixels.max()
    scales = [scale for scale in ((1,) if is_float else ()) + FULL_SCALES if low >= 0 and high <= scale]
    if scales:
        low, high = 0, scales[0]
    return np.rint((pixels - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def _decode_webp(encoded):
    return tf.io.decode_webp(encoded, channels=0)[0, :, :, :3]


def _decode_bmp(encoded):
    """BMP; TensorFlow's op takes palette indices for grey levels and knows no 1 and 4 bits, so those are done here."""
    header = tf.io.decode_raw(tf.strings.substr(encoded, 0, 54), tf.uint8, fixed_length=54)
    bits, compression = _little(header[28:30]), _little(header[30:34])
    return tf.cond(
        (bits <= 8) & (compression == 0),
        lambda: _decode_palette_bmp(encoded, header, bits),
        lambda: tf.io.decode_bmp(encoded, channels=0)[:, :, :3],
    )


def _decode_palette_bmp(encoded, header, bits):
    offset, header_size = _little(header[10:14]), _little(header[14:18])
    width, height = _little(header[18:22]), _little(header[22:26])
    stride = (width * bits + 31) // 32 * 4
    rows = tf.io.decode_raw(tf.strings.substr(encoded, offset, stride * tf.abs(height)), tf.uint8)
    rows = tf.cast(tf.reshape(rows, (tf.abs(height), stride, 1)), tf.int32)
    shifts = tf.range(8 - bits, -1, -bits)  # the leftmost pixel is in the highest bits
    index = tf.bitwise.bitwise_and(tf.bitwise.right_shift(rows, shifts), tf.bitwise.left_shift(1, bits) - 1)
    index = tf.reshape(index, (tf.abs(height), -1))[:, :width]
    index = tf.cond(height > 0, lambda: tf.reverse(index, [0]), lambda: index)  # positive height: bottom row first
    palette = tf.io.decode_raw(tf.strings.substr(encoded, 14 + header_size, offset - 14 - header_size), tf.uint8)
    palette = tf.reshape(palette[: tf.size(palette) // 4 * 4], (-1, 4))[:, 2::-1]  # blue, green, red, unused
    return tf.gather(palette, index)


def _little(values):
    return tf.bitcast(tf.concat([values, tf.zeros([4 - values.shape[0]], tf.uint8)], 0), tf.int32)


def _transcode_tensors(encoded, path):
    # TensorFlow hands strings over as bytes in a graph, as arrays of no dimensions when eager.
    encoded, path = (value if isinstance(value, bytes) else value.item() for value in (encoded, path))
    return _transcode(encoded, path.decode("utf-8", "replace"))


def _transcode(encoded, path):
    """TIFF bytes -> PNG bytes of its first page, RGB or grey, 8 bits, upright."""
    import cv2
    from PIL import Image, ImageOps

    with opencv_quiet:
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise RetinueError(f"{path}: this TIFF cannot be decoded; save it as PNG or JPEG, or take it out")
    if pixels.ndim == 3 and pixels.shape[2] == 4 and pixels.dtype == np.uint8:
        # OpenCV multiplies the colours of these by alpha; Pillow keeps them.
        with Image.open(io.BytesIO(encoded)) as opened:
            pixels = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))[:, :, ::-1]
    elif pixels.ndim == 3:
        pixels = pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels[:, :, 0]
    return cv2.imencode(".png", to_eight_bits(pixels))[1].tobytes()  # OpenCV's BGR goes in and becomes RGB in the file
