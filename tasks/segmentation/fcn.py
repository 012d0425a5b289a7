"""Fully convolutional nets: FCN-32s, -16s and -8s (Shelhamer, Long and Darrell 2016, arXiv 1605.06211, section 4).

The coarsest map is scored class by class; the scores are made twice as fine and the scores of a finer map are added,
once (16s) or twice (8s); what is left is plain bilinear interpolation. Scores start at zero, so that a net with skips
begins as the one without.
"""

from keras import layers

from retinue.tasks.segmentation.upsampling import ResizeLike, Upsample

FINEST = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8}
# At once: how much of each skip is let through at first, so that three streams of very different size can be learnt
# together (the paper's section 4.3 and its net voc-fcn8s-atonce; those numbers are for VGG-16).
AT_ONCE = {16: 0.01, 8: 0.0001}


def fcn_head(maps, classes, finest, at_once=False, aligned=True):
    """Scores of every pixel of a picture whose sides 32 divides.

    maps: {stride: map `[n, h/stride, w/stride, c]`}, strides 32 and, down to `finest`, 16 and 8. finest: 32, 16 or 8.
    at_once: with the skips scaled down (`AT_ONCE`), for learning all from the start instead of in stages.
    aligned: whether the maps' sides are exactly the picture's divided by their strides; others are resized to meet.
    Returns logits `[n, h, w, classes]`. Layers: score_32, score_16, score_8; upsample_16, upsample_8 (learned, from
    bilinear), upsample_1 (bilinear for good).
    """
    scores = score(maps[32], classes, "score_32")
    stride = 32
    while stride > finest:
        stride //= 2
        scores = Upsample(2, learned=True, name=f"upsample_{stride}")(scores)
        skip = maps[stride]
        if at_once:
            skip = layers.Rescaling(AT_ONCE[stride], name=f"scale_{stride}")(skip)
        skip = score(skip, classes, f"score_{stride}")
        if not aligned:
            scores = ResizeLike(name=f"resize_{stride}")(scores, skip)
        scores = layers.Add(name=f"add_{stride}")([scores, skip])
    return Upsample(stride, name="upsample_1")(scores)


def score(x, classes, name):
    """A 1x1 convolution to class scores that starts at zero: `[n, h, w, c]` to `[n, h, w, classes]`."""
    return layers.Conv2D(classes, 1, kernel_initializer="zeros", name=name)(x)
