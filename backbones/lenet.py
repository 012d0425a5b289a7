"""LeNet-5 (LeCun et al. 1998, section II.B) as in the lecture: 5x5 convolutions without padding, sigmoid, average pool.

Three parts of 1998 are left out, as is usual: the second convolution sees all maps, pooling has no weights, and a
linear layer with softmax stands for the radial basis functions.
"""

from keras import layers

from retinue.backbones import blocks
from retinue.backbones.initializers import glorot

FIELD = 32  # pixels a side that one unit of the last map sees


def build(x, output_stride, classifier, classes=10):
    """Add LeNet-5 to `x` `[n, h, w, c]`, preprocessed. There is no stride to give up: `output_stride` changes nothing.

    Gives `[n, (h - 28) / 4, (w - 28) / 4, 84]`, rounded down, or logits `[n, classes]` with `classifier`. The layers of
    120 and 84 units are convolutions, as the former is in the paper: 32x32 pixels give a map of 1x1, a larger map is
    averaged. Pictures of a known size below 32, such as MNIST's 28x28, are padded with black.
    """
    pads = [max(0, FIELD - side) if side else 0 for side in x.shape[1:3]]
    if any(pads):
        x = layers.ZeroPadding2D([(pad // 2, pad - pad // 2) for pad in pads], name="pad")(x)
    x = layers.AveragePooling2D(2, name="pool1")(convolution(x, 6, 5, "conv1"))
    x = layers.AveragePooling2D(2, name="pool2")(convolution(x, 16, 5, "conv2"))
    x = convolution(x, 120, 5, "conv3")
    x = convolution(x, 84, 1, "fc")
    return blocks.head(x, classes) if classifier else x


def convolution(x, filters, kernel, name):
    """Convolution without padding and sigmoid: `[n, h, w, c]` to `[n, h - kernel + 1, w - kernel + 1, filters]`."""
    x = blocks.conv(x, filters, kernel, name, padding="valid", bias=True, initializer=glorot())
    return layers.Activation("sigmoid", name=f"{name}_sigmoid")(x)


def torch_name(layer, **_):
    """Nobody publishes weights; a checkpoint whose layers have our names is read."""
    return layer
