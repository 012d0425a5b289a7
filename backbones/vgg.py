"""VGG (Simonyan and Zisserman 2014, arXiv 1409.1556): stacks of 3x3 convolutions between max pooling layers."""

import keras
from keras import layers

from retinue.backbones import blocks
from retinue.backbones.dropout import Dropout
from retinue.backbones.initializers import gaussian

# 3x3 convolutions before each pooling layer: configurations A, B, D and E of the paper's table 1
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


def build(
    x: keras.KerasTensor,
    output_stride: int,
    classifier: bool,
    depth: int,
    batch_norm: bool = False,
    dropout: float = 0.5,
    classes: int = 1000,
) -> keras.KerasTensor:
    """Add a VGG to a preprocessed tensor.

    The three linear layers are convolutions (7x7, 1x1, 1x1) whose scores are averaged over the map, which is the dense
    evaluation of the paper (section 3.2). At 224 pixels the results equal those of linear layers, and any larger size
    works too.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        depth: 11, 13, 16 or 19.
        batch_norm: Whether a batch normalization follows every convolution.
        dropout: Dropout rate of the classifier.
        classes: Number of classes.

    Returns:
        `[n, h/32, w/32, 512]`, or logits `[n, classes]`.
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


def convert_fc_layers(
    x: keras.KerasTensor, side: int, width: int, dropout: float, classes: int, dilation: int = 1
) -> keras.KerasTensor:
    """Add the fully connected layers fc6, fc7 and the classifier as convolutions.

    Args:
        x: `[n, h, w, c]`, h and w at least `side`.
        side: Kernel size of fc6.
        width: Channels of fc6 and fc7.
        dropout: Dropout rate after fc6 and fc7.
        classes: Number of classes.
        dilation: Dilation of fc6.

    Returns:
        Logits `[n, classes]`, averaged over the positions.
    """
    for name, kernel in (("fc6", side), ("fc7", 1)):
        x = blocks.conv(x, width, kernel, name, 1, dilation if kernel > 1 else 1, "valid", bias=True)
        x = layers.Activation("relu", name=f"{name}_relu")(x)
        x = Dropout(dropout, name=f"{name}_dropout")(x)
    x = layers.Conv2D(classes, 1, kernel_initializer=gaussian(), name="logits")(x)
    return layers.GlobalAveragePooling2D(name="pool")(x)


def torch_name(layer: str, depth: int, batch_norm: bool = False) -> str:
    """Map the name of a layer to its name in torchvision, which is an index in a list of layers."""
    linear = {"fc6": "classifier.0", "fc7": "classifier.3", "logits": "classifier.6"}
    if not layer.startswith("conv"):
        return linear.get(layer, layer)
    stage, number = map(int, layer.removeprefix("conv").removesuffix("_bn").split("_"))
    convolutions = sum(DEPTHS[depth][: stage - 1]) + number - 1
    index = convolutions * (3 if batch_norm else 2) + stage - 1
    return f"features.{index + layer.endswith('_bn')}"


def keras_name(layer: str) -> str:
    """Map the name of a layer to its name in keras.applications and in the weights of HED."""
    if not layer.startswith("conv") or layer.endswith(("_bn", "_relu")):
        return {"fc6": "fc1", "fc7": "fc2", "logits": "predictions"}.get(layer, layer)
    stage, number = layer.removeprefix("conv").split("_")
    return f"block{stage}_conv{number}"
