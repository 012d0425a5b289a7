"""A photo that is decoded no larger than it is needed: a JPEG's 8 x 8 blocks also give 1/2, 1/4 and 1/8 of its size."""

import tensorflow as tf

from retinue.data.decoding.decode import JPEG_SIGNATURE, decode_jpeg, decode_stored, starts_with
from retinue.data.decoding.exif import ENCODED_SIGNATURE, apply_orientation, exif_orientation

RATIOS = (1, 2, 4, 8)
SPARE = 1.5  # a decoded side has at least so many times the pixels that the resize makes of it


class EncodedImage:
    """The bytes of a picture, of which only the size is known until it is said what of it is needed, and how large.

    A JPEG whose pixels are to be averaged to fewer anyway is decoded at 1/2, 1/4 or 1/8 of its size, as long as each
    side keeps 1.5 times the pixels that are asked for. The inverse transform then does the first part of the averaging:
    at 1/8 each pixel is exactly the mean of a block. Other formats are decoded at once, as `decode_image` does it.

    encoded: string scalar, as `decode_image` takes it. upright_jpeg: whether it is known to be just that, which
    spares looking into it again. size: int32 `[2]`, (height, width) of the upright picture in its own pixels;
    orientation: int32 scalar, EXIF's.
    Raises tf.errors.InvalidArgumentError as `decode_image` does, of a JPEG that is torn not before `decode_for`.
    """

    def __init__(self, encoded, upright_jpeg=False):
        self._encoded, self._upright_jpeg = encoded, upright_jpeg
        if upright_jpeg:
            self._is_jpeg, self.orientation = tf.constant(True), tf.constant(1)
            self.size = tf.io.extract_jpeg_shape(encoded)[:2]
            return
        self._is_jpeg, self._other, self.orientation, self.size = _open(encoded)

    def decode_for(self, window, size):
        """The picture, as large as is good for resizing a part of it.

        window: int32 `[4]`, x1, y1, x2, y2 in its own pixels; size: what it will be resized to, ints or int32 `[2]`.
        Returns uint8 `[h, w, 3]`, upright, and the window in its pixels, float32 `[4]`: whole numbers where it was not
        made smaller.
        """
        index = self._index(window, size)
        ratio = tf.gather(RATIOS, index)
        if self._upright_jpeg:
            return self._decode(index), tf.cast(window, tf.float32) / tf.cast(ratio, tf.float32)
        pixels = tf.cond(self._is_jpeg, lambda: _turned(self._decode(index), self.orientation), lambda: self._other)
        pixels.set_shape([None, None, 3])
        # The last blocks of a row and a column may reach over the picture's edge: an edge that turning made the first.
        beyond = tf.shape(pixels)[:2] * ratio - self.size
        turned = self._is_jpeg & tf.stack(
            [tf.reduce_any(self.orientation == [2, 3, 6, 7]), tf.reduce_any(self.orientation == [3, 4, 7, 8])]
        )
        first = tf.where(turned, beyond[::-1], 0)
        return pixels, tf.cast(window + tf.tile(first, [2]), tf.float32) / tf.cast(ratio, tf.float32)

    def decode(self):
        """All of its pixels, uint8 `[h, w, 3]`, upright."""
        return self.decode_for(tf.stack([0, 0, self.size[1], self.size[0]]), self.size)[0]

    def _index(self, window, size):
        """Which of `RATIOS`, int32 scalar."""
        old = tf.cast(tf.stack([window[3] - window[1], window[2] - window[0]]), tf.float32)
        shrinks = tf.reduce_min(old / tf.cast(tf.convert_to_tensor(size), tf.float32))
        is_enough = shrinks >= SPARE * tf.constant(RATIOS[1:], tf.float32)
        return tf.where(self._is_jpeg, tf.reduce_sum(tf.cast(is_enough, tf.int32)), 0)

    def _decode(self, index):
        return _decode_reduced(self._encoded, index)


# These are traced once a process, as `decode_image` is.
@tf.function(input_signature=ENCODED_SIGNATURE, autograph=False)
def _open(encoded):
    """(whether it is a JPEG; the pixels, upright, if it is not; EXIF's orientation; the size when upright)."""
    orientation = exif_orientation(encoded)
    is_jpeg = starts_with(encoded, JPEG_SIGNATURE)
    other = tf.cond(
        is_jpeg,
        lambda: tf.zeros([0, 0, 3], tf.uint8),
        lambda: apply_orientation(decode_stored(encoded), orientation),
    )
    stored = tf.cond(is_jpeg, lambda: tf.io.extract_jpeg_shape(encoded)[:2], lambda: tf.shape(other)[:2])
    size = tf.ensure_shape(tf.where(is_jpeg & (orientation >= 5), stored[::-1], stored), [2])
    return is_jpeg, tf.ensure_shape(other, [None, None, 3]), orientation, size


@tf.function(input_signature=[*ENCODED_SIGNATURE, tf.TensorSpec([], tf.int32)], autograph=False)
def _decode_reduced(encoded, index):
    """The JPEG at 1 / `RATIOS[index]` of its size, as it is stored: uint8 `[h, w, 3]`."""
    branches = [lambda ratio=ratio: decode_jpeg(encoded, ratio) for ratio in RATIOS]
    return tf.ensure_shape(tf.switch_case(index, branches), [None, None, 3])


_turned = tf.function(
    apply_orientation,
    input_signature=[tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([], tf.int32)],
    autograph=False,
)
