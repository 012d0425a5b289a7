"""DenseNet (Huang et al. 2016, arXiv 1608.06993): every layer sees what all layers before it in its block made."""

from keras import layers

from retinue.backbones import blocks

# layers a block, growth rate, filters of the stem (the paper's table 1)
DEPTHS = {
    121: ((6, 12, 24, 16), 32, 64),
    161: ((6, 12, 36, 24), 48, 96),
    169: ((6, 12, 32, 32), 32, 64),
    201: ((6, 12, 48, 32), 32, 64),
}


def build(x, output_stride, classifier, depth, classes=1000):
    """Add a DenseNet (with bottlenecks and compression, "BC") to `x` `[n, h, w, c]`, preprocessed.

    Gives `[n, h/32, w/32, c']`, or logits `[n, classes]`. A layer is BN, ReLU, convolution, in this order.
    """
    counts, growth, filters = DEPTHS[depth]
    plan = blocks.OutputStride(output_stride)
    stride, dilation = plan.step(2)
    x = blocks.conv_bn(x, filters, 7, "stem", stride, dilation)
    x = blocks.pool(x, "max", 3, 2, "stem_pool", "symmetric", plan)
    for block, count in enumerate(counts, start=1):
        for number in range(1, count + 1):
            new = dense_layer(x, growth, plan.dilation, f"block{block}_layer{number}")
            x = layers.Concatenate(name=f"block{block}_layer{number}_concat")([x, new])
        if block < len(counts):
            x = norm_relu(x, f"transition{block}")
            x = blocks.conv(x, x.shape[-1] // 2, 1, f"transition{block}_conv")
            x = blocks.pool(x, "average", 2, 2, f"transition{block}_pool", "floor", plan)
    x = norm_relu(x, "final")
    return blocks.head(x, classes) if classifier else x


def dense_layer(x, growth, dilation, name):
    """1x1 to 4 growth channels and 3x3 to `growth`: `[n, h, w, c]` to `[n, h, w, growth]`."""
    x = blocks.conv(norm_relu(x, f"{name}_1"), 4 * growth, 1, f"{name}_1_conv")
    return blocks.conv(norm_relu(x, f"{name}_2"), growth, 3, f"{name}_2_conv", dilation=dilation)


def norm_relu(x, name):
    """Batch normalisation and ReLU, the same shape out."""
    return layers.Activation("relu", name=f"{name}_relu")(blocks.batch_norm(x, f"{name}_bn"))


def torch_name(layer, **_):
    """torchvision's name of one of our layers, and where its published files have another, older one, that too."""
    whole = {
        "stem_conv": "features.conv0",
        "stem_bn": "features.norm0",
        "final_bn": "features.norm5",
        "logits": "classifier",
    }
    if layer in whole:
        return whole[layer]
    parts = layer.replace("_bn", "_norm").split("_")
    if parts[0].startswith("transition"):
        return f"features.{parts[0]}.{parts[1]}"
    dense_layer = f"features.dense{parts[0]}.dense{parts[1]}"
    return f"{dense_layer}.{parts[3]}{parts[2]}", f"{dense_layer}.{parts[3]}.{parts[2]}"
