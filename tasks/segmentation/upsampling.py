"""Maps back to the size of the picture: bilinear transposed convolutions, plain resizing, padding and cutting.

The bilinear kernel is that of Long, Shelhamer and Darrell (2015, arXiv 1411.4038, section 3.3).
"""

import keras
import numpy as np
import tensorflow as tf
from keras import ops


def bilinear_kernel(size):
    """The bilinear filter, float32 `[size, size]`: products of triangles that meet zero just outside of it."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    triangle = 1 - np.abs(np.arange(size) - centre) / factor
    return np.outer(triangle, triangle).astype(np.float32)


class Upsample(keras.layers.Layer):
    """Transposed convolution of each channel by itself, kernel 2 x factor, no bias: `[n, h, w, c]` to
    `[n, factor h, factor w, c]`.

    It begins as bilinear interpolation, and stays that unless it is `learned`. The map's border counts as repeated
    outside, so that a constant stays constant everywhere.
    """

    in_float32 = True

    def __init__(self, factor, learned=False, **arguments):
        super().__init__(**arguments)
        self.factor, self.learned = factor, learned

    def build(self, shape):
        self.fixed = bilinear_kernel(2 * self.factor)
        if self.learned:
            begin = np.repeat(self.fixed[:, :, None], shape[-1], axis=2)
            self.kernel = self.add_weight(
                shape=begin.shape,
                initializer=lambda shape, dtype=None: ops.convert_to_tensor(begin),
                name="filter",  # no "kernel": it must not decay
            )

    def call(self, x):
        channels, factor = x.shape[-1], self.factor
        kernel = self.kernel if self.learned else ops.convert_to_tensor(self.fixed[:, :, None])
        kernel = ops.expand_dims(kernel, -1) * np.eye(channels, dtype=np.float32)  # no channel sees another
        x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")
        x = ops.conv_transpose(x, ops.cast(kernel, x.dtype), strides=factor, padding="same")
        return x[:, factor:-factor, factor:-factor]

    def compute_output_shape(self, shape):
        return (shape[0], *(side and side * self.factor for side in shape[1:3]), shape[3])


class ResizeLike(keras.layers.Layer):
    """Bilinear resizing, half-pixel centres, of `[n, h, w, c]` to the height and width of a second map."""

    in_float32 = True

    def call(self, x, like):
        return tf.image.resize(x, tf.shape(like)[1:3], "bilinear")

    def compute_output_spec(self, x, like):
        return keras.KerasTensor((x.shape[0], *like.shape[1:3], x.shape[3]), x.dtype)


class CutLike(keras.layers.Layer):
    """The first rows and columns of `[n, h, w, c]`, as many as a second, smaller map has."""

    def call(self, x, like):
        height, width = ops.shape(like)[1], ops.shape(like)[2]
        return x[:, :height, :width]

    def compute_output_spec(self, x, like):
        return keras.KerasTensor((x.shape[0], *like.shape[1:3], x.shape[3]), x.dtype)


class SpreadLike(keras.layers.Layer):
    """One vector an image, `[n, 1, 1, c]`, at every place of a second map: `[n, h, w, c]`."""

    def call(self, x, like):
        size = ops.shape(like)
        return ops.broadcast_to(x, (size[0], size[1], size[2], x.shape[-1]))

    def compute_output_spec(self, x, like):
        return keras.KerasTensor((x.shape[0], *like.shape[1:3], x.shape[3]), x.dtype)


class PadToMultiple(keras.layers.Layer):
    """Fill pictures `[n, h, w, 3]` up below and to the right, to sides that `multiple` divides, with `color`."""

    def __init__(self, multiple, color, **arguments):
        super().__init__(**arguments)
        self.multiple, self.color = multiple, tuple(color)

    def call(self, image):
        color = ops.convert_to_tensor(self.color, image.dtype)
        height, width = ops.shape(image)[1], ops.shape(image)[2]
        last = self.multiple - 1  # no remainder of a negative number, which runtimes define differently
        missing = (
            (0, 0),
            (0, last - (height + last) % self.multiple),
            (0, last - (width + last) % self.multiple),
            (0, 0),
        )
        return ops.pad(image - color, missing) + color

    def compute_output_shape(self, shape):
        sides = (side and -(-side // self.multiple) * self.multiple for side in shape[1:3])
        return (shape[0], *sides, shape[3])
