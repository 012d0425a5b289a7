"""The Keras layer that does what a `Preprocessing` record says."""

import keras


@keras.saving.register_keras_serializable(package="retinue")
class Preprocess(keras.layers.Layer):
    """Turn pixels 0..255 into what the weights expect: `(pixel - mean) / deviation`, then BGR order when asked.

    Input: `[n, height, width, channels]` of any type, RGB when there are three channels. Output: float32, same shape.
    With other than three channels (optical flow, for example) the three means and deviations are averaged.
    """

    in_float32 = True

    def __init__(self, mean, deviation, colour_order="RGB", **arguments):
        super().__init__(**arguments)
        self.mean, self.deviation, self.colour_order = tuple(mean), tuple(deviation), colour_order

    def call(self, pixels):
        mean, deviation = self.mean, self.deviation
        if pixels.shape[-1] != 3:
            mean, deviation = sum(mean) / 3, sum(deviation) / 3
        mean = keras.ops.convert_to_tensor(mean, self.compute_dtype)
        deviation = keras.ops.convert_to_tensor(deviation, self.compute_dtype)
        pixels = (keras.ops.cast(pixels, self.compute_dtype) - mean) / deviation
        if self.colour_order == "BGR" and pixels.shape[-1] == 3:
            pixels = keras.ops.flip(pixels, axis=-1)
        return pixels

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        record = {"mean": self.mean, "deviation": self.deviation, "colour_order": self.colour_order}
        return {**super().get_config(), **record}


def preprocess_layer(record):
    """The layer (without weights), named "preprocess", of a `Preprocessing` record."""
    return Preprocess(record.mean, record.deviation, record.colour_order, name="preprocess")
