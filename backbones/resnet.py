"""ResNet (He et al. 2015, arXiv 1512.03385), plain networks without shortcuts, and SE-ResNet (Hu et al. 2017)."""

from typing import Any

import keras
from keras import layers

from retinue.backbones import blocks

# blocks per stage, and whether they are bottlenecks: table 1 of the paper, the lecture's "ResNet Layer Configuration"
DEPTHS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}


def build(
    x: keras.KerasTensor,
    output_stride: int,
    classifier: bool,
    depth: int,
    stride_in_first: bool = False,
    shortcuts: bool = True,
    reduction: int = 0,
    classes: int = 1000,
) -> keras.KerasTensor:
    """Add a ResNet to a preprocessed tensor.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        depth: 18, 34, 50, 101 or 152.
        stride_in_first: Whether the stride of a bottleneck is in its first 1x1 (the paper; 3.8e9 multiply-adds for 50
            layers) and not in its 3x3 (torchvision; 4.1e9, about half a point better).
        shortcuts: False builds the plain networks of the paper (section 3.3).
        reduction: Reduction of squeeze-and-excitation before each addition (16 in Hu et al. 2017), 0 for none.
        classes: Number of classes.

    Returns:
        `[n, h/32, w/32, 512 or 2048]`, or logits `[n, classes]`.
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
            if bottleneck:
                residual = bottleneck_branch(x, width, stride, dilation, plan.dilation, name, stride_in_first)
            else:
                residual = basic_branch(x, width, stride, dilation, plan.dilation, name)
            if reduction:
                residual = blocks.squeeze_excite(residual, reduction, f"{name}_se")
            if shortcuts:
                identity = shortcut(x, residual.shape[-1], stride, stage, number, name)
                residual = layers.Add(name=f"{name}_add")([identity, residual])
            x = layers.Activation("relu", name=f"{name}_out")(residual)
    return blocks.classifier_head(x, classes) if classifier else x


def basic_branch(
    x: keras.KerasTensor, width: int, stride: int, dilation: int, next_dilation: int, name: str
) -> keras.KerasTensor:
    """Two 3x3 layers: `[n, h, w, c]` to `[n, h/stride, w/stride, width]`; the second one has `next_dilation`."""
    x = blocks.conv_bn(x, width, 3, f"{name}_1", stride, dilation)
    return blocks.conv_bn(x, width, 3, f"{name}_2", 1, next_dilation, activation=None)


def bottleneck_branch(
    x: keras.KerasTensor,
    width: int,
    stride: int,
    dilation: int,
    next_dilation: int,
    name: str,
    stride_in_first: bool,
) -> keras.KerasTensor:
    """1x1 down, 3x3, 1x1 up: `[n, h, w, c]` to `[n, h/stride, w/stride, 4 width]`.

    If the stride was replaced by dilation, the 3x3 after a strided 1x1 has `next_dilation`, and a strided 3x3 itself
    has `dilation`.
    """
    first, second = (stride, 1) if stride_in_first else (1, stride)
    x = blocks.conv_bn(x, width, 1, f"{name}_1", first)
    x = blocks.conv_bn(x, width, 3, f"{name}_2", second, next_dilation if stride_in_first else dilation)
    return blocks.conv_bn(x, 4 * width, 1, f"{name}_3", activation=None)


def shortcut(x: keras.KerasTensor, channels: int, stride: int, stage: int, number: int, name: str) -> keras.KerasTensor:
    """Identity, or a 1x1 projection where a stage changes the shape (option B of the paper's section 3.3)."""
    if number == 1 and (stage > 1 or x.shape[-1] != channels):
        return blocks.conv_bn(x, channels, 1, f"{name}_shortcut", stride, activation=None)
    return x


def torch_name(layer: str, **_: Any) -> str:
    """Map the name of a layer to its name in torchvision (and in timm, for SE)."""
    if not layer.startswith("stage"):
        return {"stem_conv": "conv1", "stem_bn": "bn1", "logits": "fc"}.get(layer, layer)
    stage, block, part, kind = layer.split("_")
    names = {"se_down": "se.fc1", "se_up": "se.fc2", "shortcut_conv": "downsample.0", "shortcut_bn": "downsample.1"}
    torch_layer = names.get(f"{part}_{kind}", f"{kind}{part}")  # "1_conv" is conv1
    return f"layer{stage.removeprefix('stage')}.{int(block.removeprefix('block')) - 1}.{torch_layer}"
