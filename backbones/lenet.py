"""LeNet-5 (LeCun et al. 1998, section II.B) as in the lecture.

It has 5x5 convolutions without padding, sigmoids and average pooling. Three parts of the network of 1998 are left out,
as is usual: here the second convolution sees all maps, pooling has no weights, and a linear layer with softmax replaces
the radial basis functions.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from retinue.backbones import blocks
from retinue.backbones.initializers import glorot

RECEPTIVE_FIELD = 32  # side in pixels of the receptive field of the last map


@keras.saving.register_keras_serializable(package="retinue")
class PadToSide(layers.Layer):
    """Zeros around images that are too small, whose size need not be known when the model is built.

    Input: `[n, h, w, c]`. Output: `[n, max(h, side), max(w, side), c]`, with the image in the center.
    """

    def __init__(self, side: int, **arguments: Any) -> None:
        """Set the smallest side.

        Args:
            side: In pixels.
            **arguments: Arguments of `keras.layers.Layer`.
        """
        super().__init__(**arguments)
        self.side = side

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Pad the images."""
        missing = tf.maximum(self.side - tf.shape(x)[1:3], 0)
        pads = tf.pad(tf.stack([missing // 2, missing - missing // 2], axis=1), [[1, 1], [0, 0]])
        return tf.ensure_shape(tf.pad(x, pads), self.compute_output_shape(x.shape))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the output; an unknown side stays unknown."""
        count, height, width, channels = input_shape
        return count, height and max(height, self.side), width and max(width, self.side), channels

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return super().get_config() | {"side": self.side}


def build(x: keras.KerasTensor, output_stride: int, classifier: bool, classes: int = 10) -> keras.KerasTensor:
    """Add LeNet-5 to a preprocessed tensor.

    The layers of 120 and 84 units are convolutions, as the former is in the paper. 32x32 pixels give a map of 1x1, and
    a larger map is averaged. Images below 32, such as the 28x28 of MNIST, are padded with black.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: Has no effect, since no stride needs to be replaced.
        classifier: Whether to add the classifier.
        classes: Number of classes.

    Returns:
        `[n, (h - 28) / 4, (w - 28) / 4, 84]` of the padded h and w, rounded down, or logits `[n, classes]`.
    """
    if any(side is None or side < RECEPTIVE_FIELD for side in x.shape[1:3]):
        x = PadToSide(RECEPTIVE_FIELD, name="pad")(x)
    x = layers.AveragePooling2D(2, name="pool1")(convolution(x, 6, 5, "conv1"))
    x = layers.AveragePooling2D(2, name="pool2")(convolution(x, 16, 5, "conv2"))
    x = convolution(x, 120, 5, "conv3")
    x = convolution(x, 84, 1, "fc")
    return blocks.classifier_head(x, classes) if classifier else x


def convolution(x: keras.KerasTensor, filters: int, kernel: int, name: str) -> keras.KerasTensor:
    """Convolution without padding, and sigmoid: `[n, h, w, c]` to `[n, h - kernel + 1, w - kernel + 1, filters]`."""
    x = blocks.conv(x, filters, kernel, name, padding="valid", bias=True, initializer=glorot())
    return layers.Activation("sigmoid", name=f"{name}_sigmoid")(x)


def torch_name(layer: str, **_: Any) -> str:
    """Return the name itself: nobody publishes weights, and a checkpoint whose layers have our names is read."""
    return layer
