"""Inception v4 (Szegedy et al. 2016, arXiv 1602.07261, figures 3 to 9)."""

from keras import layers

from retinue.backbones import blocks
from retinue.backbones.inception_v3 import Branches, begin_reduction


def build(x, output_stride, classifier, classes=1000):
    """Add an Inception v4 to `x` `[n, h, w, c]`, preprocessed. Gives `[n, h', w', 1536]`, or logits `[n, classes]`.

    299 pixels become 149, 73, 35, 17 and 8. A module is named by its place in timm's list, `features.<place>`.
    """
    net = Branches(blocks.OutputStride(output_stride))
    x = net.layer(x, 32, 3, "module0", stride=2, padding="valid")
    x = net.layer(x, 32, 3, "module1", padding="valid")
    x = net.layer(x, 64, 3, "module2")
    pooled, step, before = begin_reduction(net, x, "module3")
    x = join("module3", pooled, net.reduce(x, 96, "module3_conv", step, before))
    three = net.chain(x, ((64, 1),), "module4_branch0")
    seven = net.chain(x, ((64, 1), (64, (1, 7)), (64, (7, 1))), "module4_branch1")
    x = join(
        "module4",
        net.layer(three, 96, 3, "module4_branch0_2", padding="valid"),
        net.layer(seven, 96, 3, "module4_branch1_4", padding="valid"),
    )
    pooled, step, before = begin_reduction(net, x, "module5")
    x = join("module5", net.reduce(x, 192, "module5_conv", step, before), pooled)
    for place in range(6, 10):
        x = module(net, x, 96, (((64, 1), (96, 3)), ((64, 1), (96, 3), (96, 3))), 96, f"module{place}")
    x = reduction_a(net, x, (192, 224, 256), "module10")
    single = ((192, 1), (224, (1, 7)), (256, (7, 1)))
    double = ((192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7)))
    for place in range(11, 18):
        x = module(net, x, 384, (single, double), 128, f"module{place}")
    x = reduction_b(net, x, "module18")
    for place in range(19, 22):
        x = module_c(net, x, f"module{place}")
    return blocks.head(x, classes, dropout=0.2) if classifier else x


def module(net, x, direct, chains, projected, name):
    """A 1x1, two chains of (filters, kernel), an average pool with its projection, stacked: the size stays."""
    branches = [net.layer(x, direct, 1, f"{name}_branch0")]
    branches += [net.chain(x, chain, f"{name}_branch{number}") for number, chain in enumerate(chains, start=1)]
    pooled = net.pool(x, "average", f"{name}_pool")
    return join(name, *branches, net.layer(pooled, projected, 1, f"{name}_branch3_2"))


def reduction_a(net, x, widths, name):
    """35x35 to 17x17: a strided 3x3; 1x1, 3x3 and a strided 3x3 of `widths`; a max pool (figure 7)."""
    start = net.chain(x, ((widths[0], 1), (widths[1], 3)), f"{name}_branch1")
    pooled, step, before = begin_reduction(net, x, name)
    three = net.reduce(x, 384, f"{name}_branch0", step, before)
    return join(name, three, net.reduce(start, widths[2], f"{name}_branch1_3", step, before), pooled)


def reduction_b(net, x, name):
    """17x17 to 8x8 (figure 8)."""
    three = net.chain(x, ((192, 1),), f"{name}_branch0")
    seven = net.chain(x, ((256, 1), (256, (1, 7)), (320, (7, 1))), f"{name}_branch1")
    pooled, step, before = begin_reduction(net, x, name)
    three = net.reduce(three, 192, f"{name}_branch0_2", step, before)
    return join(name, three, net.reduce(seven, 320, f"{name}_branch1_4", step, before), pooled)


def module_c(net, x, name):
    """8x8: as `module`, but the two chains end side by side in a 1x3 and a 3x1 (figure 6)."""
    single = net.layer(x, 384, 1, f"{name}_branch1_1")
    double = net.chain(x, ((384, 1), (448, (3, 1)), (512, (1, 3))), f"{name}_branch2")
    return join(
        name,
        net.layer(x, 256, 1, f"{name}_branch0"),
        net.layer(single, 256, (1, 3), f"{name}_branch1_2a"),
        net.layer(single, 256, (3, 1), f"{name}_branch1_2b"),
        net.layer(double, 256, (1, 3), f"{name}_branch2_4a"),
        net.layer(double, 256, (3, 1), f"{name}_branch2_4b"),
        net.layer(net.pool(x, "average", f"{name}_pool"), 256, 1, f"{name}_branch3_2"),
    )


def join(name, *branches):
    """Stack branches by channel."""
    return layers.Concatenate(name=name)(branches)


def torch_name(layer, **_):
    """timm's name (inception_v4) of one of our layers."""
    if layer == "logits":
        return "last_linear"
    place, *inside, kind = layer.split("_")
    if len(inside) == 2 and int(place.removeprefix("module")) > 18 and inside[0] != "branch3":
        inside = [f"{inside[0]}_{from_zero(inside[1])}"]  # in the last modules timm's branches are no lists
    elif len(inside) == 2:
        inside[1] = from_zero(inside[1])
    return ".".join([place.replace("module", "features."), *inside, kind])


def from_zero(step):
    """Make "2a" of a name "1a": we count the steps of a branch from 1, timm from 0."""
    return f"{int(step[0]) - 1}{step[1:]}"
