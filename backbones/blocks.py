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


def max_pool(x, kernel, stride, dilation, pad, name):
    """Max pooling with `pad` zeros on both sides, of maps that are nowhere negative (torch pads with minus infinity).

    `[n, h, w, c]` to `[n, (h + 2 pad - kernel) / stride + 1, ..., c]`, rounded down. Where an `OutputStride` has taken
    the stride away (`stride` 1) the size stays `[n, h, w, c]`, and `dilation` spreads the kernel.
    """
    before, span = pad * dilation, (kernel - 1) * dilation
    after = span - before if stride == 1 else before
    if before or after:
        x = layers.ZeroPadding2D(((before, after), (before, after)), name=f"{name}_pad")(x)
    if dilation == 1:
        return layers.MaxPooling2D(kernel, stride, name=name)(x)
    for axis in ("rows", "columns"):  # Keras's pooling cannot dilate: the largest of shifted maps, an axis at a time
        shifted = []
        for shift in range(0, span + 1, dilation):
            crop = (shift, span - shift)
            crop = (crop, (0, 0)) if axis == "rows" else ((0, 0), crop)
            shifted.append(layers.Cropping2D(crop, name=f"{name}_{axis}_{shift}")(x))
        x = layers.Maximum(name=name if axis == "columns" else f"{name}_{axis}")(shifted)
    return x


def squeeze_excite(x, reduced, name):
    """Scale each channel of `x` `[n, h, w, c]` by a gate in 0..1 seen from its global mean; the same shape out.

    Global average pool, 1x1 to `reduced` channels, ReLU, 1x1 to c, sigmoid (Hu et al. 2018, section 3.1 and 3.2).
    """
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    gate = layers.Conv2D(reduced, 1, activation="relu", name=f"{name}_reduce")(gate)
    gate = layers.Conv2D(x.shape[-1], 1, activation="sigmoid", name=f"{name}_expand")(gate)
    return layers.Multiply(name=f"{name}_scale")([x, gate])
