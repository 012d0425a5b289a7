"""SENet-154 (Hu et al. 2017, arXiv 1709.01507, section 6 and appendix): a ResNeXt-152 with squeeze-and-excitation.

It differs from SE-ResNet (`reduction` in resnet.py) in five ways: three 3x3 convolutions replace the 7x7, the 3x3
convolutions are grouped, the first 1x1 of a bottleneck has half the width, strided stages have 3x3 projections, and
there is dropout before the classifier.
"""

from typing import Any

import keras
from keras import layers

from retinue.backbones import blocks

COUNTS = (3, 8, 36, 3)
GROUPS = 64
STEM_WIDTHS = (64, 64, 128)


def build(
    x: keras.KerasTensor, output_stride: int, classifier: bool, dropout: float = 0.2, classes: int = 1000
) -> keras.KerasTensor:
    """Add SENet-154 to a preprocessed tensor.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        dropout: Dropout rate of the classifier.
        classes: Number of classes.

    Returns:
        `[n, h/32, w/32, 2048]`, or logits `[n, classes]`.
    """
    plan = blocks.OutputStride(output_stride)
    for number, width in enumerate(STEM_WIDTHS, start=1):
        x = blocks.conv_bn(x, width, 3, f"stem{number}", *plan.step(2 if number == 1 else 1))
    x = blocks.pool(x, "max", 3, 2, "stem_pool", "ceil", plan)
    for stage, count in enumerate(COUNTS, start=1):
        for number in range(1, count + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            x = block(x, 128 * 2 ** (stage - 1), stride, *plan.step(stride), f"stage{stage}_block{number}")
    return blocks.classifier_head(x, classes, dropout) if classifier else x


def block(
    x: keras.KerasTensor, width: int, undilated_stride: int, stride: int, dilation: int, name: str
) -> keras.KerasTensor:
    """1x1, grouped 3x3 of twice the width, 1x1, squeeze-and-excitation, shortcut, ReLU.

    `[n, h, w, c]` to `[n, h/stride, w/stride, 2 width]`. `undilated_stride` is the stride of the block in the undilated
    network.
    """
    branch = blocks.conv_bn(x, width, 1, f"{name}_1")
    branch = blocks.conv(branch, 2 * width, 3, f"{name}_2_conv", stride, dilation, groups=GROUPS)
    branch = layers.Activation("relu", name=f"{name}_2_relu")(blocks.batch_norm(branch, f"{name}_2_bn"))
    branch = blocks.conv_bn(branch, 2 * width, 1, f"{name}_3", activation=None)
    branch = blocks.squeeze_excite(branch, 16, f"{name}_se")
    if x.shape[-1] != 2 * width:
        kernel = 3 if undilated_stride > 1 else 1
        x = blocks.conv_bn(x, 2 * width, kernel, f"{name}_shortcut", stride, dilation, activation=None)
    x = layers.Add(name=f"{name}_add")([x, branch])
    return layers.Activation("relu", name=f"{name}_out")(x)


def torch_name(layer: str, **_: Any) -> str:
    """Map a layer to its name in timm's legacy_senet154 (the authors' weights, ported by R. Cadene)."""
    prefix, _separator, rest = layer.partition("_")
    if prefix == "logits":
        return "last_linear"
    if prefix in ("stem1", "stem2", "stem3") and rest in ("conv", "bn"):
        return f"layer0.{rest}{prefix.removeprefix('stem')}"
    if not prefix.startswith("stage"):
        return layer
    number, part, kind = rest.removeprefix("block").split("_")
    names = {
        "se_down": "se_module.fc1",
        "se_up": "se_module.fc2",
        "shortcut_conv": "downsample.0",
        "shortcut_bn": "downsample.1",
    }
    torch_layer = names.get(f"{part}_{kind}", f"{kind}{part}")  # "1_conv" is conv1
    return f"layer{prefix.removeprefix('stage')}.{int(number) - 1}.{torch_layer}"
