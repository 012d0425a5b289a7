"""GoogLeNet, the first Inception (Szegedy et al. 2014, arXiv 1409.4842, table 1).

There are two variants. torchvision's has batch normalization and, by an old mistake with which its weights were
trained, 3x3 convolutions where the paper has 5x5. The paper's variant has neither. Both leave out the local response
normalization of the paper's figure 3, as table 1 does.
"""

import keras
from keras import layers

from retinue.backbones import blocks

# channels of the 1x1, the 3x3 (reduced, then full), the 5x5 (reduced, then full) and of the projection after pooling
Channels = tuple[int, int, int, int, int, int]
MODULES: dict[str, Channels] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
EPSILON = 1e-3


def build(
    x: keras.KerasTensor, output_stride: int, classifier: bool, paper: bool = False, classes: int = 1000
) -> keras.KerasTensor:
    """Add GoogLeNet to a preprocessed tensor.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: 8, 16 or 32.
        classifier: Whether to add the classifier.
        paper: Whether to build the paper's variant.
        classes: Number of classes.

    Returns:
        `[n, h/32, w/32, 1024]` (rounded up), or logits `[n, classes]`.
    """
    plan = blocks.OutputStride(output_stride)
    x = convolution(x, 64, 7, "conv1", paper, *plan.step(2))
    x = blocks.pool(x, "max", 3, 2, "pool1", "ceil", plan)
    x = convolution(x, 64, 1, "conv2", paper)
    x = convolution(x, 192, 3, "conv3", paper, dilation=plan.dilation)
    x = blocks.pool(x, "max", 3, 2, "pool2", "ceil", plan)
    for name, channels in MODULES.items():
        if name == "4a":
            x = blocks.pool(x, "max", 3, 2, "pool3", "ceil", plan)
        elif name == "5a":
            x = blocks.pool(x, "max", 3 if paper else 2, 2, "pool4", "ceil", plan)
        x = inception(x, channels, plan, f"inception{name}", paper)
    return blocks.classifier_head(x, classes, 0.4 if paper else 0.2) if classifier else x


def inception(
    x: keras.KerasTensor, channels: Channels, plan: blocks.OutputStride, name: str, paper: bool
) -> keras.KerasTensor:
    """Four parallel branches: `[n, h, w, c]` to `[n, h, w, sum of the branches' last channels]` (figure 2b)."""
    direct, reduced3, full3, reduced5, full5, projected = channels
    branch1 = convolution(x, direct, 1, f"{name}_branch1", paper)
    branch2 = convolution(x, reduced3, 1, f"{name}_branch2_0", paper)
    branch2 = convolution(branch2, full3, 3, f"{name}_branch2_1", paper, dilation=plan.dilation)
    branch3 = convolution(x, reduced5, 1, f"{name}_branch3_0", paper)
    branch3 = convolution(branch3, full5, 5 if paper else 3, f"{name}_branch3_1", paper, dilation=plan.dilation)
    branch4 = blocks.pool(x, "max", 3, 1, f"{name}_branch4_pool", "same", plan)
    branch4 = convolution(branch4, projected, 1, f"{name}_branch4", paper)
    return layers.Concatenate(name=f"{name}_concat")([branch1, branch2, branch3, branch4])


def convolution(
    x: keras.KerasTensor, channels: int, kernel: int, name: str, paper: bool, stride: int = 1, dilation: int = 1
) -> keras.KerasTensor:
    """Convolution, batch normalization (not in the paper) and ReLU: to `[n, h/stride, w/stride, channels]`."""
    if not paper:
        return blocks.conv_bn(x, channels, kernel, name, stride, dilation, epsilon=EPSILON)
    x = blocks.conv(x, channels, kernel, f"{name}_conv", stride, dilation, bias=True)
    return layers.ReLU(name=f"{name}_relu")(x)


def with_auxiliary_classifiers(model: keras.Model, paper: bool = False, classes: int = 1000) -> keras.Model:
    """Make a model for training that also has the two auxiliary classifiers of the paper's section 5.

    Args:
        model: `backbones.build("googlenet", classifier=True, ...)`. The new model shares its layers, so that training
            it trains `model`.
        paper: Whether `model` is the paper's variant.
        classes: Number of classes.

    Returns:
        A model with the outputs `{"aux1": ..., "aux2": ..., "logits": ...}`, each `[n, classes]`. The paper weights the
        auxiliary losses by 0.3.
    """
    outputs = {"logits": model.output["logits"]}
    for name, module in (("aux1", "inception4a_concat"), ("aux2", "inception4d_concat")):
        x = layers.AdaptiveAveragePooling2D(4, name=f"{name}_pool")(model.get_layer(module).output)
        x = convolution(x, 128, 1, f"{name}_conv", paper)
        x = layers.Flatten(name=f"{name}_flatten")(layers.Permute((3, 1, 2), name=f"{name}_channels_first")(x))
        x = layers.Dense(1024, activation="relu", name=f"{name}_fc1")(x)
        x = layers.Dropout(0.7, name=f"{name}_dropout")(x)
        outputs[name] = layers.Dense(classes, name=f"{name}_fc2")(x)
    return keras.Model(model.input, outputs, name=f"{model.name}_auxiliary")


def torch_name(layer: str, paper: bool = False) -> str:
    """Map a layer to its name in torchvision. No checkpoint of the paper's variant is known."""
    if layer == "logits":
        return "fc"
    return layer.replace("_", ".").replace("branch4.", "branch4.1.")
