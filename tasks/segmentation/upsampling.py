"""Layers that bring maps back to the size of the image: bilinear transposed convolution, resizing, padding, cropping.

The bilinear kernel is that of Long, Shelhamer and Darrell (2015, arXiv 1411.4038, section 3.3).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

Shape = Sequence[int | None]


def bilinear_kernel(size: int) -> np.ndarray:
    """Return the bilinear filter: products of triangles that reach zero just outside of it.

    Args:
        size: side of the filter.

    Returns:
        float32 [size, size].
    """
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 else factor - 0.5
    triangle = 1 - np.abs(np.arange(size) - center) / factor
    return np.outer(triangle, triangle).astype(np.float32)


class Upsample(keras.layers.Layer):
    """Upsamples each channel by its own transposed convolution: [n, h, w, c] -> [n, factor h, factor w, c].

    The kernel has the side 2 x factor and no bias. It is initialized to bilinear interpolation, and stays so unless it
    is learnable. Outside of the map its border is repeated, so that a constant stays constant everywhere.
    """

    in_float32 = True

    def __init__(self, factor: int, learnable: bool = False, **kwargs: Any) -> None:
        """Create the layer.

        Args:
            factor: of the upsampling.
            learnable: train the kernel.
            **kwargs: arguments of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.factor, self.learnable = factor, learnable

    def build(self, shape: Shape) -> None:
        """Create the kernel [2 factor, 2 factor, c] if it is learnable."""
        self.bilinear = bilinear_kernel(2 * self.factor)
        if self.learnable:
            initial = np.repeat(self.bilinear[:, :, None], shape[-1] or 0, axis=2)
            self.kernel = self.add_weight(
                shape=initial.shape,
                initializer=lambda shape, dtype=None: ops.convert_to_tensor(initial),
                name="filter",  # not "kernel", because weight decay must not apply to it
            )

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Upsample the map."""
        channels, factor = x.shape[-1], self.factor
        kernel = self.kernel if self.learnable else ops.convert_to_tensor(self.bilinear[:, :, None])
        kernel = ops.expand_dims(kernel, -1) * np.eye(channels, dtype=np.float32)  # no channel sees another
        x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")
        x = ops.conv_transpose(x, ops.cast(kernel, x.dtype), strides=factor, padding="same")
        return x[:, factor:-factor, factor:-factor]

    def compute_output_shape(self, shape: Shape) -> Shape:
        """Return [n, factor h, factor w, c]."""
        return (shape[0], *(side and side * self.factor for side in shape[1:3]), shape[3])


class ResizeLike(keras.layers.Layer):
    """Resizes [n, h, w, c] bilinearly, with half-pixel centers, to the height and width of a second map."""

    in_float32 = True

    def call(self, x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        """Resize x to the height and width of `like`."""
        return tf.image.resize(x, tf.shape(like)[1:3], "bilinear")

    def compute_output_spec(self, x: keras.KerasTensor, like: keras.KerasTensor) -> keras.KerasTensor:
        """Return the height and width of `like` and the channels of x."""
        return keras.KerasTensor((x.shape[0], *like.shape[1:3], x.shape[3]), x.dtype)


class CropLike(keras.layers.Layer):
    """Crops [n, h, w, c] at the bottom and right to the height and width of a second, smaller map."""

    def call(self, x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        """Crop x to the height and width of `like`."""
        height, width = ops.shape(like)[1], ops.shape(like)[2]
        return x[:, :height, :width]

    def compute_output_spec(self, x: keras.KerasTensor, like: keras.KerasTensor) -> keras.KerasTensor:
        """Return the height and width of `like` and the channels of x."""
        return keras.KerasTensor((x.shape[0], *like.shape[1:3], x.shape[3]), x.dtype)


class BroadcastLike(keras.layers.Layer):
    """Broadcasts one vector per image, [n, 1, 1, c], to every position of a second map: [n, h, w, c]."""

    def call(self, x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        """Broadcast x to the height and width of `like`."""
        size = ops.shape(like)
        return ops.broadcast_to(x, (size[0], size[1], size[2], x.shape[-1]))

    def compute_output_spec(self, x: keras.KerasTensor, like: keras.KerasTensor) -> keras.KerasTensor:
        """Return the height and width of `like` and the channels of x."""
        return keras.KerasTensor((x.shape[0], *like.shape[1:3], x.shape[3]), x.dtype)


class PadToMultiple(keras.layers.Layer):
    """Pads images [n, h, w, 3] at the bottom and right with a color, to sides that are multiples of a number."""

    def __init__(self, multiple: int, color: Sequence[float], **kwargs: Any) -> None:
        """Create the layer.

        Args:
            multiple: the padded sides are multiples of it.
            color: [3], of the padding.
            **kwargs: arguments of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.multiple, self.color = multiple, tuple(color)

    def call(self, image: tf.Tensor) -> tf.Tensor:
        """Pad the images."""
        color = ops.convert_to_tensor(self.color, image.dtype)
        height, width = ops.shape(image)[1], ops.shape(image)[2]
        last = self.multiple - 1  # avoids the remainder of a negative number, which runtimes define differently
        padding = (
            (0, 0),
            (0, last - (height + last) % self.multiple),
            (0, last - (width + last) % self.multiple),
            (0, 0),
        )
        return ops.pad(image - color, padding) + color

    def compute_output_shape(self, shape: Shape) -> Shape:
        """Return the padded sides; an unknown side stays unknown."""
        sides = (side and -(-side // self.multiple) * self.multiple for side in shape[1:3])
        return (shape[0], *sides, shape[3])
