"""AlexNet (Krizhevsky et al. 2012): the lecture's table, and the narrower variant whose weights torchvision has."""

from typing import Any

import keras
from keras import layers

from retinue.backbones import blocks
from retinue.backbones.vgg import convert_fc_layers

TORCH_NAMES = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "logits": "classifier.6",
}
WIDTHS = {"lecture": (96, 256, 384, 384, 256), "torchvision": (64, 192, 384, 256, 256)}


def build(
    x: keras.KerasTensor,
    output_stride: int,
    classifier: bool,
    variant: str,
    dropout: float = 0.5,
    classes: int = 1000,
) -> keras.KerasTensor:
    """Add an AlexNet to a preprocessed tensor.

    Neither variant has the local response normalization or the two groups of the paper of 2012.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        variant: "lecture": 224 pixels become 56, 28, 14 and 7. Its "same" padding puts (k - 1) / 2 zeros on both sides,
            also in pooling layers. "torchvision" (Krizhevsky 2014, arXiv 1404.5997): 224 pixels become 55, 27, 13 and
            6. The first convolution pads by 2, and pooling layers do not pad.
        dropout: Dropout rate of the classifier.
        classes: Number of classes.

    Returns:
        `[n, h/32, w/32, 256]`, or logits `[n, classes]`.
    """
    widths, plan = WIDTHS[variant], blocks.OutputStride(output_stride)
    for number, (width, kernel) in enumerate(zip(widths, (11, 5, 3, 3, 3), strict=True), start=1):
        stride, dilation = plan.step(4 if number == 1 else 1)
        padding = "symmetric"
        if number == 1 and variant == "torchvision":
            x, padding = layers.ZeroPadding2D(2, name="conv1_pad")(x), "valid"
        x = blocks.conv(x, width, kernel, f"conv{number}", stride, dilation, padding, bias=True)
        x = layers.Activation("relu", name=f"conv{number}_relu")(x)
        if number in (1, 2, 5):
            x = blocks.pool(x, "max", 3, 2, f"pool{number}", "symmetric" if variant == "lecture" else "floor", plan)
    if classifier:
        return convert_fc_layers(x, 7 if variant == "lecture" else 6, 4096, dropout, classes, plan.dilation)
    return x


def torch_name(layer: str, **_: Any) -> str:
    """Map the name of a layer to its name in torchvision."""
    return TORCH_NAMES.get(layer, layer)
