"""Inception-ResNet v2 (Szegedy et al. 2016, arXiv 1602.07261, figures 15 to 19): Inception modules as residuals."""

from keras import layers

from retinue.backbones import blocks
from retinue.backbones.inception_v3 import Branches, begin_reduction
from retinue.backbones.inception_v4 import from_zero, join, module, reduction_a


def build(x, output_stride, classifier, classes=1000):
    """Add an Inception-ResNet v2 to `x` `[n, h, w, c]`, preprocessed; `[n, h', w', 1536]` or logits `[n, classes]`.

    Inception v3's stem, one Inception module and three stacks of residual ones; 299 pixels become 149, 73, 35, 17, 8.
    """
    net = Branches(blocks.OutputStride(output_stride))
    x = net.layer(x, 32, 3, "conv1a", stride=2, padding="valid")
    x = net.layer(x, 32, 3, "conv2a", padding="valid")
    x = net.layer(x, 64, 3, "conv2b")
    x = net.pool(x, "max", "pool3a", stride=2)
    x = net.layer(x, 80, 1, "conv3b")
    x = net.layer(x, 192, 3, "conv4a", padding="valid")
    x = net.pool(x, "max", "pool5a", stride=2)
    x = module(net, x, 96, (((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3))), 64, "mixed5b")
    for number in range(10):
        x = residual(net, x, 32, (((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))), 0.17, f"block35_{number}")
    x = reduction_a(net, x, (256, 256, 384), "mixed6a")
    for number in range(20):
        x = residual(net, x, 192, (((128, 1), (160, (1, 7)), (192, (7, 1))),), 0.1, f"block17_{number}")
    x = reduction_b(net, x, "mixed7a")
    for number in range(10):
        # The last one is neither scaled down nor rectified.
        scale, last = (0.2, False) if number < 9 else (1.0, True)
        x = residual(net, x, 192, (((192, 1), (224, (1, 3)), (256, (3, 1))),), scale, f"block8_{number}", last)
    x = net.layer(x, 1536, 1, "conv7b")
    return blocks.head(x, classes, dropout=0.2) if classifier else x


def residual(net, x, direct, chains, scale, name, last=False):
    """A 1x1 and chains of (filters, kernel), stacked, a linear 1x1 back, times `scale`, plus `x`: the same shape out.

    The scale keeps training from dying (section 3.3).
    """
    branches = [net.layer(x, direct, 1, f"{name}_branch0")]
    branches += [net.chain(x, chain, f"{name}_branch{number}") for number, chain in enumerate(chains, start=1)]
    change = blocks.conv(join(f"{name}_mixed", *branches), x.shape[-1], 1, f"{name}_up_conv", bias=True)
    if scale != 1.0:
        change = layers.Rescaling(scale, name=f"{name}_scale")(change)
    x = layers.Add(name=f"{name}_add")([x, change])
    return x if last else layers.Activation("relu", name=f"{name}_relu")(x)


def reduction_b(net, x, name):
    """17x17 to 8x8 (figure 18)."""
    first = net.chain(x, ((256, 1),), f"{name}_branch0")
    second = net.chain(x, ((256, 1),), f"{name}_branch1")
    third = net.chain(x, ((256, 1), (288, 3)), f"{name}_branch2")
    pooled, step, before = begin_reduction(net, x, name)
    return join(
        name,
        net.reduce(first, 384, f"{name}_branch0_2", step, before),
        net.reduce(second, 288, f"{name}_branch1_2", step, before),
        net.reduce(third, 320, f"{name}_branch2_3", step, before),
        pooled,
    )


def torch_name(layer, **_):
    """timm's name (inception_resnet_v2) of one of our layers."""
    if layer == "logits":
        return "classif"
    part, *inside, kind = layer.split("_")
    if part.startswith("conv"):
        return f"conv2d_{part[4:]}.{kind}"
    if part.startswith("mixed"):
        home = f"mixed_{part[5:]}"
    else:
        number = inside.pop(0)
        stack = {"block35": "repeat", "block17": "repeat_1", "block8": "repeat_2"}[part]
        home = "block8" if (part, number) == ("block8", "9") else f"{stack}.{number}"
    if inside == ["up"]:
        return f"{home}.conv2d"
    if len(inside) == 2:
        inside[1] = from_zero(inside[1])
    return ".".join([home, *inside, kind])
