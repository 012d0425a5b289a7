"""From whole frames and flow to the scores of a clip: crops of every snippet, and the mean over all of them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from retinue.tasks.classification.test_time_augmentation import NUM_COPIES

if TYPE_CHECKING:
    from retinue.configs.schema import Config
    from retinue.tasks.model import TaskModel


@keras.saving.register_keras_serializable(package="retinue")
class DequantizeFlow(keras.layers.Layer):
    """Converts stored flow, uint8 [n, K, H, W, 2 L], to float32 pixels, and optionally subtracts each field's mean."""

    def __init__(self, bound: float, subtract_mean: bool, **kwargs: Any) -> None:
        """Create the layer.

        Args:
            bound: motion in pixels that 8 bits represent.
            subtract_mean: subtract the mean of each field.
            **kwargs: arguments of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.bound, self.subtract_mean = bound, subtract_mean

    def call(self, levels: keras.KerasTensor) -> keras.KerasTensor:
        """Convert the levels to pixels."""
        pixels = (ops.cast(levels, "float32") - 127.5) * (2 * self.bound / 255.0)
        if self.subtract_mean:
            pixels = pixels - ops.mean(pixels, axis=(-3, -2), keepdims=True)
        return pixels

    def compute_output_shape(self, shape: Sequence[int | None]) -> Sequence[int | None]:
        """Return the shape of the input."""
        return shape

    def compute_output_spec(self, levels: keras.KerasTensor) -> keras.KerasTensor:
        """Return the shape of the input, and float32."""
        return keras.KerasTensor(levels.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"bound": self.bound, "subtract_mean": self.subtract_mean}


@keras.saving.register_keras_serializable(package="retinue")
class SnippetCrops(keras.layers.Layer):
    """Crops each snippet: [n, K, H, W, c] -> [copies n K, 1, size, size, c], as clips of one snippet each.

    Without test-time augmentation it takes the center crop. "ten_crop" takes the corners and the center, and their
    flips (Simonyan and Zisserman 2014, section 4), crop by crop.
    """

    def __init__(self, size: int, tta: str, is_flow: bool, **kwargs: Any) -> None:
        """Create the layer.

        Args:
            size: side of the crops in pixels.
            tta: "none" or "ten_crop".
            is_flow: whether the channels are flow, whose x is negated in a flip.
            **kwargs: arguments of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.size, self.tta, self.is_flow = size, tta, is_flow

    def call(self, clips: keras.KerasTensor) -> keras.KerasTensor:
        """Crop the snippets."""
        height, width, channels = clips.shape[2:]
        images = ops.cast(ops.reshape(clips, (-1, height, width, channels)), "float32")
        bottom, right = height - self.size, width - self.size
        corners = [(bottom // 2, right // 2)]
        if self.tta == "ten_crop":
            corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), *corners]
        crops = [images[:, top : top + self.size, left : left + self.size] for top, left in corners]
        if self.tta == "ten_crop":
            signs = [-1.0, 1.0] * (channels // 2) if self.is_flow else [1.0] * channels
            crops += [ops.flip(crop, axis=2) * ops.convert_to_tensor(signs, "float32") for crop in crops]
        stacked = ops.concatenate(crops, axis=0) if len(crops) > 1 else crops[0]
        return ops.expand_dims(stacked, axis=1)

    def compute_output_spec(self, clips: keras.KerasTensor) -> keras.KerasTensor:
        """Return the shape of the crops."""
        return keras.KerasTensor((None, 1, self.size, self.size, clips.shape[-1]), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"size": self.size, "tta": self.tta, "is_flow": self.is_flow}


def stream_scores(
    model: "TaskModel", inputs: Mapping[str, keras.KerasTensor], config: "Config"
) -> dict[str, keras.KerasTensor]:
    """Compute the mean probabilities of each stream over snippets and crops.

    Args:
        model: the video model.
        inputs: uint8 "frames" [n, K, H, W, 3 t] and "flow" [n, K, H, W, 2 L], whichever the model takes.
        config: the configuration.

    Returns:
        "spatial" and "temporal", whichever the model has: probabilities float32 [n, classes].
    """
    settings, tta = config.video, config.evaluate.tta
    size, crops = config.model.input_size, {}
    if "frames" in inputs:
        crops["frames"] = SnippetCrops(size, tta, False, name="frames_crops")(inputs["frames"])
    if "flow" in inputs:
        pixels = DequantizeFlow(settings.flow_bound, settings.flow_subtract_mean, name="flow_pixels")(inputs["flow"])
        crops["flow"] = SnippetCrops(size, tta, True, name="flow_crops")(pixels)
    logits, streams = model(crops, training=False), {}
    for name in ("spatial", "temporal"):
        if name in logits:
            probabilities = ops.softmax(ops.cast(logits[name], "float32"))
            shape = (NUM_COPIES[tta], -1, settings.test_segments, probabilities.shape[-1])
            streams[name] = ops.mean(ops.reshape(probabilities, shape), axis=(0, 2))
    return streams
