"""Heads for a dilated backbone (output stride 8): torchvision's FCN head, and DeepLabV3 with ASPP.

ASPP (atrous spatial pyramid pooling): Chen et al. 2017, arXiv 1706.05587, section 3.3.
"""

import keras
from keras import layers

from retinue.backbones import blocks
from retinue.backbones.dropout import Dropout
from retinue.tasks.segmentation.upsampling import BroadcastLike

ATROUS_RATES = (12, 24, 36)  # at output stride 8
ASPP_CHANNELS = 256


def fcn_resnet_head(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Build torchvision's FCN head: a 3x3 layer with a quarter of the channels, dropout, and class scores.

    Args:
        x: feature map [n, h, w, c].
        num_classes: number of classes.

    Returns:
        Scores [n, h, w, num_classes].
    """
    x = blocks.conv_bn(x, x.shape[-1] // 4, 3, "score")
    x = Dropout(0.1, name="score_dropout")(x)
    return layers.Conv2D(num_classes, 1, name="scores")(x)


def deeplabv3_head(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Build the DeepLabV3 head: five branches on the same map, from local to global.

    The branches are a 1x1 layer, 3x3 layers of dilation 12, 24 and 36, and the mean over the whole map. A 1x1 and a 3x3
    layer join them.

    Args:
        x: feature map [n, h, w, c].
        num_classes: number of classes.

    Returns:
        Scores [n, h, w, num_classes].
    """
    branches = [blocks.conv_bn(x, ASPP_CHANNELS, 1, "aspp_0")]
    branches += [
        blocks.conv_bn(x, ASPP_CHANNELS, 3, f"aspp_{i}", dilation=rate) for i, rate in enumerate(ATROUS_RATES, 1)
    ]
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="aspp_mean")(x)
    branches.append(BroadcastLike(name="aspp_broadcast")(blocks.conv_bn(mean, ASPP_CHANNELS, 1, "aspp_4"), x))
    x = layers.Concatenate(name="aspp_concat")(branches)
    x = blocks.conv_bn(x, ASPP_CHANNELS, 1, "aspp_project")
    x = Dropout(0.5, name="aspp_dropout")(x)
    x = blocks.conv_bn(x, ASPP_CHANNELS, 3, "score")
    return layers.Conv2D(num_classes, 1, name="scores")(x)
