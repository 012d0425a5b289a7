"""LeNet-5 (LeCun et al. 1998, section II.B) as in the lecture: 5x5 "valid" convolutions, sigmoid, 2x2 average pooling.

Two parts of 1998 are left out, as is usual: the second convolution sees all maps (the paper connects a table of pairs),
and pooling has no weights.
"""

from keras import layers

from retinue.backbones.initialisers import glorot

FIELD = 32  # pixels a side that one unit of the last layer sees


def build(x, output_stride, classifier, classes=10):
    """Add LeNet-5 to `x` `[n, h, w, c]`, preprocessed.

    Gives `[n, (h - 28) / 4, (w - 28) / 4, 120]`, rounded down: the paper's third convolution, one position for 32x32
    pixels. With `classifier`: logits `[n, classes]` after its layer of 84; larger pictures are averaged over positions.
    28x28 pictures (MNIST) are padded to 32x32 with black, as in the paper, and so are all of a known size below 32.
    There is no stride to give up: `output_stride` changes nothing.
    """
    pads = [max(0, FIELD - side) if side else 0 for side in x.shape[1:3]]
    if any(pads):
        x = layers.ZeroPadding2D([(pad // 2, pad - pad // 2) for pad in pads], name="pad")(x)
    x = convolution(x, 6, "conv1")
    x = layers.AveragePooling2D(2, name="pool1")(x)
    x = convolution(x, 16, "conv2")
    x = layers.AveragePooling2D(2, name="pool2")(x)
    x = convolution(x, 120, "conv3")
    if classifier:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(84, "sigmoid", kernel_initializer=glorot(), name="fc")(x)
        x = layers.Dense(classes, kernel_initializer=glorot(), name="logits")(x)
    return x


def convolution(x, filters, name):
    """5x5 "valid" convolution and sigmoid: `[n, h, w, c]` to `[n, h - 4, w - 4, filters]`."""
    return layers.Conv2D(filters, 5, activation="sigmoid", kernel_initializer=glorot(), name=name)(x)


def torch_name(layer, **_):
    """No weights are published; a torch checkpoint is read when its layers have our names."""
    return layer
