"""Building blocks that the backbone families share, named as in the lecture.

Feature maps are float32 `[n, height, width, c]`.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from retinue.backbones.initializers import glorot, he
from retinue.backbones.normalization import BatchNormalization

Shape = tuple[int | None, ...]


class OutputStride:
    """Limits the stride of a network by dilation: a stride beyond the limit is dropped, and later layers dilate.

    The weights stay the same, and so does the receptive field of every unit (Yu and Koltun 2015, section 2; Chen et al.
    2017, section 3.1).

    Attributes:
        output_stride: The largest stride.
        stride: The stride reached so far.
        dilation: The dilation of the following layers.
    """

    def __init__(self, output_stride: int = 32) -> None:
        """Set the largest stride."""
        self.output_stride, self.stride, self.dilation = output_stride, 1, 1

    def step(self, stride: int = 1) -> tuple[int, int]:
        """Plan a layer that has this stride in the undilated network.

        Returns:
            (stride, dilation) of the layer. The layer still has the dilation of the layers before it.
        """
        dilation = self.dilation
        if self.stride * stride > self.output_stride:
            self.dilation *= stride
            return 1, dilation
        self.stride *= stride
        return stride, dilation


def conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: int | tuple[int, int],
    name: str,
    stride: int = 1,
    dilation: int = 1,
    padding: str = "symmetric",
    bias: bool = False,
    groups: int = 1,
    initializer: keras.initializers.Initializer | None = None,
) -> keras.KerasTensor:
    """Convolution.

    Args:
        x: `[n, h, w, c]`.
        filters: Number of output channels.
        kernel: Side, or (height, width).
        name: Name of the layer.
        stride: Stride.
        dilation: Dilation.
        padding: "symmetric" adds the same zeros on both sides, (k' - 1) / 2, as torch and Caffe do; "same" is
            TensorFlow's, which may add one more after the map if the stride is 2; "valid" adds none.
        bias: Whether the convolution has a bias.
        groups: Number of groups.
        initializer: Initializer of the kernel; He's by default.

    Returns:
        `[n, h', w', filters]`.
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


def symmetric_padding(
    x: keras.KerasTensor, kernel: Sequence[int], stride: int, dilation: int, name: str
) -> tuple[keras.KerasTensor, str]:
    """Pad `x` with the same zeros on both sides of a window.

    Returns:
        (the padded map, the padding that the layer itself must have: "same" or "valid").
    """
    if stride == 1 and all(side % 2 for side in kernel):
        return x, "same"  # with stride 1, TensorFlow's "same" is symmetric and needs no layer of its own
    pads = [dilation * (side - 1) // 2 for side in kernel]
    return (layers.ZeroPadding2D(pads, name=name)(x) if any(pads) else x), "valid"


def batch_norm(
    x: keras.KerasTensor, name: str, epsilon: float = 1e-5, momentum: float = 0.9, scale: bool = True
) -> keras.KerasTensor:
    """Batch normalization (Ioffe and Szegedy 2015); the output has the shape of the input."""
    return BatchNormalization(momentum=momentum, epsilon=epsilon, scale=scale, name=name)(x)


def conv_bn(
    x: keras.KerasTensor,
    filters: int,
    kernel: int | tuple[int, int],
    name: str,
    stride: int = 1,
    dilation: int = 1,
    padding: str = "symmetric",
    activation: str | None = "relu",
    epsilon: float = 1e-5,
    **bn_arguments: Any,
) -> keras.KerasTensor:
    """Convolution without bias, batch normalization, and an activation or none.

    The layers are called `<name>_conv`, `<name>_bn` and `<name>_<activation>`. See `conv` and `batch_norm`.
    """
    x = conv(x, filters, kernel, f"{name}_conv", stride, dilation, padding)
    x = batch_norm(x, f"{name}_bn", epsilon, **bn_arguments)
    return layers.Activation(activation, name=f"{name}_{activation}")(x) if activation else x


def pool(
    x: keras.KerasTensor, kind: str, kernel: int, stride: int, name: str, padding: str, plan: OutputStride
) -> keras.KerasTensor:
    """Max or average pooling with a stride that may be replaced by dilation.

    Args:
        x: `[n, h, w, c]`.
        kind: "max" or "average".
        kernel: Side of the window.
        stride: Stride in the undilated network.
        name: Name of the layer.
        padding: "symmetric" adds (k' - 1) / 2 zeros on both sides, which count, so that `x` must not be negative under
            "max"; "lowest" does the same with values that never win; "ceil" lets the last window extend over the edge
            (the ceil mode of Caffe and torch); "same" is TensorFlow's, whose padding never counts (under dilation it is
            zeros, which count in averages); "valid" adds nothing; "floor" adds nothing either, but keeps the size where
            the stride was dropped.
        plan: The output stride of the network, which may drop this stride.

    Returns:
        `[n, h', w', c]`.
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
    if padding == "lowest" and step > 1:  # with stride 1, TensorFlow's "same" is symmetric
        x = layers.MaxPooling2D(kernel, 1, "same", name=f"{name}_dense")(x)
        return layers.MaxPooling2D(1, step, name=name)(x)
    layer = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
    return layer(kernel, step, keras_padding, name=name)(x)


def relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """min(max(x, 0), 6); the output has the shape of the input."""
    return layers.ReLU(max_value=6.0, name=name)(x)


def squeeze_excite(x: keras.KerasTensor, reduction: int, name: str, bias: bool = True) -> keras.KerasTensor:
    """Squeeze-and-excitation (Hu et al. 2017, section 3): scale each channel by a weight computed from the whole map.

    Global average pooling, 1x1 convolution to c / reduction channels, ReLU, 1x1 convolution to c channels, sigmoid,
    multiplication. The output has the shape of the input.
    """
    channels = x.shape[-1]
    weight = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    weight = conv(weight, channels // reduction, 1, f"{name}_down", bias=bias)
    weight = layers.Activation("relu", name=f"{name}_relu")(weight)
    weight = conv(weight, channels, 1, f"{name}_up", bias=bias, initializer=glorot())
    weight = layers.Activation("sigmoid", name=f"{name}_sigmoid")(weight)
    return layers.Multiply(name=f"{name}_scale")([x, weight])


def classifier_head(x: keras.KerasTensor, classes: int, dropout: float = 0.0) -> keras.KerasTensor:
    """Global average pooling, dropout, and one linear layer: `[n, h, w, c]` to logits `[n, classes]`."""
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(classes, kernel_initializer=glorot(), name="logits")(x)


@keras.saving.register_keras_serializable(package="retinue")
class DilatedPool(layers.Layer):
    """Max or average pooling over `kernel` x `kernel` units that are `dilation` apart, with stride 1.

    With padding "valid", `[n, h, w, c]` becomes `[n, h - dilation (kernel - 1), w - dilation (kernel - 1), c]`. With
    padding "same", for "max" only, the size stays, and padded values never win.

    Attributes:
        strides: (1, 1), as Keras's pooling layers have it.
        kernel_size: (kernel, kernel).
        dilation_rate: (dilation, dilation).
    """

    strides = (1, 1)

    def __init__(self, kind: str, kernel: int, dilation: int, padding: str = "valid", **arguments: Any) -> None:
        """Set the window.

        Args:
            kind: "max" or "average".
            kernel: Side of the window in units.
            dilation: Distance between the units.
            padding: "valid" or "same".
            **arguments: Arguments of `keras.layers.Layer`.
        """
        super().__init__(**arguments)
        self.kind, self.kernel_size, self.dilation_rate, self.padding = kind, (kernel,) * 2, (dilation,) * 2, padding

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Pool along both axes, one after the other."""
        kernel, dilation = self.kernel_size[0], self.dilation_rate[0]
        reach = dilation * (kernel - 1)
        if self.padding == "same":
            pads = (reach // 2, reach - reach // 2)
            x = ops.pad(x, ((0, 0), pads, pads, (0, 0)), constant_values=float("-inf"))
        for axis in (1, 2):
            length = ops.shape(x)[axis] - reach
            shifted = []
            for k in range(kernel):
                index = [slice(None)] * 4
                index[axis] = slice(k * dilation, k * dilation + length)
                shifted.append(x[tuple(index)])
            x = shifted[0]
            for other in shifted[1:]:
                x = ops.maximum(x, other) if self.kind == "max" else x + other
            x = x if self.kind == "max" else x / kernel
        return x

    def compute_output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output; Keras calls this."""
        reach = self.dilation_rate[0] * (self.kernel_size[0] - 1) if self.padding == "valid" else 0
        return (shape[0], *(side and side - reach for side in shape[1:3]), shape[3])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor; Keras calls this."""
        own = {"kind": self.kind, "kernel": self.kernel_size[0], "dilation": self.dilation_rate[0]}
        return {**super().get_config(), **own, "padding": self.padding}


@keras.saving.register_keras_serializable(package="retinue")
class LocallyConnected2D(layers.Layer):
    """A convolution without weight sharing: every position has its own kernel and bias (the lecture, "Locality").

    `[n, h, w, c]`, with h and w fixed, becomes `[n, (h - k) // stride + 1, (w - k) // stride + 1, filters]`, without
    padding.

    Attributes:
        padding: "valid", as Keras's convolutions have it.
        kernel: Variable `[h', w', k k c, filters]`.
        bias: Variable `[h', w', filters]`.
    """

    padding = "valid"

    def __init__(self, filters: int, kernel_size: int, strides: int = 1, **arguments: Any) -> None:
        """Set the window.

        Args:
            filters: Number of output channels.
            kernel_size: Side of the window.
            strides: Stride.
            **arguments: Arguments of `keras.layers.Layer`.
        """
        super().__init__(**arguments)
        self.filters, self.kernel_size, self.strides = filters, (kernel_size,) * 2, (strides,) * 2

    def build(self, input_shape: Any) -> None:
        """Create the variables; Keras calls this."""
        _, height, width, _ = self.compute_output_shape(input_shape)
        fan_in = math.prod(self.kernel_size) * input_shape[-1]
        # He's initializer with the fan-in of one position
        initializer = keras.initializers.RandomNormal(stddev=math.sqrt(2 / fan_in))
        self.kernel = self.add_weight(
            shape=(height, width, fan_in, self.filters), initializer=initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(height, width, self.filters), initializer="zeros", name="bias")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Multiply the window at each position by the kernel of the position."""
        patches = ops.image.extract_patches(x, self.kernel_size, self.strides, padding="valid")
        return ops.einsum("nhwi,hwio->nhwo", patches, self.kernel) + self.bias

    def compute_output_shape(self, shape: Any) -> Any:
        """Return the shape of the output; Keras calls this."""
        sides = [(side - k) // s + 1 for side, k, s in zip(shape[1:3], self.kernel_size, self.strides, strict=True)]
        return (shape[0], *sides, self.filters)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor; Keras calls this."""
        own = {"filters": self.filters, "kernel_size": self.kernel_size[0], "strides": self.strides[0]}
        return {**super().get_config(), **own}
