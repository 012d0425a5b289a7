"""Inception-ResNet v2 (Szegedy et al. 2016, arXiv 1602.07261, figures 15 to 19): Inception modules as residuals."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import layers

from retinue.backbones import blocks
from retinue.backbones.inception_v3 import BranchBuilder, begin_reduction, stem
from retinue.backbones.inception_v4 import Chain, concatenate, count_from_zero, module, reduction_a


def build(x: keras.KerasTensor, output_stride: int, classifier: bool, classes: int = 1000) -> keras.KerasTensor:
    """Add an Inception-ResNet v2 to a preprocessed tensor.

    It has the stem of Inception v3, one Inception module and three stacks of residual ones. 299 pixels become 149, 73,
    35, 17 and 8.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        classes: Number of classes.

    Returns:
        `[n, h', w', 1536]`, or logits `[n, classes]`.
    """
    builder = BranchBuilder(blocks.OutputStride(output_stride))
    x = stem(builder, x, ("pool3a", "pool5a"))
    x = module(builder, x, 96, (((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3))), 64, "mixed5b")
    for number in range(10):
        x = residual(builder, x, 32, (((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))), 0.17, f"block35_{number}")
    x = reduction_a(builder, x, (256, 256, 384), "mixed6a")
    for number in range(20):
        x = residual(builder, x, 192, (((128, 1), (160, (1, 7)), (192, (7, 1))),), 0.1, f"block17_{number}")
    x = reduction_b(builder, x, "mixed7a")
    for number in range(10):
        # The last block is neither scaled down nor followed by a ReLU.
        scale, last = (0.2, False) if number < 9 else (1.0, True)
        x = residual(builder, x, 192, (((192, 1), (224, (1, 3)), (256, (3, 1))),), scale, f"block8_{number}", last)
    x = builder.layer(x, 1536, 1, "conv7b")
    return blocks.classifier_head(x, classes, dropout=0.2) if classifier else x


def residual(
    builder: BranchBuilder,
    x: keras.KerasTensor,
    direct: int,
    chains: Iterable[Chain],
    scale: float,
    name: str,
    last: bool = False,
) -> keras.KerasTensor:
    """A residual Inception module; the output has the shape of the input.

    A 1x1 layer and chains of layers, concatenated, a linear 1x1 back to the channels of `x`, times `scale`, plus `x`.
    The scale keeps training stable (section 3.3).
    """
    branches = [builder.layer(x, direct, 1, f"{name}_branch0")]
    branches += [builder.chain(x, chain, f"{name}_branch{number}") for number, chain in enumerate(chains, start=1)]
    change = blocks.conv(concatenate(f"{name}_mixed", *branches), x.shape[-1], 1, f"{name}_up_conv", bias=True)
    if scale != 1.0:
        change = layers.Rescaling(scale, name=f"{name}_scale")(change)
    x = layers.Add(name=f"{name}_add")([x, change])
    return x if last else layers.Activation("relu", name=f"{name}_relu")(x)


def reduction_b(builder: BranchBuilder, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Module from 17x17 to 8x8 (figure 18)."""
    first = builder.chain(x, ((256, 1),), f"{name}_branch0")
    second = builder.chain(x, ((256, 1),), f"{name}_branch1")
    third = builder.chain(x, ((256, 1), (288, 3)), f"{name}_branch2")
    pooled, stride, dilation = begin_reduction(builder, x, name)
    return concatenate(
        name,
        builder.reduce(first, 384, f"{name}_branch0_2", stride, dilation),
        builder.reduce(second, 288, f"{name}_branch1_2", stride, dilation),
        builder.reduce(third, 320, f"{name}_branch2_3", stride, dilation),
        pooled,
    )


def torch_name(layer: str, **_: Any) -> str:
    """Map the name of a layer to its name in timm's inception_resnet_v2."""
    if layer == "logits":
        return "classif"
    prefix, *inside, kind = layer.split("_")
    if prefix.startswith("conv"):
        return f"conv2d_{prefix[4:]}.{kind}"
    if prefix.startswith("mixed"):
        parent = f"mixed_{prefix[5:]}"
    else:
        number = inside.pop(0)
        stack = {"block35": "repeat", "block17": "repeat_1", "block8": "repeat_2"}[prefix]
        parent = "block8" if (prefix, number) == ("block8", "9") else f"{stack}.{number}"
    if inside == ["up"]:
        return f"{parent}.conv2d"
    if len(inside) == 2:
        inside[1] = count_from_zero(inside[1])
    return ".".join([parent, *inside, kind])
