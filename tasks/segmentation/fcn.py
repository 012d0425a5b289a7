"""The heads of fully convolutional networks: FCN-32s, -16s and -8s.

Shelhamer, Long and Darrell 2016, arXiv 1605.06211, section 4. The coarsest map gives class scores. They are upsampled
by two and the scores of a finer map are added, once (16s) or twice (8s); the rest is plain bilinear interpolation.
Scores are initialized to zero, so that a model with skips starts as the one without.
"""

from collections.abc import Mapping

import keras
from keras import layers

from retinue.tasks.segmentation.upsampling import ResizeLike, Upsample

FINEST_STRIDE = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8}
# All-at-once training: the factor of each skip connection, so that three streams of very different magnitude can be
# trained together (section 4.3 of the paper and its model voc-fcn8s-atonce; those numbers are for VGG-16).
SKIP_SCALES = {16: 0.01, 8: 0.0001}


def fcn_head(
    maps: Mapping[int, keras.KerasTensor],
    num_classes: int,
    finest_stride: int,
    at_once: bool = False,
    aligned: bool = True,
) -> keras.KerasTensor:
    """Build the scores of every pixel of an image whose sides are multiples of 32.

    Layers: score_32, score_16, score_8; upsample_16, upsample_8 (trainable, initially bilinear), upsample_1 (bilinear
    and fixed).

    Args:
        maps: feature maps [n, h / stride, w / stride, c] by stride: 32 and, down to `finest_stride`, 16 and 8.
        num_classes: number of classes.
        finest_stride: 32, 16 or 8.
        at_once: scale the skips down (`SKIP_SCALES`), to train all of them from the start and not in stages.
        aligned: whether the sides of the maps are exactly those of the image divided by their strides; otherwise they
            are resized to match.

    Returns:
        Logits [n, h, w, num_classes].
    """
    scores = score_layer(maps[32], num_classes, "score_32")
    stride = 32
    while stride > finest_stride:
        stride //= 2
        scores = Upsample(2, learnable=True, name=f"upsample_{stride}")(scores)
        skip = maps[stride]
        if at_once:
            skip = layers.Rescaling(SKIP_SCALES[stride], name=f"scale_{stride}")(skip)
        skip = score_layer(skip, num_classes, f"score_{stride}")
        if not aligned:
            scores = ResizeLike(name=f"resize_{stride}")(scores, skip)
        scores = layers.Add(name=f"add_{stride}")([scores, skip])
    return Upsample(stride, name="upsample_1")(scores)


def score_layer(x: keras.KerasTensor, num_classes: int, name: str) -> keras.KerasTensor:
    """Apply a 1x1 convolution to class scores that is initialized to zero: [n, h, w, c] -> [n, h, w, num_classes]."""
    return layers.Conv2D(num_classes, 1, kernel_initializer="zeros", name=name)(x)
