"""The filters of a convolution as images.

Well-trained filters of a first layer look like Gabor filters and blobs of color (the lecture).
"""

import keras
import numpy as np

from retinue.configs.errors import UsageError
from retinue.explain import visualization
from retinue.explain.layers import layer_output


def filters(model: keras.Model, layer: str | None = None) -> tuple[str, np.ndarray]:
    """Return the filters of a convolution.

    Args:
        model: A `keras.Model`.
        layer: Name of a convolution; by default the first one.

    Returns:
        (name of the layer, kernels float32 `[count, height, width, channels]`).

    Raises:
        UsageError: There is no such convolution.
    """
    if layer is None:
        convolution = next((each for each in model.layers if isinstance(each, keras.layers.Conv2D)), None)
        if convolution is None:
            raise UsageError(f"the model {model.name} has no convolution whose filters could be shown")
    else:
        layer_output(model, layer)
        convolution = model.get_layer(layer)
    kernel = getattr(convolution, "kernel", None)
    if kernel is None or len(kernel.shape) != 4:
        raise UsageError(
            f"--layer {convolution.name}: is no convolution ({type(convolution).__name__}), so it has no filters to "
            "show; name a convolution"
        )
    return convolution.name, np.moveaxis(keras.ops.convert_to_numpy(kernel), -1, 0)


def draw(kernels: np.ndarray, scale_each: bool = True, max_filters: int = 144, side: int = 512) -> np.ndarray:
    """Draw the filters in a grid with gaps and square pixels.

    Args:
        kernels: float32 `[count, height, width, channels]`. Kernels of 3 channels are shown in color, others by their
            mean over the channels.
        scale_each: Scale every filter by its own values, the smallest black and the largest white. Otherwise all
            filters share one scale.
        max_filters: Number of filters that are shown at most.
        side: Approximate side of the result in pixels.

    Returns:
        uint8 `[h, w, 3]`.
    """
    kernels = kernels[:max_filters]
    if kernels.shape[-1] != 3:
        kernels = kernels.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    axes = (1, 2, 3) if scale_each else None
    low, high = kernels.min(axis=axes, keepdims=True), kernels.max(axis=axes, keepdims=True)
    scaled = 255 * (kernels - low) / np.maximum(high - low, 1e-12)
    return visualization.image_grid((scaled + 0.5).astype(np.uint8), side)
