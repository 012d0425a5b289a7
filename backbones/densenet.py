"""DenseNet (Huang et al. 2016, arXiv 1608.06993): every layer sees the outputs of all layers before it in its block."""

from typing import Any

import keras
from keras import layers

from retinue.backbones import blocks

# layers per block, growth rate, filters of the stem (the paper's table 1)
DEPTHS = {
    121: ((6, 12, 24, 16), 32, 64),
    161: ((6, 12, 36, 24), 48, 96),
    169: ((6, 12, 32, 32), 32, 64),
    201: ((6, 12, 48, 32), 32, 64),
}


def build(
    x: keras.KerasTensor, output_stride: int, classifier: bool, depth: int, classes: int = 1000
) -> keras.KerasTensor:
    """Add a DenseNet with bottlenecks and compression ("BC") to a preprocessed tensor.

    A layer is batch normalization, ReLU and convolution, in this order.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        depth: 121, 161, 169 or 201.
        classes: Number of classes.

    Returns:
        `[n, h/32, w/32, c']`, or logits `[n, classes]`.
    """
    counts, growth_rate, filters = DEPTHS[depth]
    plan = blocks.OutputStride(output_stride)
    stride, dilation = plan.step(2)
    x = blocks.conv_bn(x, filters, 7, "stem", stride, dilation)
    x = blocks.pool(x, "max", 3, 2, "stem_pool", "symmetric", plan)
    for block, count in enumerate(counts, start=1):
        for number in range(1, count + 1):
            new = dense_layer(x, growth_rate, plan.dilation, f"block{block}_layer{number}")
            x = layers.Concatenate(name=f"block{block}_layer{number}_concat")([x, new])
        if block < len(counts):
            x = norm_relu(x, f"transition{block}")
            x = blocks.conv(x, x.shape[-1] // 2, 1, f"transition{block}_conv")
            x = blocks.pool(x, "average", 2, 2, f"transition{block}_pool", "floor", plan)
    x = norm_relu(x, "final")
    return blocks.classifier_head(x, classes) if classifier else x


def dense_layer(x: keras.KerasTensor, growth_rate: int, dilation: int, name: str) -> keras.KerasTensor:
    """1x1 to 4 `growth_rate` channels and 3x3 to `growth_rate`: `[n, h, w, c]` to `[n, h, w, growth_rate]`."""
    x = blocks.conv(norm_relu(x, f"{name}_1"), 4 * growth_rate, 1, f"{name}_1_conv")
    return blocks.conv(norm_relu(x, f"{name}_2"), growth_rate, 3, f"{name}_2_conv", dilation=dilation)


def norm_relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Batch normalization and ReLU; the output has the shape of the input."""
    return layers.Activation("relu", name=f"{name}_relu")(blocks.batch_norm(x, f"{name}_bn"))


def torch_name(layer: str, **_: Any) -> str | tuple[str, str]:
    """Map the name of a layer to its name in torchvision.

    Returns:
        The name, or (name, older name) for layers that have another name in torchvision's published files.
    """
    outside = {
        "stem_conv": "features.conv0",
        "stem_bn": "features.norm0",
        "final_bn": "features.norm5",
        "logits": "classifier",
    }
    if layer in outside:
        return outside[layer]
    parts = layer.replace("_bn", "_norm").split("_")
    if parts[0].startswith("transition"):
        return f"features.{parts[0]}.{parts[1]}"
    prefix = f"features.dense{parts[0]}.dense{parts[1]}"
    return f"{prefix}.{parts[3]}{parts[2]}", f"{prefix}.{parts[3]}.{parts[2]}"
