"""VGG (Simonyan and Zisserman 2014, arXiv 1409.1556): stacks of 3x3 convolutions between max pools."""

from keras import layers

from retinue.backbones import blocks
from retinue.backbones.dropout import Dropout
from retinue.backbones.initializers import gaussian

# 3x3 convolutions before each pool: configurations A, B, D and E of the paper's table 1
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


def build(x, output_stride, classifier, depth, batch_norm=False, dropout=0.5, classes=1000):
    """Add a VGG to `x` `[n, h, w, c]`, preprocessed. Gives `[n, h/32, w/32, 512]`, or logits `[n, classes]`.

    The three linear layers are convolutions (7x7, 1x1, 1x1) whose scores are averaged over the map, the paper's dense
    evaluation (section 3.2): at 224 pixels the same numbers as linear layers, and any larger size works too.
    """
    plan = blocks.OutputStride(output_stride)
    for stage, (count, width) in enumerate(zip(DEPTHS[depth], WIDTHS, strict=True), start=1):
        for number in range(1, count + 1):
            name = f"conv{stage}_{number}"
            x = blocks.conv(x, width, 3, name, dilation=plan.dilation, bias=True)
            if batch_norm:
                x = blocks.batch_norm(x, f"{name}_bn")
            x = layers.Activation("relu", name=f"{name}_relu")(x)
        x = blocks.pool(x, "max", 2, 2, f"pool{stage}", "floor", plan)
    return convert_fc_layers(x, 7, 4096, dropout, classes, plan.dilation) if classifier else x


def convert_fc_layers(x, side, width, dropout, classes, dilation=1):
    """fc6, fc7 and the classifier as convolutions: `[n, h, w, c]`, both at least `side`, to logits `[n, classes]`."""
    for name, kernel in (("fc6", side), ("fc7", 1)):
        x = blocks.conv(x, width, kernel, name, 1, dilation if kernel > 1 else 1, "valid", bias=True)
        x = layers.Activation("relu", name=f"{name}_relu")(x)
        x = Dropout(dropout, name=f"{name}_dropout")(x)
    x = layers.Conv2D(classes, 1, kernel_initializer=gaussian(), name="logits")(x)
    return layers.GlobalAveragePooling2D(name="pool")(x)


def torch_name(layer, depth, batch_norm=False):
    """torchvision's name of one of our layers: a place in its list of layers."""
    linear = {"fc6": "classifier.0", "fc7": "classifier.3", "logits": "classifier.6"}
    if not layer.startswith("conv"):
        return linear.get(layer, layer)
    stage, number = map(int, layer.removeprefix("conv").removesuffix("_bn").split("_"))
    convolutions = sum(DEPTHS[depth][: stage - 1]) + number - 1
    place = convolutions * (3 if batch_norm else 2) + stage - 1
    return f"features.{place + layer.endswith('_bn')}"


def keras_name(layer):
    """The name in keras.applications, and in HED's weights, of one of our layers."""
    if not layer.startswith("conv") or layer.endswith(("_bn", "_relu")):
        return {"fc6": "fc1", "fc7": "fc2", "logits": "predictions"}.get(layer, layer)
    stage, number = layer.removeprefix("conv").split("_")
    return f"block{stage}_conv{number}"
