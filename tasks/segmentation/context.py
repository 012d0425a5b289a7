"""The context module: dilated convolutions that look ever wider without losing resolution (Yu and Koltun 2015,
arXiv 1511.07122, section 3 and table 1). Its receptive field is 67 places a side.
"""

import keras
import numpy as np
from keras import layers, ops

DILATIONS = (1, 1, 2, 4, 8, 16, 1, 1)
KERNELS = (3, 3, 3, 3, 3, 3, 3, 1)
WIDTHS = {"basic": (1, 1, 1, 1, 1, 1, 1, 1), "large": (2, 2, 4, 8, 16, 32, 32, 1)}
MARGIN = 33  # places that the module looks beyond a unit to each side
NOISE = 0.01


class Identity(keras.initializers.Initializer):
    """The paper's identity initialisation, equations 4 and 5: groups of channels are handed on, all else is near zero.

    classes: C. Input channel a and output channel b of widths c and c' are joined at the kernel's centre with weight
    C / c' where floor(a C / c) = floor(b C / c'); every other weight is N(0, noise^2).
    """

    def __init__(self, classes, noise=0.0):
        self.classes, self.noise = classes, noise

    def __call__(self, shape, dtype=None):
        height, width, given, made = shape
        kernel = np.zeros(shape, np.float32)
        if self.noise:
            drawn = keras.random.normal(shape, stddev=self.noise, seed=keras.random.SeedGenerator())
            kernel = np.array(ops.convert_to_numpy(drawn))
        same = (np.arange(given) * self.classes // given)[:, None] == (np.arange(made) * self.classes // made)[None]
        centre = kernel[height // 2, width // 2]
        kernel[height // 2, width // 2] = np.where(same, self.classes / made, centre)
        return ops.convert_to_tensor(kernel, dtype)


def context(scores, kind="basic", noise=None):
    """Refine class scores by what is around: `[n, h, w, C]` to `[n, h, w, C]`.

    kind: "basic" has C channels throughout, "large" up to 32 C. noise: deviation of the weights that are not handed on;
    by default 0 in basic, where the identity is exact, and 0.01 in large.
    Each of the seven 3x3 layers ends in a ReLU, so that at the start non-negative scores come out as they went in and
    negative ones as zero. The map is padded once, by 33, and not again. Layers: context_1 to context_8.
    """
    classes = scores.shape[-1]
    noise = (NOISE if kind == "large" else 0.0) if noise is None else noise
    x = layers.ZeroPadding2D(MARGIN, name="context_pad")(scores)
    for number, (kernel, dilation, width) in enumerate(zip(KERNELS, DILATIONS, WIDTHS[kind], strict=True), 1):
        x = layers.Conv2D(
            width * classes,
            kernel,
            dilation_rate=dilation,
            kernel_initializer=Identity(classes, noise),
            name=f"context_{number}",
        )(x)
        if kernel > 1:
            x = layers.Activation("relu", name=f"context_{number}_relu")(x)
    return x
