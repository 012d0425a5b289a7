"""Xception (Chollet 2016, arXiv 1610.02357): residual blocks of separable convolutions."""

from keras import layers

from retinue.backbones import blocks


def build(x, output_stride, classifier, padding="same", epsilon=1e-3, classes=1000):
    """Add an Xception to `x` `[n, h, w, c]`, preprocessed. Gives `[n, h/32, w/32, 2048]`, or logits `[n, classes]`.

    padding, epsilon: "same" and 1e-3 for weights of Keras, "symmetric" and 1e-5 for those of timm (legacy_xception).
    """
    plan = blocks.OutputStride(output_stride)
    stride, dilation = plan.step(2)
    x = blocks.conv_bn(x, 32, 3, "stem1", stride, dilation, "valid", epsilon=epsilon)
    x = blocks.conv_bn(x, 64, 3, "stem2", padding="valid", epsilon=epsilon)
    for number, channels in enumerate((128, 256, 728), start=1):
        widths = (channels, channels)
        x = block(x, widths, 2, number > 1, plan, padding, epsilon, f"block{number}")
    for number in range(4, 12):
        x = block(x, (728, 728, 728), 1, True, plan, padding, epsilon, f"block{number}")
    x = block(x, (728, 1024), 2, True, plan, padding, epsilon, "block12")
    for number, channels in enumerate((1536, 2048), start=1):
        x = separable(x, channels, plan.dilation, epsilon, f"exit{number}")
        x = layers.Activation("relu", name=f"exit{number}_relu")(x)
    return blocks.head(x, classes) if classifier else x


def block(x, widths, stride, starts_with_relu, plan, padding, epsilon, name):
    """Separable layers of `widths`, a pool where `stride` is 2, and the shortcut (the paper's figure 5)."""
    residual, before = x, plan.dilation
    for number, width in enumerate(widths, start=1):
        if number > 1 or starts_with_relu:
            residual = layers.Activation("relu", name=f"{name}_{number}_relu")(residual)
        residual = separable(residual, width, before, epsilon, f"{name}_{number}")
    if stride > 1:
        # What is pooled may be negative, so padded zeros must not win.
        residual = blocks.pool(residual, "max", 3, 2, f"{name}_pool", "same" if padding == "same" else "lowest", plan)
        x = blocks.conv(x, widths[-1], 1, f"{name}_shortcut", 2 if plan.dilation == before else 1)
        x = blocks.batch_norm(x, f"{name}_shortcut_bn", epsilon)
    return layers.Add(name=f"{name}_add")([x, residual])


def separable(x, filters, dilation, epsilon, name, pointwise_first=False):
    """A 3x3 kernel a channel and a 1x1 over channels, then BN: `[n, h, w, c]` to `[n, h, w, filters]`.

    Keras, timm and the weights of both have the 3x3 first; `pointwise_first` is the order that the lecture (and the
    paper's figure 4) draws. 1*1*c*filters + 3*3*c weights instead of 3*3*c*filters.
    """
    steps = [
        lambda x: layers.DepthwiseConv2D(
            3, padding="same", dilation_rate=dilation, use_bias=False, name=f"{name}_depthwise"
        )(x),
        lambda x: blocks.conv(x, filters, 1, f"{name}_pointwise"),
    ]
    for step in reversed(steps) if pointwise_first else steps:
        x = step(x)
    return blocks.batch_norm(x, f"{name}_bn", epsilon)


def torch_name(layer, **_):
    """timm's name (legacy_xception) of one of our layers."""
    part, _, rest = layer.partition("_")
    if part == "logits":
        return "fc"
    if part.startswith("stem"):
        return f"{rest}{part[4:]}"
    inside = {"depthwise": ".conv1", "pointwise": ".pointwise"}
    if part.startswith("exit"):
        number = int(part[4:]) + 2
        return f"bn{number}" if rest == "bn" else f"conv{number}{inside[rest]}"
    if rest.startswith("shortcut"):
        return f"{part}.skipbn" if rest == "shortcut_bn" else f"{part}.skip"
    number, _, what = rest.partition("_")
    # a block's list of layers: a ReLU (not at the start of block 1), the separable convolution, BN, and so on
    place = 3 * int(number) - (3 if part == "block1" else 2)
    return f"{part}.rep.{place + 1}" if what == "bn" else f"{part}.rep.{place}{inside[what]}"
