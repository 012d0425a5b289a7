"""The pieces that the families share."""

import keras
from keras import layers


class OutputStride:
    """Keeps a net at `output_stride` by dilation: a step that would go beyond is left out and later layers dilate.

    `step(s)` gives `(stride, dilation)` for a layer that wants stride `s`; that layer still has the dilation of the
    ones before it, the layers after it have `dilation`. The weights stay the same, and so does every unit's receptive
    field (Yu and Koltun 2015, section 2; Chen et al. 2017, section 3.1).
    """

    def __init__(self, output_stride=32):
        self.output_stride, self.stride, self.dilation = output_stride, 1, 1

    def step(self, stride):
        before = self.dilation
        if self.stride * stride > self.output_stride:
            self.dilation *= stride
            return 1, before
        self.stride *= stride
        return stride, before


def pad_symmetric(x, kernel, dilation, name):
    """Pad height and width of `x` `[n, h, w, c]` with the same zeros on both sides, as torch and caffe do."""
    pad = dilation * (kernel - 1) // 2
    return layers.ZeroPadding2D(pad, name=name)(x) if pad else x


def batch_norm(x, name, epsilon=1e-5, momentum=0.9):
    """Batch normalisation (Ioffe and Szegedy 2015) over `[n, h, w, c]`; the same shape out."""
    return layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)(x)


def relu6(x, name):
    """min(max(x, 0), 6), the same shape out."""
    return keras.layers.ReLU(max_value=6.0, name=name)(x)
