"""An image that is decoded only as large as needed: JPEGs can be decoded at 1/2, 1/4 and 1/8 of their size."""

import tensorflow as tf

from retinue.data.decoding.decode import (
    DECODER_SIGNATURE,
    JPEG_SIGNATURE,
    decode_jpeg,
    decode_stored,
    range_tensor,
    starts_with,
)
from retinue.data.decoding.exif import ENCODED_SIGNATURE, apply_orientation, exif_orientation
from retinue.data.decoding.orientation import FLIPS_LEFT_RIGHT, FLIPS_UP_DOWN
from retinue.data.decoding.pixel_range import PixelRange

RATIOS = (1, 2, 4, 8)
MIN_OVERSAMPLING = 1.5  # a decoded side has at least this many times the pixels of the resized side


class EncodedImage:
    """An encoded image whose size is known, and which is decoded when the wanted part and its size are known.

    A JPEG whose pixels are averaged by the following resize anyway is decoded at 1/2, 1/4 or 1/8 of its size, as long
    as each side keeps 1.5 times the wanted pixels. The inverse discrete cosine transform (DCT) of the 8 x 8 blocks then
    does the first part of the averaging: at 1/8, each pixel is exactly the mean of a block. Other formats are decoded
    at once, as by `decode_image`.

    Args:
        encoded: string scalar, the content of an image file, as for `decode_image`.
        upright_jpeg: Whether the file is known to be a JPEG with EXIF orientation 1. Then its format and orientation
            are not read again.
        pixel_range: As for `decode_image`.

    Attributes:
        size: int32 [2], height and width in pixels of the upright image at its full size.
        orientation: int32 scalar, the EXIF orientation.

    Raises:
        tf.errors.InvalidArgumentError: As by `decode_image`. For a truncated JPEG, `decode_for` raises it.
    """

    def __init__(self, encoded: tf.Tensor, upright_jpeg: bool = False, pixel_range: PixelRange | None = None) -> None:
        self._encoded, self._upright_jpeg = encoded, upright_jpeg
        if upright_jpeg:
            self._is_jpeg, self.orientation = tf.constant(True), tf.constant(1)
            self.size = tf.io.extract_jpeg_shape(encoded)[:2]
            return
        self._is_jpeg, self._other_pixels, self.orientation, self.size = _open(encoded, range_tensor(pixel_range))

    def decode_for(self, window: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Decode the image at a size that is sufficient for resizing a part of it.

        Args:
            window: int32 [4], x1, y1, x2, y2 of the part in pixels of the image at its full size.
            size: Height and width in pixels to which the part will be resized, ints or int32 [2].

        Returns:
            uint8 [height, width, 3], the upright image, and float32 [4], the window in its pixels. The window consists
            of whole numbers if the image was decoded at its full size.
        """
        index = self._ratio_index(window, size)
        ratio = tf.gather(RATIOS, index)
        if self._upright_jpeg:
            return _decode_jpeg_at(self._encoded, index), tf.cast(window, tf.float32) / tf.cast(ratio, tf.float32)
        pixels = tf.cond(
            self._is_jpeg,
            lambda: _apply_orientation(_decode_jpeg_at(self._encoded, index), self.orientation),
            lambda: self._other_pixels,
        )
        pixels.set_shape([None, None, 3])
        # The last blocks of a row and a column can extend beyond the image's edge. Turning the image upright can make
        # this edge the first one.
        excess = tf.shape(pixels)[:2] * ratio - self.size
        is_flipped = self._is_jpeg & tf.stack(
            [
                tf.reduce_any(self.orientation == list(FLIPS_LEFT_RIGHT)),
                tf.reduce_any(self.orientation == list(FLIPS_UP_DOWN)),
            ]
        )
        first = tf.where(is_flipped, excess[::-1], 0)
        return pixels, tf.cast(window + tf.tile(first, [2]), tf.float32) / tf.cast(ratio, tf.float32)

    def decode(self) -> tf.Tensor:
        """Decode the image at its full size: uint8 [height, width, 3], upright."""
        return self.decode_for(tf.stack([0, 0, self.size[1], self.size[0]]), self.size)[0]

    def _ratio_index(self, window: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
        """Return the index of the ratio in `RATIOS` at which the image is decoded, int32 scalar."""
        old = tf.cast(tf.stack([window[3] - window[1], window[2] - window[0]]), tf.float32)
        oversampling = tf.reduce_min(old / tf.cast(tf.convert_to_tensor(size), tf.float32))
        is_enough = oversampling >= MIN_OVERSAMPLING * tf.constant(RATIOS[1:], tf.float32)
        return tf.where(self._is_jpeg, tf.reduce_sum(tf.cast(is_enough, tf.int32)), 0)


# The following functions are traced once in a process, like `decode_image`.
@tf.function(input_signature=DECODER_SIGNATURE, autograph=False)
def _open(encoded: tf.Tensor, pixel_range: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Read the size of an image, and decode it unless it is a JPEG.

    Args:
        encoded: string scalar, the content of an image file.
        pixel_range: What `range_tensor` returned.

    Returns:
        bool scalar, whether it is a JPEG; uint8 [height, width, 3], the upright image if it is not; int32 scalar, the
        EXIF orientation; and int32 [2], the height and width of the upright image.
    """
    orientation = exif_orientation(encoded)
    is_jpeg = starts_with(encoded, JPEG_SIGNATURE)
    other_pixels = tf.cond(
        is_jpeg,
        lambda: tf.zeros([0, 0, 3], tf.uint8),
        lambda: apply_orientation(decode_stored(encoded, pixel_range), orientation),
    )
    stored = tf.cond(is_jpeg, lambda: tf.io.extract_jpeg_shape(encoded)[:2], lambda: tf.shape(other_pixels)[:2])
    size = tf.ensure_shape(tf.where(is_jpeg & (orientation >= 5), stored[::-1], stored), [2])
    return is_jpeg, tf.ensure_shape(other_pixels, [None, None, 3]), orientation, size


@tf.function(input_signature=[*ENCODED_SIGNATURE, tf.TensorSpec([], tf.int32)], autograph=False)
def _decode_jpeg_at(encoded: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Decode a JPEG as it is stored, at 1 / `RATIOS[index]` of its size: uint8 [height, width, 3]."""
    branches = [lambda ratio=ratio: decode_jpeg(encoded, ratio) for ratio in RATIOS]
    return tf.ensure_shape(tf.switch_case(index, branches), [None, None, 3])


_apply_orientation = tf.function(
    apply_orientation,
    input_signature=[tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([], tf.int32)],
    autograph=False,
)
