"""The feature pyramid network (Lin et al. 2016, arXiv 1612.03144, section 3)."""

import keras
from keras import layers

from retinue.tasks.detection.padding import HidePadding


def feature_pyramid(maps, channels, size, multiple):
    """Add a pyramid to feature maps, whose strides rise by 2.

    maps: dict from stride to float32 `[n, h, w, c]`; channels: of each pyramid map; size: int32 `[n, 2]` and multiple:
    see padding.py. A 1x1 convolution of each map is added to twice the coarser one, then smoothed by a 3x3 one.
    Returns a dict from stride to `[n, h, w, channels]`: the given strides, and one more that is every second place of
    the last, for large anchors alone.
    """
    strides = sorted(maps)
    merged = {}
    for stride in reversed(strides):
        lateral = _convolution(channels, 1, f"pyramid_lateral_{stride}")(maps[stride])
        if stride != strides[-1]:
            above = layers.UpSampling2D(2, name=f"pyramid_up_{stride}")(merged[2 * stride])
            lateral = layers.Add(name=f"pyramid_add_{stride}")([lateral, above])
        merged[stride] = HidePadding(stride, multiple, name=f"pyramid_hide_{stride}")(lateral, size)
    pyramid = {stride: _convolution(channels, 3, f"pyramid_out_{stride}")(merged[stride]) for stride in strides}
    last = strides[-1]
    pyramid[2 * last] = layers.MaxPooling2D(1, 2, name=f"pyramid_pool_{2 * last}")(pyramid[last])
    return pyramid


def _convolution(channels, kernel, name):
    # as torchvision: uniform, with the variance of LeCun's
    return layers.Conv2D(
        channels, kernel, padding="same", kernel_initializer=keras.initializers.LecunUniform(), name=name
    )
