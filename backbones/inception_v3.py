"""Inception v3 (Szegedy et al. 2015, arXiv 1512.00567): factorised kernels, 1x7 and 7x1."""

import keras
from keras import layers

from retinue.backbones import blocks
from retinue.configs.errors import UsageError

EPSILON = 1e-3
AUXILIARY_SIDE = 17  # the map that the auxiliary classifier was made for: 5 a side after its pooling, then a 5x5 kernel


def build(x, output_stride, classifier, classes=1000):
    """Add an Inception v3 to `x` `[n, h, w, c]`, preprocessed. Gives `[n, h', w', 2048]`, or logits `[n, classes]`.

    Its strided layers and most of its stem have no padding: 299 pixels become 149, 73, 35, 17 and 8.
    """
    net = Branches(blocks.OutputStride(output_stride), pool_padding="symmetric")
    x = net.layer(x, 32, 3, "conv1a", stride=2, padding="valid")
    x = net.layer(x, 32, 3, "conv2a", padding="valid")
    x = net.layer(x, 64, 3, "conv2b")
    x = net.pool(x, "max", "pool1", stride=2)
    x = net.layer(x, 80, 1, "conv3b")
    x = net.layer(x, 192, 3, "conv4a", padding="valid")
    x = net.pool(x, "max", "pool2", stride=2)
    for name, projection in (("5b", 32), ("5c", 64), ("5d", 64)):
        x = module_a(net, x, projection, f"mixed{name}")
    x = reduction_a(net, x, "mixed6a")
    for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        x = module_b(net, x, width, f"mixed{name}")
    x = reduction_b(net, x, "mixed7a")
    for name in ("7b", "7c"):
        x = module_c(net, x, f"mixed{name}")
    return blocks.head(x, classes, dropout=0.5) if classifier else x


class Branches:
    """Adds layers to the branches of one net, all with the dilation that its `plan` has reached.

    A module of stride 2 takes its step once, for all branches: `step` says what is left of the stride, and the layers
    of the module still have the dilation `before`. pool_padding: "symmetric" where average pools count the zeros around
    the map (torchvision's Inception v3), "same" where they don't (TF-slim, timm).
    """

    def __init__(self, plan, pool_padding="same"):
        self.plan, self.pool_padding = plan, pool_padding

    def layer(self, x, filters, kernel, name, stride=1, padding="symmetric"):
        """Convolution, BN and ReLU; a stride outside of modules takes the plan's step itself."""
        step, dilation = self.plan.step(stride)
        return blocks.conv_bn(x, filters, kernel, name, step, dilation, padding, epsilon=EPSILON)

    def chain(self, x, specification, name):
        """Layers one after the other: `specification` lists (filters, kernel); they are named `<name>_1`, `_2`, ..."""
        for number, (filters, kernel) in enumerate(specification, start=1):
            x = self.layer(x, filters, kernel, f"{name}_{number}")
        return x

    def pool(self, x, kind, name, stride=1):
        """3x3 pooling; without padding where it is strided."""
        return blocks.pool(x, kind, 3, stride, name, self.pool_padding if stride == 1 else "valid", self.plan)

    def reduce(self, x, filters, name, step, before):
        """The unpadded 3x3 of stride 2 at the end of a branch; `step` is its stride, `before` its dilation."""
        return blocks.conv_bn(x, filters, 3, name, step, before, "valid", epsilon=EPSILON)


def begin_reduction(net, x, name):
    """The pool of a module of stride 2. Gives it, and the stride and dilation of the last layers of other branches."""
    before = net.plan.dilation
    pooled = net.pool(x, "max", f"{name}_pool", stride=2)
    return pooled, 2 if net.plan.dilation == before else 1, before


def module_a(net, x, projection, name):
    """35x35: 1x1; 5x5; double 3x3; pool (figure 5 of the paper, with one 5x5 kept)."""
    branches = [
        net.layer(x, 64, 1, f"{name}_branch1x1"),
        net.chain(x, ((48, 1), (64, 5)), f"{name}_branch5x5"),
        net.chain(x, ((64, 1), (96, 3), (96, 3)), f"{name}_branch3x3dbl"),
        net.layer(net.pool(x, "average", f"{name}_pool"), projection, 1, f"{name}_branch_pool"),
    ]
    return layers.Concatenate(name=name)(branches)


def reduction_a(net, x, name):
    """35x35 to 17x17."""
    double = net.chain(x, ((64, 1), (96, 3)), f"{name}_branch3x3dbl")
    pooled, step, before = begin_reduction(net, x, name)
    branches = [
        net.reduce(x, 384, f"{name}_branch3x3", step, before),
        net.reduce(double, 96, f"{name}_branch3x3dbl_3", step, before),
        pooled,
    ]
    return layers.Concatenate(name=name)(branches)


def module_b(net, x, width, name):
    """17x17: 1x1; 1x7, 7x1; the same twice; pool (figure 6)."""
    double = ((width, 1), (width, (7, 1)), (width, (1, 7)), (width, (7, 1)), (192, (1, 7)))
    branches = [
        net.layer(x, 192, 1, f"{name}_branch1x1"),
        net.chain(x, ((width, 1), (width, (1, 7)), (192, (7, 1))), f"{name}_branch7x7"),
        net.chain(x, double, f"{name}_branch7x7dbl"),
        net.layer(net.pool(x, "average", f"{name}_pool"), 192, 1, f"{name}_branch_pool"),
    ]
    return layers.Concatenate(name=name)(branches)


def reduction_b(net, x, name):
    """17x17 to 8x8."""
    three = net.chain(x, ((192, 1),), f"{name}_branch3x3")
    seven = net.chain(x, ((192, 1), (192, (1, 7)), (192, (7, 1))), f"{name}_branch7x7x3")
    pooled, step, before = begin_reduction(net, x, name)
    branches = [
        net.reduce(three, 320, f"{name}_branch3x3_2", step, before),
        net.reduce(seven, 192, f"{name}_branch7x7x3_4", step, before),
        pooled,
    ]
    return layers.Concatenate(name=name)(branches)


def module_c(net, x, name):
    """8x8: 1x1; 3x3 spread into 1x3 and 3x1; the same after a 3x3; pool (figure 7)."""
    three = net.layer(x, 384, 1, f"{name}_branch3x3_1")
    double = net.chain(x, ((448, 1), (384, 3)), f"{name}_branch3x3dbl")
    branches = [
        net.layer(x, 320, 1, f"{name}_branch1x1"),
        net.layer(three, 384, (1, 3), f"{name}_branch3x3_2a"),
        net.layer(three, 384, (3, 1), f"{name}_branch3x3_2b"),
        net.layer(double, 384, (1, 3), f"{name}_branch3x3dbl_3a"),
        net.layer(double, 384, (3, 1), f"{name}_branch3x3dbl_3b"),
        net.layer(net.pool(x, "average", f"{name}_pool"), 192, 1, f"{name}_branch_pool"),
    ]
    return layers.Concatenate(name=name)(branches)


def with_auxiliary(model, classes=1000):
    """Give a model for training that has the auxiliary classifier of section 4 as well.

    model: `backbones.build("inception_v3", classifier=True, input_size=299)`, whose layers it shares: training it
    trains `model`. Outputs: `{"aux": ..., "logits": ...}`, each `[n, classes]`; torchvision gives the loss of aux 0.4.
    Raises UsageError when the map that it looks at has less than 17 units a side, or no known size.
    """
    x = model.get_layer("mixed6e").output
    height, width = x.shape[1:3]
    if height is None or width is None or min(height, width) < AUXILIARY_SIDE:
        raise UsageError("inception_v3's auxiliary classifier needs a fixed input_size of 299 or more pixels a side")
    x = layers.AveragePooling2D(5, 3, name="aux_pool")(x)
    x = blocks.conv_bn(x, 128, 1, "aux_conv0", epsilon=EPSILON)
    x = blocks.conv_bn(x, 768, 5, "aux_conv1", padding="valid", epsilon=EPSILON)
    x = layers.GlobalAveragePooling2D(name="aux_average")(x)
    outputs = {"aux": layers.Dense(classes, name="aux_fc")(x), "logits": model.output["logits"]}
    return keras.Model(model.input, outputs, name=f"{model.name}_auxiliary")


def torch_name(layer, **_):
    """torchvision's name of one of our layers."""
    if layer == "logits":
        return "fc"
    if layer.startswith("aux_"):
        return layer.replace("aux_", "AuxLogits.").replace("_", ".")
    inside, _, kind = layer.rpartition("_")
    if inside.startswith("conv"):
        return f"Conv2d_{inside[4:]}_{'1x1' if inside == 'conv3b' else '3x3'}.{kind}"
    module, _, branch = inside.partition("_")
    return f"Mixed_{module.removeprefix('mixed')}.{branch}.{kind}"
