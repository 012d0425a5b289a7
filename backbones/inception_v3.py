"""Inception v3 (Szegedy et al. 2015, arXiv 1512.00567): factorized kernels of 1x7 and 7x1."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import layers

from retinue.backbones import blocks
from retinue.configs.errors import UsageError

EPSILON = 1e-3
# Side of the map that the auxiliary classifier was made for: 5 after its pooling, then a 5x5 kernel.
AUXILIARY_SIDE = 17

Kernel = int | tuple[int, int]


def build(x: keras.KerasTensor, output_stride: int, classifier: bool, classes: int = 1000) -> keras.KerasTensor:
    """Add an Inception v3 to a preprocessed tensor.

    Its strided layers and most of its stem have no padding: 299 pixels become 149, 73, 35, 17 and 8.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        classes: Number of classes.

    Returns:
        `[n, h', w', 2048]`, or logits `[n, classes]`.
    """
    builder = BranchBuilder(blocks.OutputStride(output_stride), pool_padding="symmetric")
    x = stem(builder, x, ("pool1", "pool2"))
    for name, projection in (("5b", 32), ("5c", 64), ("5d", 64)):
        x = module_a(builder, x, projection, f"mixed{name}")
    x = reduction_a(builder, x, "mixed6a")
    for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        x = module_b(builder, x, width, f"mixed{name}")
    x = reduction_b(builder, x, "mixed7a")
    for name in ("7b", "7c"):
        x = module_c(builder, x, f"mixed{name}")
    return blocks.classifier_head(x, classes, dropout=0.5) if classifier else x


class BranchBuilder:
    """Adds layers to the branches of an Inception network, all with the dilation that its `plan` has reached.

    A module of stride 2 takes its step of the plan once, for all branches. Its last layers have the remaining stride
    and still the dilation from before the module; see `begin_reduction`.

    Attributes:
        plan: The output stride of the network.
        pool_padding: "symmetric" if average pooling counts the zeros around the map (torchvision's Inception v3),
            "same" if it does not (TF-slim, timm).
    """

    def __init__(self, plan: blocks.OutputStride, pool_padding: str = "same") -> None:
        """Set the output stride and the padding of pooling layers."""
        self.plan, self.pool_padding = plan, pool_padding

    def layer(
        self,
        x: keras.KerasTensor,
        filters: int,
        kernel: Kernel,
        name: str,
        stride: int = 1,
        padding: str = "symmetric",
    ) -> keras.KerasTensor:
        """Add convolution, batch normalization and ReLU; a stride takes a step of the plan."""
        step, dilation = self.plan.step(stride)
        return blocks.conv_bn(x, filters, kernel, name, step, dilation, padding, epsilon=EPSILON)

    def chain(self, x: keras.KerasTensor, specification: Iterable[tuple[int, Kernel]], name: str) -> keras.KerasTensor:
        """Add layers one after the other: `specification` lists (filters, kernel); their names are `<name>_1`, ..."""
        for number, (filters, kernel) in enumerate(specification, start=1):
            x = self.layer(x, filters, kernel, f"{name}_{number}")
        return x

    def pool(self, x: keras.KerasTensor, kind: str, name: str, stride: int = 1) -> keras.KerasTensor:
        """Add 3x3 pooling, "max" or "average", without padding if it is strided."""
        return blocks.pool(x, kind, 3, stride, name, self.pool_padding if stride == 1 else "valid", self.plan)

    def reduce(self, x: keras.KerasTensor, filters: int, name: str, stride: int, dilation: int) -> keras.KerasTensor:
        """Add the unpadded 3x3 layer at the end of a branch of a module of stride 2; see `begin_reduction`."""
        return blocks.conv_bn(x, filters, 3, name, stride, dilation, "valid", epsilon=EPSILON)


def begin_reduction(builder: BranchBuilder, x: keras.KerasTensor, name: str) -> tuple[keras.KerasTensor, int, int]:
    """Add the pooling branch of a module of stride 2.

    Returns:
        (its output, stride of the last layers of the other branches, dilation of these layers).
    """
    dilation = builder.plan.dilation
    pooled = builder.pool(x, "max", f"{name}_pool", stride=2)
    return pooled, 2 if builder.plan.dilation == dilation else 1, dilation


def stem(builder: BranchBuilder, x: keras.KerasTensor, pool_names: tuple[str, str]) -> keras.KerasTensor:
    """Add the layers in front of the first module, with stride 8 together: 299 pixels become 35.

    Args:
        builder: Adds the layers.
        x: `[n, h, w, c]`, preprocessed.
        pool_names: The names of the two pooling layers.

    Returns:
        `[n, h', w', 192]`.
    """
    x = builder.layer(x, 32, 3, "conv1a", stride=2, padding="valid")
    x = builder.layer(x, 32, 3, "conv2a", padding="valid")
    x = builder.layer(x, 64, 3, "conv2b")
    x = builder.pool(x, "max", pool_names[0], stride=2)
    x = builder.layer(x, 80, 1, "conv3b")
    x = builder.layer(x, 192, 3, "conv4a", padding="valid")
    return builder.pool(x, "max", pool_names[1], stride=2)


def module_a(builder: BranchBuilder, x: keras.KerasTensor, projection: int, name: str) -> keras.KerasTensor:
    """Module at 35x35: 1x1; 5x5; double 3x3; pooling (figure 5 of the paper, with one 5x5 kept)."""
    branches = [
        builder.layer(x, 64, 1, f"{name}_branch1x1"),
        builder.chain(x, ((48, 1), (64, 5)), f"{name}_branch5x5"),
        builder.chain(x, ((64, 1), (96, 3), (96, 3)), f"{name}_branch3x3dbl"),
        builder.layer(builder.pool(x, "average", f"{name}_pool"), projection, 1, f"{name}_branch_pool"),
    ]
    return layers.Concatenate(name=name)(branches)


def reduction_a(builder: BranchBuilder, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Module from 35x35 to 17x17."""
    double = builder.chain(x, ((64, 1), (96, 3)), f"{name}_branch3x3dbl")
    pooled, stride, dilation = begin_reduction(builder, x, name)
    branches = [
        builder.reduce(x, 384, f"{name}_branch3x3", stride, dilation),
        builder.reduce(double, 96, f"{name}_branch3x3dbl_3", stride, dilation),
        pooled,
    ]
    return layers.Concatenate(name=name)(branches)


def module_b(builder: BranchBuilder, x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    """Module at 17x17: 1x1; 1x7 and 7x1; the same twice; pooling (figure 6)."""
    double = ((width, 1), (width, (7, 1)), (width, (1, 7)), (width, (7, 1)), (192, (1, 7)))
    branches = [
        builder.layer(x, 192, 1, f"{name}_branch1x1"),
        builder.chain(x, ((width, 1), (width, (1, 7)), (192, (7, 1))), f"{name}_branch7x7"),
        builder.chain(x, double, f"{name}_branch7x7dbl"),
        builder.layer(builder.pool(x, "average", f"{name}_pool"), 192, 1, f"{name}_branch_pool"),
    ]
    return layers.Concatenate(name=name)(branches)


def reduction_b(builder: BranchBuilder, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Module from 17x17 to 8x8."""
    three = builder.chain(x, ((192, 1),), f"{name}_branch3x3")
    seven = builder.chain(x, ((192, 1), (192, (1, 7)), (192, (7, 1))), f"{name}_branch7x7x3")
    pooled, stride, dilation = begin_reduction(builder, x, name)
    branches = [
        builder.reduce(three, 320, f"{name}_branch3x3_2", stride, dilation),
        builder.reduce(seven, 192, f"{name}_branch7x7x3_4", stride, dilation),
        pooled,
    ]
    return layers.Concatenate(name=name)(branches)


def module_c(builder: BranchBuilder, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Module at 8x8: 1x1; 3x3 expanded to 1x3 and 3x1; the same after a 3x3; pooling (figure 7)."""
    three = builder.layer(x, 384, 1, f"{name}_branch3x3_1")
    double = builder.chain(x, ((448, 1), (384, 3)), f"{name}_branch3x3dbl")
    branches = [
        builder.layer(x, 320, 1, f"{name}_branch1x1"),
        builder.layer(three, 384, (1, 3), f"{name}_branch3x3_2a"),
        builder.layer(three, 384, (3, 1), f"{name}_branch3x3_2b"),
        builder.layer(double, 384, (1, 3), f"{name}_branch3x3dbl_3a"),
        builder.layer(double, 384, (3, 1), f"{name}_branch3x3dbl_3b"),
        builder.layer(builder.pool(x, "average", f"{name}_pool"), 192, 1, f"{name}_branch_pool"),
    ]
    return layers.Concatenate(name=name)(branches)


def with_auxiliary_classifier(model: keras.Model, classes: int = 1000) -> keras.Model:
    """Make a model for training that also has the auxiliary classifier of the paper's section 4.

    Args:
        model: `backbones.build("inception_v3", classifier=True, input_size=299)`. The new model shares its layers, so
            that training it trains `model`.
        classes: Number of classes.

    Returns:
        A model with the outputs `{"aux": ..., "logits": ...}`, each `[n, classes]`. torchvision weights the loss of
        "aux" by 0.4.

    Raises:
        UsageError: The map that the classifier takes has less than 17 units per side, or no fixed size.
    """
    x = model.get_layer("mixed6e").output
    height, width = x.shape[1:3]
    if height is None or width is None or min(height, width) < AUXILIARY_SIDE:
        raise UsageError(
            "the auxiliary classifier of inception_v3 needs a fixed input_size of 299 or more pixels per side; build "
            "the model with input_size=299"
        )
    x = layers.AveragePooling2D(5, 3, name="aux_pool")(x)
    x = blocks.conv_bn(x, 128, 1, "aux_conv0", epsilon=EPSILON)
    x = blocks.conv_bn(x, 768, 5, "aux_conv1", padding="valid", epsilon=EPSILON)
    x = layers.GlobalAveragePooling2D(name="aux_average")(x)
    outputs = {"aux": layers.Dense(classes, name="aux_fc")(x), "logits": model.output["logits"]}
    return keras.Model(model.input, outputs, name=f"{model.name}_auxiliary")


def torch_name(layer: str, **_: Any) -> str:
    """Map the name of a layer to its name in torchvision."""
    if layer == "logits":
        return "fc"
    if layer.startswith("aux_"):
        return layer.replace("aux_", "AuxLogits.").replace("_", ".")
    prefix, _separator, kind = layer.rpartition("_")
    if prefix.startswith("conv"):
        return f"Conv2d_{prefix[4:]}_{'1x1' if prefix == 'conv3b' else '3x3'}.{kind}"
    module, _separator, branch = prefix.partition("_")
    return f"Mixed_{module.removeprefix('mixed')}.{branch}.{kind}"
