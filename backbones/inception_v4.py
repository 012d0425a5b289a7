"""Inception v4 (Szegedy et al. 2016, arXiv 1602.07261, figures 3 to 9)."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import layers

from retinue.backbones import blocks
from retinue.backbones.inception_v3 import BranchBuilder, Kernel, begin_reduction

Chain = tuple[tuple[int, Kernel], ...]  # (filters, kernel) of layers one after the other


def build(x: keras.KerasTensor, output_stride: int, classifier: bool, classes: int = 1000) -> keras.KerasTensor:
    """Add an Inception v4 to a preprocessed tensor.

    299 pixels become 149, 73, 35, 17 and 8. A module is named by its index in timm's list, `features.<index>`.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        classes: Number of classes.

    Returns:
        `[n, h', w', 1536]`, or logits `[n, classes]`.
    """
    builder = BranchBuilder(blocks.OutputStride(output_stride))
    x = builder.layer(x, 32, 3, "module0", stride=2, padding="valid")
    x = builder.layer(x, 32, 3, "module1", padding="valid")
    x = builder.layer(x, 64, 3, "module2")
    pooled, stride, dilation = begin_reduction(builder, x, "module3")
    x = concatenate("module3", pooled, builder.reduce(x, 96, "module3_conv", stride, dilation))
    three = builder.chain(x, ((64, 1),), "module4_branch0")
    seven = builder.chain(x, ((64, 1), (64, (1, 7)), (64, (7, 1))), "module4_branch1")
    x = concatenate(
        "module4",
        builder.layer(three, 96, 3, "module4_branch0_2", padding="valid"),
        builder.layer(seven, 96, 3, "module4_branch1_4", padding="valid"),
    )
    pooled, stride, dilation = begin_reduction(builder, x, "module5")
    x = concatenate("module5", builder.reduce(x, 192, "module5_conv", stride, dilation), pooled)
    for index in range(6, 10):
        x = module(builder, x, 96, (((64, 1), (96, 3)), ((64, 1), (96, 3), (96, 3))), 96, f"module{index}")
    x = reduction_a(builder, x, (192, 224, 256), "module10")
    single: Chain = ((192, 1), (224, (1, 7)), (256, (7, 1)))
    double: Chain = ((192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7)))
    for index in range(11, 18):
        x = module(builder, x, 384, (single, double), 128, f"module{index}")
    x = reduction_b(builder, x, "module18")
    for index in range(19, 22):
        x = module_c(builder, x, f"module{index}")
    return blocks.classifier_head(x, classes, dropout=0.2) if classifier else x


def module(
    builder: BranchBuilder, x: keras.KerasTensor, direct: int, chains: Iterable[Chain], projected: int, name: str
) -> keras.KerasTensor:
    """A 1x1 layer, two chains of layers, and average pooling with its projection, concatenated; the size stays."""
    branches = [builder.layer(x, direct, 1, f"{name}_branch0")]
    branches += [builder.chain(x, chain, f"{name}_branch{number}") for number, chain in enumerate(chains, start=1)]
    pooled = builder.pool(x, "average", f"{name}_pool")
    return concatenate(name, *branches, builder.layer(pooled, projected, 1, f"{name}_branch3_2"))


def reduction_a(
    builder: BranchBuilder, x: keras.KerasTensor, widths: tuple[int, int, int], name: str
) -> keras.KerasTensor:
    """Module from 35x35 to 17x17: a strided 3x3; 1x1, 3x3 and a strided 3x3 of `widths`; max pooling (figure 7)."""
    start = builder.chain(x, ((widths[0], 1), (widths[1], 3)), f"{name}_branch1")
    pooled, stride, dilation = begin_reduction(builder, x, name)
    three = builder.reduce(x, 384, f"{name}_branch0", stride, dilation)
    end = builder.reduce(start, widths[2], f"{name}_branch1_3", stride, dilation)
    return concatenate(name, three, end, pooled)


def reduction_b(builder: BranchBuilder, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Module from 17x17 to 8x8 (figure 8)."""
    three = builder.chain(x, ((192, 1),), f"{name}_branch0")
    seven = builder.chain(x, ((256, 1), (256, (1, 7)), (320, (7, 1))), f"{name}_branch1")
    pooled, stride, dilation = begin_reduction(builder, x, name)
    three = builder.reduce(three, 192, f"{name}_branch0_2", stride, dilation)
    return concatenate(name, three, builder.reduce(seven, 320, f"{name}_branch1_4", stride, dilation), pooled)


def module_c(builder: BranchBuilder, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Module at 8x8: as `module`, but both chains end in a 1x3 and a 3x1 in parallel (figure 6)."""
    single = builder.layer(x, 384, 1, f"{name}_branch1_1")
    double = builder.chain(x, ((384, 1), (448, (3, 1)), (512, (1, 3))), f"{name}_branch2")
    return concatenate(
        name,
        builder.layer(x, 256, 1, f"{name}_branch0"),
        builder.layer(single, 256, (1, 3), f"{name}_branch1_2a"),
        builder.layer(single, 256, (3, 1), f"{name}_branch1_2b"),
        builder.layer(double, 256, (1, 3), f"{name}_branch2_4a"),
        builder.layer(double, 256, (3, 1), f"{name}_branch2_4b"),
        builder.layer(builder.pool(x, "average", f"{name}_pool"), 256, 1, f"{name}_branch3_2"),
    )


def concatenate(name: str, *branches: keras.KerasTensor) -> keras.KerasTensor:
    """Concatenate branches along the channels."""
    return layers.Concatenate(name=name)(branches)


def torch_name(layer: str, **_: Any) -> str:
    """Map the name of a layer to its name in timm's inception_v4."""
    if layer == "logits":
        return "last_linear"
    module_name, *inside, kind = layer.split("_")
    if len(inside) == 2 and int(module_name.removeprefix("module")) > 18 and inside[0] != "branch3":
        inside = [f"{inside[0]}_{count_from_zero(inside[1])}"]  # in the last modules timm's branches are no lists
    elif len(inside) == 2:
        inside[1] = count_from_zero(inside[1])
    return ".".join([module_name.replace("module", "features."), *inside, kind])


def count_from_zero(step: str) -> str:
    """Turn "2a" into "1a": our names count the steps of a branch from 1, those of timm from 0."""
    return f"{int(step[0]) - 1}{step[1:]}"
