"""Heads for a dilated net (output stride 8): torchvision's FCN head, and ASPP of DeepLabV3 (Chen et al. 2017,
arXiv 1706.05587, section 3.3).
"""

from keras import layers

from retinue.backbones import blocks
from retinue.backbones.dropout import Dropout
from retinue.tasks.segmentation.upsampling import SpreadLike

RATES = (12, 24, 36)  # at output stride 8
WIDTH = 256


def plain_head(x, classes):
    """A 3x3 layer of a quarter of the channels, dropout, and class scores: `[n, h, w, c]` to `[n, h, w, classes]`."""
    x = blocks.conv_bn(x, x.shape[-1] // 4, 3, "score")
    x = Dropout(0.1, name="score_dropout")(x)
    return layers.Conv2D(classes, 1, name="scores")(x)


def aspp_head(x, classes):
    """Five looks at the map, near to global, side by side: `[n, h, w, c]` to scores `[n, h, w, classes]`.

    A 1x1 layer, 3x3 layers of dilation 12, 24 and 36, and the mean over the whole map; joined by a 1x1 and a 3x3 layer.
    """
    looks = [blocks.conv_bn(x, WIDTH, 1, "aspp_0")]
    looks += [blocks.conv_bn(x, WIDTH, 3, f"aspp_{i}", dilation=rate) for i, rate in enumerate(RATES, 1)]
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="aspp_mean")(x)
    looks.append(SpreadLike(name="aspp_spread")(blocks.conv_bn(mean, WIDTH, 1, "aspp_4"), x))
    x = layers.Concatenate(name="aspp_all")(looks)
    x = blocks.conv_bn(x, WIDTH, 1, "aspp_project")
    x = Dropout(0.5, name="aspp_dropout")(x)
    x = blocks.conv_bn(x, WIDTH, 3, "score")
    return layers.Conv2D(classes, 1, name="scores")(x)
