"""The context module: dilated convolutions whose receptive field grows to 67 x 67 without loss of resolution.

Yu and Koltun 2015, arXiv 1511.07122, section 3 and table 1.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

DILATIONS = (1, 1, 2, 4, 8, 16, 1, 1)
KERNEL_SIZES = (3, 3, 3, 3, 3, 3, 3, 1)
CHANNEL_FACTORS = {"basic": (1, 1, 1, 1, 1, 1, 1, 1), "large": (2, 2, 4, 8, 16, 32, 32, 1)}
PADDING = 33  # positions that a unit sees to each side
LARGE_NOISE = 0.01


class IdentityInitializer(keras.initializers.Initializer):
    """The paper's identity initialization, equations 4 and 5: groups of channels pass through unchanged.

    Input channel a of c and output channel b of c' are connected at the center of the kernel with weight C / c' if
    floor(a C / c) = floor(b C / c'). Every other weight is drawn from N(0, noise^2).
    """

    def __init__(self, num_classes: int, noise: float = 0.0) -> None:
        """Create the initializer.

        Args:
            num_classes: C.
            noise: standard deviation of the other weights.
        """
        self.num_classes, self.noise = num_classes, noise

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> keras.KerasTensor:
        """Return a kernel of `shape`: [height, width, input channels, output channels]."""
        height, width, inputs, outputs = shape
        kernel = np.zeros(shape, np.float32)
        if self.noise:
            drawn = keras.random.normal(shape, stddev=self.noise, seed=keras.random.SeedGenerator())
            kernel = np.array(ops.convert_to_numpy(drawn))
        input_class = np.arange(inputs) * self.num_classes // inputs
        output_class = np.arange(outputs) * self.num_classes // outputs
        connected = input_class[:, None] == output_class[None]
        center = kernel[height // 2, width // 2]
        kernel[height // 2, width // 2] = np.where(connected, self.num_classes / outputs, center)
        return ops.convert_to_tensor(kernel, dtype)


def context_module(scores: keras.KerasTensor, kind: str = "basic", noise: float | None = None) -> keras.KerasTensor:
    """Refine class scores by their surroundings.

    Each of the seven 3x3 layers ends in a ReLU. So a freshly initialized module keeps non-negative scores and sets
    negative ones to zero. The map is padded once, by 33, and not again. Layers: context_1 to context_8.

    Args:
        scores: [n, h, w, C].
        kind: "basic" has C channels throughout, "large" up to 32 C.
        noise: standard deviation of the initial weights that do not pass channels through; by default 0 for basic,
            where the identity is exact, and 0.01 for large.

    Returns:
        [n, h, w, C].
    """
    num_classes = scores.shape[-1]
    noise = (LARGE_NOISE if kind == "large" else 0.0) if noise is None else noise
    x = layers.ZeroPadding2D(PADDING, name="context_pad")(scores)
    settings = zip(KERNEL_SIZES, DILATIONS, CHANNEL_FACTORS[kind], strict=True)
    for number, (kernel_size, dilation, factor) in enumerate(settings, 1):
        x = layers.Conv2D(
            factor * num_classes,
            kernel_size,
            dilation_rate=dilation,
            kernel_initializer=IdentityInitializer(num_classes, noise),
            name=f"context_{number}",
        )(x)
        if kernel_size > 1:
            x = layers.Activation("relu", name=f"context_{number}_relu")(x)
    return x
