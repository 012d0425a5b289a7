"""ResNet (He et al. 2015, arXiv 1512.03385), plain nets without shortcuts, and SE-ResNet (Hu et al. 2017)."""

from keras import layers

from retinue.backbones import blocks

# blocks a stage, and whether they are bottlenecks: table 1 of the paper, the lecture's "ResNet Layer Configuration"
DEPTHS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}


def build(x, output_stride, classifier, depth, stride_in_first=False, shortcuts=True, reduction=0, classes=1000):
    """Add a ResNet to `x` `[n, h, w, c]`, preprocessed. Gives `[n, h/32, w/32, 512 or 2048]`, or logits `[n, classes]`.

    stride_in_first: a bottleneck's stride is in its first 1x1 (the paper; 3.8e9 multiply-adds for 50 layers) or else in
    its 3x3 (torchvision; 4.1e9, about half a point better). shortcuts=False: the paper's plain nets (section 3.3).
    reduction: of squeeze-and-excitation before each addition (16 in Hu et al. 2017), 0 for none.
    """
    counts, bottleneck = DEPTHS[depth]
    plan = blocks.OutputStride(output_stride)
    stride, dilation = plan.step(2)
    x = blocks.conv_bn(x, 64, 7, "stem", stride, dilation)
    x = blocks.pool(x, "max", 3, 2, "stem_pool", "symmetric", plan)
    for stage, count in enumerate(counts, start=1):
        for number in range(1, count + 1):
            stride, dilation = plan.step(2 if stage > 1 and number == 1 else 1)
            name, width = f"stage{stage}_block{number}", 64 * 2 ** (stage - 1)
            after = plan.dilation
            if bottleneck:
                residual = bottleneck_branch(x, width, stride, dilation, after, name, stride_in_first)
            else:
                residual = basic_branch(x, width, stride, dilation, after, name)
            if reduction:
                residual = blocks.squeeze_excite(residual, reduction, f"{name}_se")
            if shortcuts:
                residual = layers.Add(name=f"{name}_add")(
                    [shortcut(x, residual.shape[-1], stride, stage, number, name), residual]
                )
            x = layers.Activation("relu", name=f"{name}_out")(residual)
    return blocks.head(x, classes) if classifier else x


def basic_branch(x, width, stride, dilation, after, name):
    """Two 3x3 layers: `[n, h, w, c]` to `[n, h/stride, w/stride, width]`; `after` is the dilation of the second."""
    x = blocks.conv_bn(x, width, 3, f"{name}_1", stride, dilation)
    return blocks.conv_bn(x, width, 3, f"{name}_2", 1, after, activation=None)


def bottleneck_branch(x, width, stride, dilation, after, name, stride_in_first):
    """1x1 down, 3x3, 1x1 up: `[n, h, w, c]` to `[n, h/stride, w/stride, 4 width]`.

    With its stride left out, the 3x3 after a strided 1x1 dilates by `after`, a strided 3x3 itself by `dilation`.
    """
    first, second = (stride, 1) if stride_in_first else (1, stride)
    x = blocks.conv_bn(x, width, 1, f"{name}_1", first)
    x = blocks.conv_bn(x, width, 3, f"{name}_2", second, after if stride_in_first else dilation)
    return blocks.conv_bn(x, 4 * width, 1, f"{name}_3", activation=None)


def shortcut(x, channels, stride, stage, number, name):
    """Identity, or a 1x1 projection where a stage changes the shape (option B of the paper's section 3.3)."""
    if number == 1 and (stage > 1 or x.shape[-1] != channels):
        return blocks.conv_bn(x, channels, 1, f"{name}_shortcut", stride, activation=None)
    return x


def torch_name(layer, **_):
    """torchvision's name (and timm's, for SE) of one of our layers."""
    if not layer.startswith("stage"):
        return {"stem_conv": "conv1", "stem_bn": "bn1", "logits": "fc"}.get(layer, layer)
    stage, block, part, what = layer.split("_")
    names = {"se_down": "se.fc1", "se_up": "se.fc2", "shortcut_conv": "downsample.0", "shortcut_bn": "downsample.1"}
    theirs = names.get(f"{part}_{what}", f"{what}{part}")  # "1_conv" is conv1
    return f"layer{stage.removeprefix('stage')}.{int(block.removeprefix('block')) - 1}.{theirs}"
