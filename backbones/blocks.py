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


def conv_bn_relu(x, channels, kernel, name, stride=1, dilation=1, padding="symmetric", epsilon=1e-5, bias=False):
    """Convolution, batch normalisation, ReLU: `[n, h, w, c]` to `[n, ~h/stride, ~w/stride, channels]`.

    kernel: an odd number, or (height, width) where `stride` is 1. padding: "symmetric" keeps the size with the same
    zeros on both sides, "valid" adds none. The layers are `<name>_conv`, `<name>_bn` and `<name>_relu`.
    """
    if padding == "symmetric" and stride > 1:
        x, padding = pad_symmetric(x, kernel, dilation, f"{name}_pad"), "valid"
    padding = "same" if padding == "symmetric" else padding
    x = layers.Conv2D(channels, kernel, stride, padding, dilation_rate=dilation, use_bias=bias, name=f"{name}_conv")(x)
    return layers.ReLU(name=f"{name}_relu")(batch_norm(x, f"{name}_bn", epsilon))


def inception_branch(x, steps, name, stride=1, dilation=1, padding="symmetric", epsilon=1e-3):
    """A branch of an inception module: convolutions one after the other, each with batch normalisation and ReLU.

    `[n, h, w, c]` to `[n, ~h/stride, ~w/stride, channels of the last step]`. steps: pairs (channels, kernel); `stride`
    and `padding` are the last one's (Szegedy et al. 2015, arXiv 1512.00567, figures 5 to 7). The steps are named
    `<name>_0`, `<name>_1`, ..., and a single step `<name>`.
    """
    for number, (channels, kernel) in enumerate(steps):
        last = number == len(steps) - 1
        step = name if len(steps) == 1 else f"{name}_{number}"
        ending = {"stride": stride, "padding": padding} if last else {}
        x = conv_bn_relu(x, channels, kernel, step, dilation=dilation, epsilon=epsilon, **ending)
    return x


def separable_conv(x, channels, kernel, name, dilation=1):
    """Separable convolution as in Keras, Xception's nets and every checkpoint: 3x3 a channel first, then 1x1.

    `[n, h, w, c]` to `[n, h, w, channels]`; kernel*kernel*c + c*channels weights (Chollet 2016, section 1.2).
    """
    x = layers.DepthwiseConv2D(
        kernel, padding="same", dilation_rate=dilation, use_bias=False, name=f"{name}_depthwise"
    )(x)
    return layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")(x)


def pointwise_first_separable_conv(x, channels, kernel, name, dilation=1):
    """Separable convolution as the lecture draws it: 1x1 first, then 3x3 a channel ("extreme" inception module).

    `[n, h, w, c]` to `[n, h, w, channels]`; 1*1*c*channels + kernel*kernel*channels weights, in place of
    kernel*kernel*c*channels (Chollet 2016, figure 4). No checkpoint has this order; see `separable_conv`.
    """
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")(x)
    return layers.DepthwiseConv2D(
        kernel, padding="same", dilation_rate=dilation, use_bias=False, name=f"{name}_depthwise"
    )(x)


def pool(x, kind, kernel, name, stride=1, dilation=1, padding="valid"):
    """ "max" or "average" pooling of `[n, h, w, c]` to `[n, ~h/stride, ~w/stride, c]`, dilated where `dilation` says so.

    padding: "valid", or "same", which only keeps the size when `stride` is 1; what is padded is never counted.
    """
    if dilation > 1:
        return DilatedPooling2D(kind, kernel, dilation, padding, name=name)(x)
    layer = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
    return layer(kernel, stride, padding, name=name)(x)


def ceil_max_pool(x, kernel, stride, dilation, name):
    """Max pooling that rounds sizes up, as caffe does: `[n, h, w, c]` to `[n, ceil((h - kernel)/stride) + 1, ..., c]`.

    With stride 1 the size stays. Only for maps that are never negative, as the room at the bottom and right is zeros.
    """
    room = stride - 1 if stride > 1 else dilation * (kernel - 1)
    x = layers.ZeroPadding2D(((0, room), (0, room)), name=f"{name}_pad")(x)
    return pool(x, "max", kernel, name, stride, dilation)


@keras.saving.register_keras_serializable(package="retinue")
class DilatedPooling2D(layers.Layer):
    """Pooling with holes, stride 1: what pooling layers need behind a stride that dilation has replaced.

    `[n, h, w, c]` to the same shape with padding "same", to `[n, h - d * (pool_size - 1), w - d * (pool_size - 1), c]`
    with "valid". kind: "max" or "average"; averages count no padding.
    """

    strides = (1, 1)

    def __init__(self, kind, pool_size, dilation_rate, padding="valid", **arguments):
        super().__init__(**arguments)
        self.kind, self.pool_size, self.dilation_rate, self.padding = kind, pool_size, dilation_rate, padding

    def call(self, x):
        if self.kind == "max":
            return self._over_window(x, keras.ops.maximum, float("-inf"))
        total = self._over_window(x, keras.ops.add, 0.0)
        count = self._over_window(keras.ops.ones_like(x[:1, :, :, :1]), keras.ops.add, 0.0)
        return total / count

    def _over_window(self, x, combine, outside):
        reach = self.dilation_rate * (self.pool_size - 1)
        if self.padding == "same":
            before = self.dilation_rate * ((self.pool_size - 1) // 2)
            sides = (before, reach - before)
            x = keras.ops.pad(x, ((0, 0), sides, sides, (0, 0)), constant_values=outside)
        for axis in (1, 2):
            length = keras.ops.shape(x)[axis] - reach
            shifted = []
            for start in range(0, reach + 1, self.dilation_rate):
                along = slice(start, start + length)
                shifted.append(x[:, along] if axis == 1 else x[:, :, along])
            x = shifted[0]
            for each in shifted[1:]:
                x = combine(x, each)
        return x

    def compute_output_shape(self, input_shape):
        if self.padding == "same":
            return input_shape
        reach = self.dilation_rate * (self.pool_size - 1)
        n, height, width, channels = input_shape
        return n, height and height - reach, width and width - reach, channels

    def get_config(self):
        arguments = {"kind": self.kind, "pool_size": self.pool_size, "padding": self.padding}
        return {**super().get_config(), **arguments, "dilation_rate": self.dilation_rate}
