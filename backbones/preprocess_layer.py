"""The Keras layer that applies a `Preprocessing` record to the pixels."""

from collections.abc import Sequence
from typing import Any

import keras

from retinue.backbones.preprocessing import Preprocessing


@keras.saving.register_keras_serializable(package="retinue")
class Preprocess(keras.layers.Layer):
    """Turn pixels 0..255 into the values that the weights expect: `(pixel - mean) / std`, then BGR order if requested.

    Input: `[n, height, width, channels]` of any dtype, RGB if there are three channels. Output: float32, same shape.
    With other than three channels (optical flow, for example) the three means and deviations are averaged.

    Attributes:
        in_float32: Whether the layer computes in float32 under mixed precision.
    """

    in_float32 = True

    def __init__(self, mean: Sequence[float], std: Sequence[float], color_order: str = "RGB", **arguments: Any) -> None:
        """Set the normalization.

        Args:
            mean: One float per RGB channel, in units of pixel values 0..255.
            std: One float per RGB channel, like `mean`.
            color_order: "RGB" or "BGR", of the output.
            **arguments: Arguments of `keras.layers.Layer`.
        """
        super().__init__(**arguments)
        self.mean, self.std, self.color_order = tuple(mean), tuple(std), color_order

    def call(self, pixels: keras.KerasTensor) -> keras.KerasTensor:
        """Normalize the pixels."""
        mean: Any = self.mean
        std: Any = self.std
        if pixels.shape[-1] != 3:
            mean, std = sum(mean) / 3, sum(std) / 3
        mean = keras.ops.convert_to_tensor(mean, self.compute_dtype)
        std = keras.ops.convert_to_tensor(std, self.compute_dtype)
        pixels = (keras.ops.cast(pixels, self.compute_dtype) - mean) / std
        if self.color_order == "BGR" and pixels.shape[-1] == 3:
            pixels = keras.ops.flip(pixels, axis=-1)
        return pixels

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor; Keras calls this."""
        return {**super().get_config(), "mean": self.mean, "std": self.std, "color_order": self.color_order}


def preprocess_layer(record: Preprocessing) -> Preprocess:
    """Make the layer "preprocess", which has no weights, for a `Preprocessing` record."""
    return Preprocess(record.mean, record.std, record.color_order, name="preprocess")
