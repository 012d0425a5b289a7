"""The pieces that the families share, as the lecture names them. Feature maps are float32 `[n, height, width, c]`."""

import math

import keras
from keras import layers, ops

from retinue.backbones.initializers import glorot, he
from retinue.backbones.normalization import BatchNormalization


class OutputStride:
    """Keeps a net at `output_stride` by dilation: a step that would go beyond is left out and later layers dilate.

    `step(s)` gives `(stride, dilation)` for a layer that wants stride `s`; that layer still has the dilation of the
    ones before it, the layers after it have `dilation`. The weights stay the same, and so does every unit's receptive
    field (Yu and Koltun 2015, section 2; Chen et al. 2017, section 3.1).
    """

    def __init__(self, output_stride=32):
        self.output_stride, self.stride, self.dilation = output_stride, 1, 1

    def step(self, stride=1):
        before = self.dilation
        if self.stride * stride > self.output_stride:
            self.dilation *= stride
            return 1, before
        self.stride *= stride
        return stride, before


def conv(x, filters, kernel, name, stride=1, dilation=1, padding="symmetric", bias=False, groups=1, initializer=None):
    """Convolution `[n, h, w, c]` to `[n, h', w', filters]`.

    kernel: side, or (height, width). padding: "symmetric" adds the same zeros on both sides, (k' - 1) / 2, as torch
    and caffe do; "same" is TensorFlow's, which for a stride of 2 may add one more after; "valid" adds none.
    initializer: of the kernel, He's where None.
    """
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    if padding == "symmetric":
        x, padding = symmetric_padding(x, kernel, stride, dilation, f"{name}_pad")
    return layers.Conv2D(
        filters,
        kernel,
        stride,
        padding,
        dilation_rate=dilation,
        groups=groups,
        use_bias=bias,
        kernel_initializer=initializer or he(),
        name=name,
    )(x)


def symmetric_padding(x, kernel, stride, dilation, name):
    """Zeros for a window on both sides of `x`. Gives the padded map and what is left for the layer to pad."""
    if stride == 1 and all(side % 2 for side in kernel):
        return x, "same"  # with stride 1, TensorFlow's "same" is symmetric and needs no layer of its own
    pads = [dilation * (side - 1) // 2 for side in kernel]
    return (layers.ZeroPadding2D(pads, name=name)(x) if any(pads) else x), "valid"


def batch_norm(x, name, epsilon=1e-5, momentum=0.9, scale=True):
    """Batch normalisation (Ioffe and Szegedy 2015), the same shape out."""
    return BatchNormalization(momentum=momentum, epsilon=epsilon, scale=scale, name=name)(x)


def conv_bn(x, filters, kernel, name, stride=1, dilation=1, padding="symmetric", activation="relu", epsilon=1e-5, **bn):
    """Convolution without bias, batch normalisation, activation or None: `<name>_conv`, `<name>_bn`, `<name>_relu`."""
    x = conv(x, filters, kernel, f"{name}_conv", stride, dilation, padding)
    x = batch_norm(x, f"{name}_bn", epsilon, **bn)
    return layers.Activation(activation, name=f"{name}_{activation}")(x) if activation else x


def pool(x, kind, kernel, stride, name, padding, plan):
    """Max or average pooling (`kind` "max" or "average") with a stride that `plan` (an `OutputStride`) may leave out.

    padding: "symmetric" adds (k' - 1) / 2 zeros on both sides, which count, so that `x` must not be negative under
    "max"; "lowest" the same with values that never win; "ceil" lets the last window reach over the edge (caffe's and
    torch's ceil mode); "same" is TensorFlow's, whose padding never counts (under dilation: zeros, which count in
    averages); "valid" adds nothing; "floor" neither, but keeps the size where the stride was left out.
    """
    step, dilation = plan.step(stride)
    reach = dilation * (kernel - 1)
    zeros = {
        "symmetric": (reach // 2, reach // 2),
        "ceil": (0, reach if step == 1 else stride - 1),
        "floor": (0, reach if step != stride else 0),
        "same": (reach // 2, reach - reach // 2) if dilation > 1 and kind == "average" else (0, 0),
    }.get(padding, (0, 0))
    if any(zeros):
        x = layers.ZeroPadding2D((zeros, zeros), name=f"{name}_pad")(x)
    keras_padding = "same" if padding in ("same", "lowest") else "valid"
    if dilation > 1:
        return DilatedPool(kind, kernel, dilation, "valid" if any(zeros) else keras_padding, name=name)(x)
    if padding == "lowest" and step > 1:  # with stride 1, TensorFlow's "same" is the same on both sides
        x = layers.MaxPooling2D(kernel, 1, "same", name=f"{name}_dense")(x)
        return layers.MaxPooling2D(1, step, name=name)(x)
    layer = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
    return layer(kernel, step, keras_padding, name=name)(x)


def relu6(x, name):
    """min(max(x, 0), 6), the same shape out."""
    return layers.ReLU(max_value=6.0, name=name)(x)


def squeeze_excite(x, reduction, name, bias=True):
    """Scale each channel by what the whole map says about it (Hu et al. 2017, section 3), the same shape out.

    Global average, 1x1 down to c / reduction, ReLU, 1x1 up to c, sigmoid, multiply.
    """
    channels = x.shape[-1]
    weight = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    weight = conv(weight, channels // reduction, 1, f"{name}_down", bias=bias)
    weight = layers.Activation("relu", name=f"{name}_relu")(weight)
    weight = conv(weight, channels, 1, f"{name}_up", bias=bias, initializer=glorot())
    weight = layers.Activation("sigmoid", name=f"{name}_sigmoid")(weight)
    return layers.Multiply(name=f"{name}_scale")([x, weight])


def head(x, classes, dropout=0.0):
    """Global average pooling, dropout, and one linear layer: `[n, h, w, c]` to logits `[n, classes]`."""
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(classes, kernel_initializer=glorot(), name="logits")(x)


@keras.saving.register_keras_serializable(package="retinue")
class DilatedPool(layers.Layer):
    """Max or average over `kernel` x `kernel` units that are `dilation` apart, stride 1.

    `[n, h, w, c]` to `[n, h - dilation (kernel - 1), w - dilation (kernel - 1), c]` with padding "valid"; with "same",
    for max only, to the same size, and what is padded never wins.
    """

    strides = (1, 1)

    def __init__(self, kind, kernel, dilation, padding="valid", **arguments):
        super().__init__(**arguments)
        self.kind, self.kernel_size, self.dilation_rate, self.padding = kind, (kernel,) * 2, (dilation,) * 2, padding

    def call(self, x):
        kernel, dilation = self.kernel_size[0], self.dilation_rate[0]
        reach = dilation * (kernel - 1)
        if self.padding == "same":
            around = (reach // 2, reach - reach // 2)
            x = ops.pad(x, ((0, 0), around, around, (0, 0)), constant_values=float("-inf"))
        for axis in (1, 2):
            kept = ops.shape(x)[axis] - reach
            shifted = []
            for k in range(kernel):
                index = [slice(None)] * 4
                index[axis] = slice(k * dilation, k * dilation + kept)
                shifted.append(x[tuple(index)])
            x = shifted[0]
            for other in shifted[1:]:
                x = ops.maximum(x, other) if self.kind == "max" else x + other
            x = x if self.kind == "max" else x / kernel
        return x

    def compute_output_shape(self, shape):
        reach = self.dilation_rate[0] * (self.kernel_size[0] - 1) if self.padding == "valid" else 0
        return (shape[0], *(side and side - reach for side in shape[1:3]), shape[3])

    def get_config(self):
        own = {"kind": self.kind, "kernel": self.kernel_size[0], "dilation": self.dilation_rate[0]}
        return {**super().get_config(), **own, "padding": self.padding}


@keras.saving.register_keras_serializable(package="retinue")
class LocallyConnected2D(layers.Layer):
    """A convolution without weight sharing: every output position has its own kernel and bias (lecture, "Locality").

    `[n, h, w, c]`, with h and w fixed, to `[n, (h - k) // stride + 1, (w - k) // stride + 1, filters]`, no padding.
    """

    padding = "valid"

    def __init__(self, filters, kernel_size, strides=1, **arguments):
        super().__init__(**arguments)
        self.filters, self.kernel_size, self.strides = filters, (kernel_size,) * 2, (strides,) * 2

    def build(self, input_shape):
        _, height, width, _ = self.compute_output_shape(input_shape)
        fan_in = math.prod(self.kernel_size) * input_shape[-1]
        initializer = keras.initializers.RandomNormal(stddev=math.sqrt(2 / fan_in))  # He's, for one position's fan-in
        self.kernel = self.add_weight(
            shape=(height, width, fan_in, self.filters), initializer=initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(height, width, self.filters), initializer="zeros", name="bias")

    def call(self, x):
        patches = ops.image.extract_patches(x, self.kernel_size, self.strides, padding="valid")
        return ops.einsum("nhwi,hwio->nhwo", patches, self.kernel) + self.bias

    def compute_output_shape(self, shape):
        sides = [(side - k) // s + 1 for side, k, s in zip(shape[1:3], self.kernel_size, self.strides, strict=True)]
        return (shape[0], *sides, self.filters)

    def get_config(self):
        own = {"filters": self.filters, "kernel_size": self.kernel_size[0], "strides": self.strides[0]}
        return {**super().get_config(), **own}
