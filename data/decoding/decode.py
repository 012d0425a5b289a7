"""From files to pixels: the one image decoder of training, evaluation, prediction and the exported SavedModel."""

import contextlib
import io

import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.data.decoding.exif import ENCODED_SIGNATURE, apply_orientation, exif_orientation
from retinue.data.decoding.opencv import silence_opencv
from retinue.data.decoding.webp import decode_webp

TIFF_SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")  # the last two are BigTIFF
JPEG_SIGNATURE = b"\xff\xd8\xff"
WHITE_LEVELS = (255, 4095, 65535)  # white in 8-bit, 12-bit and 16-bit images


@tf.function(input_signature=ENCODED_SIGNATURE, autograph=False)
def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a JPEG, PNG, GIF (first frame), BMP or WebP (first frame) file, and turn the image upright by its EXIF.

    Gray levels are repeated, palettes are resolved, CMYK is converted, alpha is removed without blending, and 16 bits
    are reduced to 8. Only TensorFlow operations are used, so that the function works inside a SavedModel. It does not
    decode TIFF, which `read_encoded` converts to PNG.

    Args:
        encoded: string scalar, the content of a file.

    Returns:
        uint8 [height, width, 3], RGB.

    Raises:
        tf.errors.InvalidArgumentError: If the bytes are no such image, or only a part of one.
    """
    return apply_orientation(decode_stored(encoded), exif_orientation(encoded))


@tf.function(input_signature=ENCODED_SIGNATURE, autograph=False)
def decode_stored(encoded: tf.Tensor) -> tf.Tensor:
    """Decode an image without turning it upright.

    Args:
        encoded: string scalar, as for `decode_image`.

    Returns:
        uint8 [height, width, 3], RGB, with the rows and columns as they are stored in the file.
    """
    image = tf.case(
        [
            (starts_with(encoded, JPEG_SIGNATURE), lambda: decode_jpeg(encoded)),
            (starts_with(encoded, b"RIFF"), lambda: decode_webp(encoded)),
            (starts_with(encoded, b"BM"), lambda: _decode_bmp(encoded)),
        ],
        default=lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    image.set_shape([None, None, 3])
    return image


def decode_jpeg(encoded: tf.Tensor, ratio: int = 1) -> tf.Tensor:
    """Decode a JPEG as it is stored, at a fraction of its size.

    Args:
        encoded: string scalar, the content of a JPEG file.
        ratio: 1, 2, 4 or 8. The sides are divided by it and rounded up.

    Returns:
        uint8 [height, width, 3], RGB.
    """
    # The accurate transform gives the same pixels as Pillow and OpenCV; TensorFlow's default differs by up to 5 levels.
    return tf.io.decode_jpeg(encoded, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")


def starts_with(encoded: tf.Tensor, signature: bytes) -> tf.Tensor:
    """Return whether a string scalar starts with `signature`, as a bool scalar."""
    return tf.strings.substr(encoded, 0, len(signature)) == tf.constant(signature)


def read_encoded(path: tf.Tensor | str) -> tf.Tensor:
    """Read the bytes of an image file as a part of a TensorFlow graph.

    A TIFF, which is recognized by its first bytes, is converted to PNG by Python code. Therefore this function is for
    input pipelines and not for a SavedModel.

    Args:
        path: string scalar.

    Returns:
        string scalar, the bytes of the file, or of a PNG of the same image.

    Raises:
        tf.errors.OpError: If the file cannot be read.
    """
    path = tf.convert_to_tensor(path)
    encoded = tf.io.read_file(path)
    head = tf.strings.substr(encoded, 0, 4)
    is_tiff = tf.reduce_any(head == tf.constant(TIFF_SIGNATURES))
    encoded = tf.cond(
        is_tiff, lambda: tf.numpy_function(_tiff_to_png_tensors, (encoded, path), tf.string), lambda: encoded
    )
    encoded.set_shape([])
    return encoded


def read_encoded_bytes(path: str) -> bytes:
    """Read the bytes of an image file in Python, like `read_encoded` in a graph.

    Raises:
        OSError: If the file cannot be read.
        RetinueError: If a TIFF cannot be decoded.
    """
    with open(path, "rb") as file:
        encoded = file.read()
    return _tiff_to_png(encoded, path) if encoded[:4] in TIFF_SIGNATURES else encoded


def scale_to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Convert pixels of any dtype to uint8.

    White is 1 for floats up to 1, and otherwise the smallest of 255, 4095 and 65535 that no pixel exceeds, because
    cameras write 12 bits into 16-bit files. If pixels are negative or larger, the lowest and the highest one become 0
    and 255.

    Args:
        pixels: numbers of any shape.

    Returns:
        uint8 of the same shape.
    """
    if pixels.dtype == np.uint8:
        return pixels
    is_float = pixels.dtype.kind == "f"
    pixels = np.nan_to_num(pixels.astype(np.float64), posinf=0, neginf=0)
    low, high = pixels.min(), pixels.max()
    white_levels = [level for level in ((1,) if is_float else ()) + WHITE_LEVELS if low >= 0 and high <= level]
    if white_levels:
        low, high = 0, white_levels[0]
    return np.rint((pixels - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a BMP.

    TensorFlow's operation takes palette indices for gray levels and does not decode 1 and 4 bits, so that images with a
    palette are decoded here.
    """
    header = tf.io.decode_raw(tf.strings.substr(encoded, 0, 54), tf.uint8, fixed_length=54)
    bits, compression = _little_endian(header[28:30]), _little_endian(header[30:34])
    return tf.cond(
        (bits <= 8) & (compression == 0),
        lambda: _decode_palette_bmp(encoded, header, bits),
        lambda: tf.io.decode_bmp(encoded, channels=0)[:, :, :3],
    )


def _decode_palette_bmp(encoded: tf.Tensor, header: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    offset, header_size = _little_endian(header[10:14]), _little_endian(header[14:18])
    width, height = _little_endian(header[18:22]), _little_endian(header[22:26])
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


def _little_endian(values: tf.Tensor) -> tf.Tensor:
    """Return the int32 scalar whose lowest bytes are `values`, uint8 [2] or [4]."""
    return tf.bitcast(tf.concat([values, tf.zeros([4 - values.shape[0]], tf.uint8)], 0), tf.int32)


def _tiff_to_png_tensors(encoded: bytes | np.ndarray, path: bytes | np.ndarray) -> bytes:
    # TensorFlow passes strings as bytes in a graph, and as arrays without dimensions in eager mode.
    encoded, path = (value if isinstance(value, bytes) else value.item() for value in (encoded, path))
    return _tiff_to_png(encoded, path.decode("utf-8", "replace"))


def _tiff_to_png(encoded: bytes, path: str) -> bytes:
    """Convert the first page of a TIFF file to a PNG file: RGB or gray, 8 bits, upright."""
    import cv2
    from PIL import Image, ImageOps

    pixels = None
    with silence_opencv, contextlib.suppress(cv2.error):  # OpenCV raises it for a size that it does not support
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise RetinueError(f"{path}: this TIFF cannot be decoded; save it as PNG or JPEG, or remove it")
    if pixels.ndim == 3 and pixels.shape[2] == 4 and pixels.dtype == np.uint8:
        # OpenCV multiplies the colors of such files by alpha; Pillow does not.
        with Image.open(io.BytesIO(encoded)) as opened:
            pixels = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))[:, :, ::-1]
    elif pixels.ndim == 3:
        pixels = pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels[:, :, 0]
    png: bytes = cv2.imencode(".png", scale_to_uint8(pixels))[1].tobytes()  # OpenCV converts BGR to RGB here
    return png
