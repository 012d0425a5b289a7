"""Xception (Chollet 2016, arXiv 1610.02357): residual blocks of separable convolutions."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from retinue.backbones import blocks


def build(
    x: keras.KerasTensor,
    output_stride: int,
    classifier: bool,
    padding: str = "same",
    epsilon: float = 1e-3,
    classes: int = 1000,
) -> keras.KerasTensor:
    """Add an Xception to a preprocessed tensor.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        padding: "same" for weights of Keras, "symmetric" for those of timm (legacy_xception).
        epsilon: Of batch normalization: 1e-3 for weights of Keras, 1e-5 for those of timm.
        classes: Number of classes.

    Returns:
        `[n, h/32, w/32, 2048]`, or logits `[n, classes]`.
    """
    plan = blocks.OutputStride(output_stride)
    stride, dilation = plan.step(2)
    x = blocks.conv_bn(x, 32, 3, "stem1", stride, dilation, "valid", epsilon=epsilon)
    x = blocks.conv_bn(x, 64, 3, "stem2", padding="valid", epsilon=epsilon)
    for number, channels in enumerate((128, 256, 728), start=1):
        x = block(x, (channels, channels), 2, number > 1, plan, padding, epsilon, f"block{number}")
    for number in range(4, 12):
        x = block(x, (728, 728, 728), 1, True, plan, padding, epsilon, f"block{number}")
    x = block(x, (728, 1024), 2, True, plan, padding, epsilon, "block12")
    for number, channels in enumerate((1536, 2048), start=1):
        x = separable(x, channels, plan.dilation, epsilon, f"exit{number}")
        x = layers.Activation("relu", name=f"exit{number}_relu")(x)
    return blocks.classifier_head(x, classes) if classifier else x


def block(
    x: keras.KerasTensor,
    widths: Sequence[int],
    stride: int,
    starts_with_relu: bool,
    plan: blocks.OutputStride,
    padding: str,
    epsilon: float,
    name: str,
) -> keras.KerasTensor:
    """Separable layers of `widths`, max pooling if `stride` is 2, and the shortcut (the paper's figure 5)."""
    residual, dilation = x, plan.dilation
    for number, width in enumerate(widths, start=1):
        if number > 1 or starts_with_relu:
            residual = layers.Activation("relu", name=f"{name}_{number}_relu")(residual)
        residual = separable(residual, width, dilation, epsilon, f"{name}_{number}")
    if stride > 1:
        # The pooled values may be negative, so padded zeros must not win.
        residual = blocks.pool(residual, "max", 3, 2, f"{name}_pool", "same" if padding == "same" else "lowest", plan)
        x = blocks.conv(x, widths[-1], 1, f"{name}_shortcut", 2 if plan.dilation == dilation else 1)
        x = blocks.batch_norm(x, f"{name}_shortcut_bn", epsilon)
    return layers.Add(name=f"{name}_add")([x, residual])


def separable(
    x: keras.KerasTensor, filters: int, dilation: int, epsilon: float, name: str, pointwise_first: bool = False
) -> keras.KerasTensor:
    """Separable convolution: a 3x3 depthwise and a 1x1 pointwise convolution, then batch normalization.

    `[n, h, w, c]` to `[n, h, w, filters]`, with 1*1*c*filters + 3*3*c weights instead of 3*3*c*filters. Keras, timm and
    the weights of both have the 3x3 first; `pointwise_first` is the order that the lecture (and the paper's figure 4)
    shows.
    """

    def depthwise(x: keras.KerasTensor) -> keras.KerasTensor:
        return layers.DepthwiseConv2D(
            3, padding="same", dilation_rate=dilation, use_bias=False, name=f"{name}_depthwise"
        )(x)

    def pointwise(x: keras.KerasTensor) -> keras.KerasTensor:
        return blocks.conv(x, filters, 1, f"{name}_pointwise")

    x = depthwise(pointwise(x)) if pointwise_first else pointwise(depthwise(x))
    return blocks.batch_norm(x, f"{name}_bn", epsilon)


def torch_name(layer: str, **_: Any) -> str:
    """Map the name of a layer to its name in timm's legacy_xception."""
    prefix, _separator, rest = layer.partition("_")
    if prefix == "logits":
        return "fc"
    if prefix.startswith("stem"):
        return f"{rest}{prefix[4:]}"
    suffixes = {"depthwise": ".conv1", "pointwise": ".pointwise"}
    if prefix.startswith("exit"):
        exit_number = int(prefix[4:]) + 2
        return f"bn{exit_number}" if rest == "bn" else f"conv{exit_number}{suffixes[rest]}"
    if rest.startswith("shortcut"):
        return f"{prefix}.skipbn" if rest == "shortcut_bn" else f"{prefix}.skip"
    number, _separator, kind = rest.partition("_")
    # A block of timm is a list: a ReLU (not at the start of block 1), the separable convolution, BN, and so on.
    index = 3 * int(number) - (3 if prefix == "block1" else 2)
    return f"{prefix}.rep.{index + 1}" if kind == "bn" else f"{prefix}.rep.{index}{suffixes[kind]}"
