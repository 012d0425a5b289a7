"""BN-Inception, the lecture's "Inception Net v2" (Ioffe and Szegedy 2015, arXiv 1502.03167, table 5).

The table contradicts itself in 4c and 4d: its projections of 128 channels would give 608 channels, where it says 576,
and then 1056 after 4e, where it says 1024. With projections of 96, as in Google's TF-slim (inception_v2), every
output size is the table's. The caffe net whose weights are published has 128, and biases before normalisation too.
"""

from keras import layers

from retinue.backbones import blocks

# channels of the 1x1; the 3x3 (reduced, then full); the double 3x3 (reduced, then full); pooling and its projection. In
# 3c and 4e there is no 1x1, what is pooled passes through unprojected, and everything has stride 2.
MODULES = {
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


def build(x, output_stride, classifier, caffe=False, classes=1000):
    """Add BN-Inception to `x` `[n, h, w, c]`, preprocessed. caffe: the variant whose weights are published.

    Gives `[n, h/32, w/32, 1024]` (rounded up), or logits `[n, classes]` with `classifier`.
    """
    plan = blocks.OutputStride(output_stride)
    x = convolution(x, 64, 7, "conv1_7x7_s2", caffe, *plan.step(2))
    x = blocks.pool(x, "max", 3, 2, "pool1", "ceil", plan)
    x = convolution(x, 64, 1, "conv2_3x3_reduce", caffe)
    x = convolution(x, 192, 3, "conv2_3x3", caffe, dilation=plan.dilation)
    x = blocks.pool(x, "max", 3, 2, "pool2", "ceil", plan)
    for name, channels in MODULES.items():
        x = inception(x, channels, plan, f"inception_{name}", caffe)
    return blocks.head(x, classes) if classifier else x


def inception(x, channels, plan, name, caffe):
    """Branches side by side: `[n, h, w, c]` to `[n, h/s, w/s, sum of the branches' last channels]`, s 1 or 2."""
    direct, reduced, full, reduced_double, full_double, kind, projected = channels
    if caffe and projected == 96:
        projected = 128
    before = plan.dilation
    if direct:
        stride, pooled = 1, blocks.pool(x, kind, 3, 1, f"{name}_pool", "symmetric", plan)
    else:
        stride, _ = plan.step(2)
        pooled = pass_through(x, stride, before, f"{name}_pool")
    branches = [convolution(x, direct, 1, f"{name}_1x1", caffe)] if direct else []
    single = convolution(x, reduced, 1, f"{name}_3x3_reduce", caffe)
    branches.append(convolution(single, full, 3, f"{name}_3x3", caffe, stride, before))
    double = convolution(x, reduced_double, 1, f"{name}_double_3x3_reduce", caffe)
    double = convolution(double, full_double, 3, f"{name}_double_3x3_1", caffe, dilation=before)
    branches.append(convolution(double, full_double, 3, f"{name}_double_3x3_2", caffe, stride, before))
    branches.append(convolution(pooled, projected, 1, f"{name}_pool_proj", caffe) if projected else pooled)
    return layers.Concatenate(name=f"{name}_output")(branches)


def pass_through(x, stride, dilation, name):
    """The max pool of a strided module: `[n, h, w, c]` to `[n, ceil(h/stride), ceil(w/stride), c]`, `x` not negative.

    Like caffe's it starts at the first pixel and reaches over the far edge; one pixel further than caffe's, whose
    branches would not fit together where h or w is odd.
    """
    room = 2 if stride == 2 else 2 * dilation
    x = layers.ZeroPadding2D(((0, room), (0, room)), name=f"{name}_pad")(x)
    if dilation > 1:
        return blocks.DilatedPool("max", 3, dilation, name=name)(x)
    return layers.MaxPooling2D(3, stride, name=name)(x)


def convolution(x, channels, kernel, name, bias, stride=1, dilation=1):
    """Convolution, batch normalisation and ReLU: to `[n, h/stride, w/stride, channels]`."""
    x = blocks.conv(x, channels, kernel, f"{name}_conv", stride, dilation, bias=bias)
    return layers.Activation("relu", name=f"{name}_relu")(blocks.batch_norm(x, f"{name}_bn"))


def torch_name(layer, **_):
    """The name in bn_inception-52deb4733.pth (Cadene's pretrained-models.pytorch, from caffe) of one of our layers."""
    return "last_linear" if layer == "logits" else layer.removesuffix("_conv")
