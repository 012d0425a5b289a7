"""BN-Inception, which the lecture calls Inception v2 (Ioffe and Szegedy 2015, arXiv 1502.03167, table 5).

The table contradicts itself in 4c and 4d: its projections of 128 channels would give 608 channels, where it says 576,
and then 1056 after 4e, where it says 1024. With projections of 96, as in Google's TF-slim (inception_v2), every
output size is the table's. The Caffe model whose weights are published has 128, and also biases before normalization.
"""

from typing import Any

import keras
from keras import layers

from retinue.backbones import blocks

# Channels of the 1x1; the 3x3 (reduced, then full); the double 3x3 (reduced, then full); the kind of pooling and the
# channels of its projection. 3c and 4e have no 1x1, their pooled branch has no projection, and all has stride 2.
Channels = tuple[int, int, int, int, int, str, int]
MODULES: dict[str, Channels] = {
    "3a": (64, 64, 64, 64, 96, "average", 32),
    "3b": (64, 64, 96, 64, 96, "average", 64),
    "3c": (0, 128, 160, 64, 96, "max", 0),
    "4a": (224, 64, 96, 96, 128, "average", 128),
    "4b": (192, 96, 128, 96, 128, "average", 128),
    "4c": (160, 128, 160, 128, 160, "average", 96),
    "4d": (96, 128, 192, 160, 192, "average", 96),
    "4e": (0, 128, 192, 192, 256, "max", 0),
    "5a": (352, 192, 320, 160, 224, "average", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}


def build(
    x: keras.KerasTensor, output_stride: int, classifier: bool, caffe: bool = False, classes: int = 1000
) -> keras.KerasTensor:
    """Add BN-Inception to a preprocessed tensor.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        caffe: Whether to build the variant whose weights are published.
        classes: Number of classes.

    Returns:
        `[n, h/32, w/32, 1024]` (rounded up), or logits `[n, classes]`.
    """
    plan = blocks.OutputStride(output_stride)
    x = convolution(x, 64, 7, "conv1_7x7_s2", caffe, *plan.step(2))
    x = blocks.pool(x, "max", 3, 2, "pool1", "ceil", plan)
    x = convolution(x, 64, 1, "conv2_3x3_reduce", caffe)
    x = convolution(x, 192, 3, "conv2_3x3", caffe, dilation=plan.dilation)
    x = blocks.pool(x, "max", 3, 2, "pool2", "ceil", plan)
    for name, channels in MODULES.items():
        x = inception(x, channels, plan, f"inception_{name}", caffe)
    return blocks.classifier_head(x, classes) if classifier else x


def inception(
    x: keras.KerasTensor, channels: Channels, plan: blocks.OutputStride, name: str, caffe: bool
) -> keras.KerasTensor:
    """Parallel branches: `[n, h, w, c]` to `[n, h/s, w/s, sum of the branches' last channels]`, s 1 or 2."""
    direct, reduced, full, reduced_double, full_double, kind, projected = channels
    if caffe and projected == 96:
        projected = 128
    dilation = plan.dilation
    if direct:
        stride, pooled = 1, blocks.pool(x, kind, 3, 1, f"{name}_pool", "symmetric", plan)
    else:
        stride, _ = plan.step(2)
        pooled = strided_max_pool(x, stride, dilation, f"{name}_pool")
    branches = [convolution(x, direct, 1, f"{name}_1x1", caffe)] if direct else []
    single = convolution(x, reduced, 1, f"{name}_3x3_reduce", caffe)
    branches.append(convolution(single, full, 3, f"{name}_3x3", caffe, stride, dilation))
    double = convolution(x, reduced_double, 1, f"{name}_double_3x3_reduce", caffe)
    double = convolution(double, full_double, 3, f"{name}_double_3x3_1", caffe, dilation=dilation)
    branches.append(convolution(double, full_double, 3, f"{name}_double_3x3_2", caffe, stride, dilation))
    branches.append(convolution(pooled, projected, 1, f"{name}_pool_proj", caffe) if projected else pooled)
    return layers.Concatenate(name=f"{name}_output")(branches)


def strided_max_pool(x: keras.KerasTensor, stride: int, dilation: int, name: str) -> keras.KerasTensor:
    """Max pooling of a strided module: `[n, h, w, c]` to `[n, ceil(h/stride), ceil(w/stride), c]`; `x` not negative.

    Like Caffe's it starts at the first pixel and extends over the far edge, but by one pixel more than Caffe's, whose
    branches would have different sizes where h or w is odd.
    """
    pad = 2 if stride == 2 else 2 * dilation
    x = layers.ZeroPadding2D(((0, pad), (0, pad)), name=f"{name}_pad")(x)
    if dilation > 1:
        return blocks.DilatedPool("max", 3, dilation, name=name)(x)
    return layers.MaxPooling2D(3, stride, name=name)(x)


def convolution(
    x: keras.KerasTensor, channels: int, kernel: int, name: str, bias: bool, stride: int = 1, dilation: int = 1
) -> keras.KerasTensor:
    """Convolution, batch normalization and ReLU: to `[n, h/stride, w/stride, channels]`."""
    x = blocks.conv(x, channels, kernel, f"{name}_conv", stride, dilation, bias=bias)
    return layers.Activation("relu", name=f"{name}_relu")(blocks.batch_norm(x, f"{name}_bn"))


def torch_name(layer: str, **_: Any) -> str:
    """Map a layer to its name in bn_inception-52deb4733.pth (Cadene's pretrained-models.pytorch, from Caffe)."""
    return "last_linear" if layer == "logits" else layer.removesuffix("_conv")
