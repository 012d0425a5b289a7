"""SENet-154 (Hu et al. 2017, arXiv 1709.01507, section 6 and appendix): a ResNeXt-152 with squeeze-and-excitation.

Beyond SE-ResNet (`reduction` in resnet.py): three 3x3 convolutions in place of the 7x7, grouped 3x3 convolutions, the
first 1x1 of a bottleneck at half the width, 3x3 projections where a stage strides, and dropout before the classifier.
"""

from keras import layers

from retinue.backbones import blocks

COUNTS = (3, 8, 36, 3)
GROUPS = 64
STEM = (64, 64, 128)


def build(x, output_stride, classifier, dropout=0.2, classes=1000):
    """Add SENet-154 to `x` `[n, h, w, c]`, preprocessed. Gives `[n, h/32, w/32, 2048]`, or logits `[n, classes]`."""
    plan = blocks.OutputStride(output_stride)
    for number, width in enumerate(STEM, start=1):
        x = blocks.conv_bn(x, width, 3, f"stem{number}", *plan.step(2 if number == 1 else 1))
    x = blocks.pool(x, "max", 3, 2, "stem_pool", "ceil", plan)
    for stage, count in enumerate(COUNTS, start=1):
        for number in range(1, count + 1):
            step = 2 if stage > 1 and number == 1 else 1
            x = block(x, 128 * 2 ** (stage - 1), step, *plan.step(step), f"stage{stage}_block{number}")
    return blocks.head(x, classes, dropout) if classifier else x


def block(x, width, step, stride, dilation, name):
    """1x1, grouped 3x3 of twice the width, 1x1, squeeze-and-excitation, shortcut, ReLU.

    `[n, h, w, c]` to `[n, h/stride, w/stride, 2 width]`. `step` is the stride that the block has in the undilated net.
    """
    branch = blocks.conv_bn(x, width, 1, f"{name}_1")
    branch = blocks.conv(branch, 2 * width, 3, f"{name}_2_conv", stride, dilation, groups=GROUPS)
    branch = layers.Activation("relu", name=f"{name}_2_relu")(blocks.batch_norm(branch, f"{name}_2_bn"))
    branch = blocks.conv_bn(branch, 2 * width, 1, f"{name}_3", activation=None)
    branch = blocks.squeeze_excite(branch, 16, f"{name}_se")
    if x.shape[-1] != 2 * width:
        kernel = 3 if step > 1 else 1
        x = blocks.conv_bn(x, 2 * width, kernel, f"{name}_shortcut", stride, dilation, activation=None)
    x = layers.Add(name=f"{name}_add")([x, branch])
    return layers.Activation("relu", name=f"{name}_out")(x)


def torch_name(layer, **_):
    """The name in timm's legacy_senet154 (that of the authors' weights, ported by R. Cadene) of one of our layers."""
    part, _, rest = layer.partition("_")
    if part == "logits":
        return "last_linear"
    if part in ("stem1", "stem2", "stem3") and rest in ("conv", "bn"):
        return f"layer0.{rest}{part.removeprefix('stem')}"
    if not part.startswith("stage"):
        return layer
    number, inside, what = rest.removeprefix("block").split("_")
    names = {
        "se_down": "se_module.fc1",
        "se_up": "se_module.fc2",
        "shortcut_conv": "downsample.0",
        "shortcut_bn": "downsample.1",
    }
    theirs = names.get(f"{inside}_{what}", f"{what}{inside}")  # "1_conv" is conv1
    return f"layer{part.removeprefix('stage')}.{int(number) - 1}.{theirs}"
