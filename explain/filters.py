"""The first layer's filters as pictures: good ones look like Gabor filters and blobs of colour (the lecture)."""

import keras
import numpy as np

from retinue.configs.errors import UsageError
from retinue.explain import visualization
from retinue.explain.layers import layer_output


def filters(model, layer=None):
    """(layer's name, kernels float32 `[count, height, width, channels]`) of a convolution, by default the first.

    Raises UsageError where there is no such convolution.
    """
    if layer is None:
        found = next((one for one in model.layers if isinstance(one, keras.layers.Conv2D)), None)
        if found is None:
            raise UsageError(f"{model.name}: has no convolution whose filters could be shown")
    else:
        layer_output(model, layer)
        found = model.get_layer(layer)
    kernel = getattr(found, "kernel", None)
    if kernel is None or len(kernel.shape) != 4:
        raise UsageError(
            f"--layer {found.name}: is no convolution ({type(found).__name__}), so it has no filters to show"
        )
    return found.name, np.moveaxis(keras.ops.convert_to_numpy(kernel), -1, 0)


def draw(kernels, scale_each=True, max_filters=144, side=512):
    """The filters in a grid with gaps, square pixels: uint8 `[h, w, 3]`, about `side` pixels.

    scale_each: every filter scaled on its own, its smallest value black and its largest white; else all on one scale.
    Kernels of 3 channels are shown as colours, of others by their mean over the channels.
    """
    kernels = kernels[:max_filters]
    if kernels.shape[-1] != 3:
        kernels = kernels.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    axes = (1, 2, 3) if scale_each else None
    low, high = kernels.min(axis=axes, keepdims=True), kernels.max(axis=axes, keepdims=True)
    return visualization.image_grid(np.uint8(255 * (kernels - low) / np.maximum(high - low, 1e-12) + 0.5), side)
