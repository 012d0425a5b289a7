"""The mechanics of a ConvNet: sizes, padding, dilation, receptive fields, parameters and multiply-adds, layer by layer.

The formulas are those of the lecture ("Conv Layer Variants"). `layer_table` applies them to any functional Keras model
whose input size is fixed.
"""

import csv
import dataclasses
import io
import math

import keras

from retinue.backbones.blocks import DilatedPool, LocallyConnected2D
from retinue.configs.errors import UsageError

WINDOWS = (
    DilatedPool,
    LocallyConnected2D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)
GLOBAL = (
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.Flatten,
    keras.layers.Dense,
)


def dilated_kernel(kernel, dilation):
    """k' = k + (k - 1)(r - 1): pixels a side that a kernel of `kernel` reaches over with its elements r apart."""
    return kernel + (kernel - 1) * (dilation - 1)


def output_size(size, kernel, stride=1, padding=0, dilation=1):
    """M = floor((N + 2p - k') / s) + 1 of a convolution or pooling with the same `padding` on both sides."""
    return (size + 2 * padding - dilated_kernel(kernel, dilation)) // stride + 1


def transposed_output_size(size, kernel, stride=1, padding=0):
    """N = s(M - 1) + k - 2p of a transposed convolution."""
    return stride * (size - 1) + kernel - 2 * padding


def same_padding(size, kernel, stride=1, dilation=1):
    """TensorFlow's "same" padding `(before, after)`: the least for ceil(N / s) outputs, an odd pixel after."""
    total = max((math.ceil(size / stride) - 1) * stride + dilated_kernel(kernel, dilation) - size, 0)
    return total // 2, total - total // 2


@dataclasses.dataclass(frozen=True)
class Field:
    """What one unit of a tensor sees along one axis, in pixels of the input.

    stride: pixels between neighbouring units. first, last: the pixels that unit 0 sees, both inclusive; below zero is
    padding. narrowest, finest: the smallest receptive field and the smallest stride among the branches that meet here.
    """

    stride: float = 1
    first: float = 0
    last: float = 0
    narrowest: float = 1
    finest: float = 1

    @property
    def size(self):
        return self.last - self.first + 1

    def window(self, kernel, stride, dilation, before):
        """After a window of `kernel` at `stride` with `before` padded units: r' = r + (k' - 1) j, j' = j s."""
        reach = (dilated_kernel(kernel, dilation) - 1) * self.stride
        first = self.first - before * self.stride
        last = self.last + reach - before * self.stride
        return Field(self.stride * stride, first, last, self.narrowest + reach, self.finest * stride)

    def enlarged(self, factor):
        """After an upsampling by `factor`."""
        return dataclasses.replace(self, stride=self.stride / factor, finest=self.finest / factor)

    def shifted(self, units):
        """After `units` are put before (padding) or, below zero, cut off."""
        return dataclasses.replace(self, first=self.first - units * self.stride, last=self.last - units * self.stride)


def joined(fields):
    """Where branches meet: everything that any of them sees, the coarsest stride, and the smallest of both."""
    return Field(
        max(field.stride for field in fields),
        min(field.first for field in fields),
        max(field.last for field in fields),
        min(field.narrowest for field in fields),
        min(field.finest for field in fields),
    )


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One line of `layer_table`.

    output: shape without the batch. kernel, stride, dilation: along the height, or None. padding: rows of zeros (above,
    below), or None. effective_stride: input pixels between neighbouring outputs; min_effective_stride: the same in the
    branch of the smallest stride, another number only where branches of several strides meet. receptive_field: input
    pixels that one output sees along the height over all branches, infinite after global pooling;
    min_receptive_field: over the branch that sees the least. offset: the
    first input row that output 0 sees, negative inside the padding.
    parameters: as Keras counts them; multiply_adds: for one picture, biases and activations not counted.
    """

    name: str
    kind: str
    output: tuple
    kernel: int | None
    stride: int | None
    dilation: int | None
    padding: tuple | None
    effective_stride: float
    min_effective_stride: float
    receptive_field: float
    min_receptive_field: float
    offset: float
    parameters: int
    multiply_adds: int


def layer_table(model):
    """Give a list of `LayerRow`, inputs first, of a functional `keras.Model` with a fixed input size.

    Receptive fields are along the height. Raises UsageError when the input size is not fixed.
    """
    if None in model.inputs[0].shape[1:]:
        raise UsageError(f"{model.name}: the layer table needs a fixed input size; build it with input_size")
    fields, rows = {}, []
    for operation in model.operations:
        given = [] if isinstance(operation, keras.layers.InputLayer) else keras.tree.flatten(operation.input)
        output = keras.tree.flatten(operation.output)[0]
        window = _window(operation, given[0].shape[1]) if given and len(given[0].shape) == 4 else None
        before = joined([fields[id(tensor)] for tensor in given]) if given else Field()
        field = _after(operation, before, window)
        fields[id(output)] = field
        kernel, stride, dilation, padding = window or (None, None, None, None)
        is_layer = isinstance(operation, keras.layers.Layer)
        rows.append(
            LayerRow(
                name=operation.name,
                kind=type(operation).__name__,
                output=tuple(output.shape[1:]),
                kernel=kernel,
                stride=stride,
                dilation=dilation,
                padding=padding,
                effective_stride=field.stride,
                min_effective_stride=field.finest,
                receptive_field=field.size,
                min_receptive_field=field.narrowest,
                offset=field.first,
                parameters=operation.count_params() if is_layer else 0,
                multiply_adds=multiply_adds(operation) if is_layer else 0,
            )
        )
    return rows


def multiply_adds(layer):
    """Multiplications with a weight that `layer` does for one picture; 0 for layers without kernels."""
    made = keras.tree.flatten(layer.output)[0].shape
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return math.prod(layer.kernel.shape) * math.prod(layer.input.shape[1:3])
    if isinstance(layer, keras.layers.SeparableConv2D):
        return (math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)) * math.prod(
            made[1:3]
        )
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
        return math.prod(layer.kernel.shape) * math.prod(made[1:3])
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape) * math.prod(made[1:-1])
    if isinstance(layer, LocallyConnected2D):
        return math.prod(layer.kernel.shape)
    return 0


def as_csv(rows):
    """The rows of `layer_table` as text in CSV, with a heading."""
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(LayerRow)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = [getattr(row, name) for name in names]
        writer.writerow(["x".join(map(str, value)) if isinstance(value, tuple) else value for value in values])
    return text.getvalue()


def _window(operation, size):
    """(kernel, stride, dilation, padding) along the height of a layer that looks through a window, else None."""
    if not isinstance(operation, WINDOWS):
        return None
    kernel = _first(operation.pool_size if hasattr(operation, "pool_size") else operation.kernel_size)
    stride, dilation = _first(operation.strides), _first(getattr(operation, "dilation_rate", 1))
    padding = same_padding(size, kernel, stride, dilation) if operation.padding == "same" else (0, 0)
    return kernel, stride, dilation, padding


def _after(operation, field, window):
    if window:
        kernel, stride, dilation, padding = window
        return field.window(kernel, stride, dilation, padding[0])
    if isinstance(operation, keras.layers.ZeroPadding2D):
        return field.shifted(operation.padding[0][0])
    if isinstance(operation, keras.layers.Cropping2D):
        return field.shifted(-operation.cropping[0][0])
    if isinstance(operation, GLOBAL):
        return Field(field.stride, -math.inf, math.inf, math.inf, field.finest)
    if isinstance(operation, keras.layers.UpSampling2D):
        return field.enlarged(operation.size[0])
    if isinstance(operation, keras.layers.Conv2DTranspose):
        # An output touches at most ceil(k / s) inputs; which ones depends on its phase, so this is the widest of them.
        kernel, stride = operation.kernel_size[0], operation.strides[0]
        wider = field.window(math.ceil(kernel / stride), 1, 1, math.ceil(kernel / stride) - 1)
        return wider.enlarged(stride)
    return field


def _first(value):
    return value[0] if isinstance(value, (tuple, list)) else value
