"""The feature pyramid network, FPN (Lin et al. 2016, arXiv 1612.03144, section 3)."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from retinue.tasks.detection.padding import MaskPadding


def feature_pyramid(maps: Mapping[int, Any], channels: int, size: Any, size_divisor: int) -> dict[int, Any]:
    """Add a feature pyramid to the maps of a backbone.

    A 1x1 convolution of each map is added to the coarser level, upsampled by 2, and smoothed by a 3x3 convolution.

    Args:
        maps: dict from stride to float32 `[n, h, w, c]`. Each stride is twice the one before.
        channels: number of channels of each level.
        size: int32 `[n, 2]`, height and width of the images in pixels.
        size_divisor: see padding.py.

    Returns:
        A dict from stride to float32 `[n, h, w, channels]`: the given strides, and one more, which has every second row
        and column of the last level, for large anchors only.
    """
    strides = sorted(maps)
    merged: dict[int, Any] = {}
    for stride in reversed(strides):
        lateral = _convolution(channels, 1, f"pyramid_lateral_{stride}")(maps[stride])
        if stride != strides[-1]:
            coarser = layers.UpSampling2D(2, name=f"pyramid_up_{stride}")(merged[2 * stride])
            lateral = layers.Add(name=f"pyramid_add_{stride}")([lateral, coarser])
        merged[stride] = MaskPadding(stride, size_divisor, name=f"pyramid_mask_{stride}")(lateral, size)
    pyramid = {stride: _convolution(channels, 3, f"pyramid_out_{stride}")(merged[stride]) for stride in strides}
    last = strides[-1]
    pyramid[2 * last] = layers.MaxPooling2D(1, 2, name=f"pyramid_pool_{2 * last}")(pyramid[last])
    return pyramid


def _convolution(channels: int, kernel_size: int, name: str) -> layers.Conv2D:
    """Make a convolution, initialized as torchvision does it: uniform, with the variance of LeCun's rule."""
    initializer = keras.initializers.LecunUniform()
    return layers.Conv2D(channels, kernel_size, padding="same", kernel_initializer=initializer, name=name)
