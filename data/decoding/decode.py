"""From files to pixels: the one image decoder of training, evaluation, prediction and the exported SavedModel."""

import os

import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.data.decoding.bmp import decode_bmp
from retinue.data.decoding.exif import ENCODED_SIGNATURE, apply_orientation, exif_orientation
from retinue.data.decoding.file_problem import UnusableFileError
from retinue.data.decoding.graph_bytes import read_bytes, to_unsigned
from retinue.data.decoding.image_formats import HEAD_BYTES, format_of
from retinue.data.decoding.modern_formats import MODERN_FORMATS, decode_modern
from retinue.data.decoding.netpbm import NETPBM_MAGIC, decode_netpbm
from retinue.data.decoding.pixel_range import CONVERT, NO_RANGE, PixelRange, scale_to_uint8
from retinue.data.decoding.tiff_file import decode_tiff
from retinue.data.decoding.webp import decode_webp

JPEG_SIGNATURE = b"\xff\xd8\xff"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TIFF_SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")  # the last two are BigTIFF
CONVERTED_FORMATS = ("TIFF", "Netpbm", *MODERN_FORMATS)  # `read_encoded` converts these to PNG
NOT_DECODED = (
    "TIFF, AVIF, HEIC, PGM and PPM images and videos are not decoded here; convert the image to PNG or JPEG first"
)
NO_PIXEL_RANGE = (np.nan, np.nan)  # as a tensor: there is no data.pixel_range
DECODER_SIGNATURE = [*ENCODED_SIGNATURE, tf.TensorSpec([2], tf.float32)]


def decode_image(encoded: tf.Tensor, pixel_range: PixelRange | None = None) -> tf.Tensor:
    """Decode a JPEG, PNG, GIF (first frame), BMP or WebP (first frame) file, and turn the image upright by its EXIF.

    Gray levels are repeated, palettes are resolved, CMYK is converted, and alpha is removed without blending. Only
    TensorFlow operations are used, so that the function works inside a SavedModel. It does not decode TIFF, AVIF, HEIC
    and Netpbm's formats, which `read_encoded` converts to PNG.

    Args:
        encoded: string scalar, the content of a file.
        pixel_range: The values of a 16-bit PNG that become 0 and 255 (see `retinue.data.decoding.pixel_range`), or None
            if such a file is an error.

    Returns:
        uint8 [height, width, 3], RGB.

    Raises:
        tf.errors.InvalidArgumentError: If the bytes are no such image, or only a part of one.
    """
    return decode_upright(encoded, range_tensor(pixel_range))


def range_tensor(pixel_range: PixelRange | None) -> tf.Tensor:
    """Return a range of pixel values as float32 [2], NaN for None."""
    return tf.constant(pixel_range or NO_PIXEL_RANGE, tf.float32)


@tf.function(input_signature=DECODER_SIGNATURE, autograph=False)
def decode_upright(encoded: tf.Tensor, pixel_range: tf.Tensor) -> tf.Tensor:
    """Decode an image and turn it upright, as `decode_image` does.

    Args:
        encoded: string scalar, as for `decode_image`.
        pixel_range: What `range_tensor` returned.
    """
    return apply_orientation(decode_stored(encoded, pixel_range), exif_orientation(encoded))


@tf.function(input_signature=DECODER_SIGNATURE, autograph=False)
def decode_stored(encoded: tf.Tensor, pixel_range: tf.Tensor) -> tf.Tensor:
    """Decode an image without turning it upright.

    Args:
        encoded: string scalar, as for `decode_image`.
        pixel_range: What `range_tensor` returned.

    Returns:
        uint8 [height, width, 3], RGB, with the rows and columns as they are stored in the file.
    """
    image = tf.case(
        [
            (starts_with(encoded, JPEG_SIGNATURE), lambda: decode_jpeg(encoded)),
            (starts_with(encoded, b"RIFF"), lambda: decode_webp(encoded)),
            (starts_with(encoded, b"BM"), lambda: decode_bmp(encoded)),
            (starts_with(encoded, b"GIF8"), lambda: _decode_gif(encoded)),
            (_is_deep_png(encoded), lambda: _decode_deep_png(encoded, pixel_range)),
            (_is_not_decoded(encoded), lambda: _refuse(NOT_DECODED)),
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


def read_encoded(path: tf.Tensor | str, pixel_range: PixelRange | None = None) -> tf.Tensor:
    """Read the bytes of an image file as a part of a TensorFlow graph.

    TIFF, AVIF, HEIC and Netpbm's formats, which are recognized by their first bytes, are converted to PNG by Python
    code. Therefore this function is for input pipelines and not for a SavedModel.

    Args:
        path: string scalar.
        pixel_range: The values of a TIFF of more than 8 bits that become 0 and 255, or None if such a file is an error.

    Returns:
        string scalar, the bytes of the file, or of a PNG of the same image.

    Raises:
        tf.errors.OpError: If the file cannot be read.
    """
    path = tf.convert_to_tensor(path)
    encoded = tf.io.read_file(path)

    def convert(content: bytes | np.ndarray, name: bytes | np.ndarray) -> bytes:
        # TensorFlow passes strings as bytes in a graph, and as arrays without dimensions in eager mode.
        content, name = (value if isinstance(value, bytes) else value.item() for value in (content, name))
        return _to_decodable(content, name.decode("utf-8", "replace"), pixel_range)

    encoded = tf.cond(
        _is_not_decoded(encoded), lambda: tf.numpy_function(convert, (encoded, path), tf.string), lambda: encoded
    )
    encoded.set_shape([])
    return encoded


def read_encoded_bytes(path: str | os.PathLike[str], pixel_range: PixelRange | None = None) -> bytes:
    """Read the bytes of an image file in Python, like `read_encoded` in a graph.

    Raises:
        OSError: If the file cannot be read.
        RetinueError: If a file of a format that is converted cannot be decoded.
    """
    with open(path, "rb") as file:
        return _to_decodable(file.read(), os.fspath(path), pixel_range)


def _is_deep_png(encoded: tf.Tensor) -> tf.Tensor:
    """Return whether an image is a PNG of 16 bits, as byte 24 of its header says (PNG specification, 11.2.2)."""
    return starts_with(encoded, PNG_SIGNATURE) & (_bytes_at(encoded, 24, 1) == b"\x10")


def _is_not_decoded(encoded: tf.Tensor) -> tf.Tensor:
    """Return whether an image has one of the formats that only `read_encoded` can convert, as far as 8 bytes tell."""
    is_tiff = tf.reduce_any(tf.strings.substr(encoded, 0, 4) == tf.constant(TIFF_SIGNATURES))
    is_netpbm = tf.reduce_any(tf.strings.substr(encoded, 0, 2) == tf.constant(NETPBM_MAGIC))
    return is_tiff | is_netpbm | (_bytes_at(encoded, 4, 4) == b"ftyp")


def _bytes_at(encoded: tf.Tensor, position: int, count: int) -> tf.Tensor:
    """Return `count` bytes from `position` on, or fewer at the end of the file, as a string scalar."""
    return tf.strings.substr(encoded, tf.minimum(position, tf.strings.length(encoded)), count)


def _refuse(reason: str) -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.Assert(tf.constant(False), [reason])]):
        return tf.zeros([0, 0, 3], tf.uint8)


def _decode_deep_png(encoded: tf.Tensor, pixel_range: tf.Tensor) -> tf.Tensor:
    """Decode a PNG of 16 bits by the scale of the dataset. `pixel_range.scale_to_uint8` does the same in NumPy."""

    def decode() -> tf.Tensor:
        low, high = pixel_range[0], pixel_range[1]
        pixels = tf.cast(tf.io.decode_png(encoded, channels=3, dtype=tf.uint16), tf.float32)
        scaled = (pixels - low) * (255.0 / (high - low))
        return tf.cast(tf.round(tf.clip_by_value(scaled, 0.0, 255.0)), tf.uint8)

    has_range = tf.reduce_all(tf.math.is_finite(pixel_range))
    return tf.cond(has_range, decode, lambda: _refuse(f"{NO_RANGE}; {CONVERT}"))


def _decode_gif(encoded: tf.Tensor) -> tf.Tensor:
    """Decode the first frame of a GIF, which must fill the image: TensorFlow does not say where a smaller one lies."""
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape([None, None, 3])
    size = to_unsigned(tf.reshape(read_bytes(encoded, 6, 4), (2, 2)), little_endian=True)[::-1]
    fills = tf.reduce_all(tf.shape(image, tf.int64)[:2] == size)
    reason = "a GIF whose first frame does not fill it; save it again as PNG"
    with tf.control_dependencies([tf.debugging.Assert(fills, [reason])]):
        return tf.identity(image)


def _to_decodable(content: bytes, path: str, pixel_range: PixelRange | None) -> bytes:
    """Return the content of an image file, or of a PNG of the same image if only Python decodes its format."""
    image_format = format_of(content[:HEAD_BYTES])
    if image_format not in CONVERTED_FORMATS:
        return content
    import cv2

    try:
        if image_format == "TIFF":
            pixels = scale_to_uint8(decode_tiff(content), pixel_range)
        elif image_format == "Netpbm":
            pixels = scale_to_uint8(decode_netpbm(content), pixel_range)
        else:
            pixels = decode_modern(content, image_format)
    except UnusableFileError as error:
        raise RetinueError(f"{path}: {error.problem.reason}; {error.problem.cure}") from error
    except Exception as error:  # decoders raise exceptions of any class for damaged files
        raise RetinueError(f"{path}: it cannot be decoded ({error})") from error
    png: bytes = cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()
    return png
