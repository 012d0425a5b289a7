"""The arithmetic of a ConvNet layer by layer: sizes, padding, dilation, receptive fields, parameters, multiply-adds.

The formulas are those of the lecture ("Conv Layer Variants"). `layer_table` applies them to any functional Keras model
whose input size is fixed.
"""

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from retinue.backbones.blocks import DilatedPool, LocallyConnected2D
from retinue.configs.errors import UsageError

WINDOW_LAYERS = (
    DilatedPool,
    LocallyConnected2D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)
GLOBAL_LAYERS = (
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.Flatten,
    keras.layers.Dense,
)


def dilated_kernel(kernel: int, dilation: int) -> int:
    """Compute k' = k + (k - 1)(r - 1), the side that a kernel covers whose elements are r units apart."""
    return kernel + (kernel - 1) * (dilation - 1)


def output_size(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Compute M = floor((N + 2p - k') / s) + 1 of a convolution or pooling with `padding` on both sides."""
    return (size + 2 * padding - dilated_kernel(kernel, dilation)) // stride + 1


def transposed_output_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Compute N = s(M - 1) + k - 2p of a transposed convolution."""
    return stride * (size - 1) + kernel - 2 * padding


def same_padding(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Compute TensorFlow's "same" padding (before, after): the least for ceil(N / s) outputs, an odd pixel after."""
    total = max((math.ceil(size / stride) - 1) * stride + dilated_kernel(kernel, dilation) - size, 0)
    return total // 2, total - total // 2


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """What one unit of a tensor depends on along one axis, in pixels of the input.

    Attributes:
        stride: Pixels between neighboring units.
        first: First pixel that unit 0 depends on; below zero is padding.
        last: Last pixel that unit 0 depends on, inclusive.
        min_size: The smallest receptive field among the branches that meet here.
        min_stride: The smallest stride among the branches that meet here.
    """

    stride: float = 1
    first: float = 0
    last: float = 0
    min_size: float = 1
    min_stride: float = 1

    @property
    def size(self) -> float:
        """Number of pixels."""
        return self.last - self.first + 1

    def after_window(self, kernel: int, stride: int, dilation: int, before: int) -> "ReceptiveField":
        """Return the field after a window with `before` padded units: r' = r + (k' - 1) j, j' = j s."""
        reach = (dilated_kernel(kernel, dilation) - 1) * self.stride
        first = self.first - before * self.stride
        last = self.last + reach - before * self.stride
        return ReceptiveField(self.stride * stride, first, last, self.min_size + reach, self.min_stride * stride)

    def after_upsampling(self, factor: int) -> "ReceptiveField":
        """Return the field after an upsampling by `factor`."""
        return dataclasses.replace(self, stride=self.stride / factor, min_stride=self.min_stride / factor)

    def after_padding(self, units: int) -> "ReceptiveField":
        """Return the field after `units` are padded before the tensor or, below zero, cropped."""
        return dataclasses.replace(self, first=self.first - units * self.stride, last=self.last - units * self.stride)


def merge(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    """Merge branches: everything that any of them depends on, the largest stride, and the minima of both."""
    return ReceptiveField(
        max(field.stride for field in fields),
        min(field.first for field in fields),
        max(field.last for field in fields),
        min(field.min_size for field in fields),
        min(field.min_stride for field in fields),
    )


class Window(NamedTuple):
    """The window of a layer along the height."""

    kernel: int
    stride: int
    dilation: int
    padding: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One row of `layer_table`. Numbers along one axis are those of the height.

    Attributes:
        name: Name of the layer.
        kind: Class of the layer.
        output: Output shape without the batch axis.
        kernel: Kernel size, or None.
        stride: Stride, or None.
        dilation: Dilation, or None.
        padding: Rows of zeros (above, below), or None.
        effective_stride: Input pixels between neighboring outputs.
        min_effective_stride: The same in the branch of the smallest stride. It is a different number only where
            branches of several strides meet.
        receptive_field: Input pixels that one output depends on, over all branches; infinite after global pooling.
        min_receptive_field: The same over the branch with the smallest receptive field.
        offset: The first input row that output 0 depends on, negative inside the padding.
        parameters: Number of parameters as Keras counts them.
        multiply_adds: Multiply-adds for one image, without biases and activations.
    """

    name: str
    kind: str
    output: tuple[int | None, ...]
    kernel: int | None
    stride: int | None
    dilation: int | None
    padding: tuple[int, int] | None
    effective_stride: float
    min_effective_stride: float
    receptive_field: float
    min_receptive_field: float
    offset: float
    parameters: int
    multiply_adds: int


def layer_table(model: keras.Model) -> list[LayerRow]:
    """Describe every layer of a functional model.

    Args:
        model: A functional `keras.Model` with a fixed input size.

    Returns:
        One row per layer, inputs first. Receptive fields are along the height.

    Raises:
        UsageError: The input size is not fixed.
    """
    if None in model.inputs[0].shape[1:]:
        raise UsageError(f"{model.name}: the layer table needs a fixed input size; build the model with input_size")
    fields: dict[int, ReceptiveField] = {}
    rows = []
    for operation in model.operations:
        inputs = [] if isinstance(operation, keras.layers.InputLayer) else keras.tree.flatten(operation.input)
        output = keras.tree.flatten(operation.output)[0]
        window = _window(operation, inputs[0].shape[1]) if inputs and len(inputs[0].shape) == 4 else None
        field = merge([fields[id(tensor)] for tensor in inputs]) if inputs else ReceptiveField()
        field = _after(operation, field, window)
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
                min_effective_stride=field.min_stride,
                receptive_field=field.size,
                min_receptive_field=field.min_size,
                offset=field.first,
                parameters=operation.count_params() if is_layer else 0,
                multiply_adds=multiply_adds(operation) if is_layer else 0,
            )
        )
    return rows


def multiply_adds(layer: keras.layers.Layer) -> int:
    """Count the multiplications with a weight that a layer does for one image; 0 for layers without kernels."""
    output = keras.tree.flatten(layer.output)[0].shape
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return math.prod(layer.kernel.shape) * math.prod(layer.input.shape[1:3])
    if isinstance(layer, keras.layers.SeparableConv2D):
        weights = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        return weights * math.prod(output[1:3])
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
        return math.prod(layer.kernel.shape) * math.prod(output[1:3])
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape) * math.prod(output[1:-1])
    if isinstance(layer, LocallyConnected2D):
        return math.prod(layer.kernel.shape)
    return 0


def as_csv(rows: Sequence[LayerRow]) -> str:
    """Format the rows of `layer_table` as CSV with a header; shapes are written as 32x32x3."""
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(LayerRow)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = [getattr(row, name) for name in names]
        writer.writerow(["x".join(map(str, value)) if isinstance(value, tuple) else value for value in values])
    return text.getvalue()


def _window(operation: Any, size: int) -> Window | None:
    """Return the window of a layer along the height, or None if it has none."""
    if not isinstance(operation, WINDOW_LAYERS):
        return None
    kernel = _first(operation.pool_size if hasattr(operation, "pool_size") else operation.kernel_size)
    stride, dilation = _first(operation.strides), _first(getattr(operation, "dilation_rate", 1))
    padding = same_padding(size, kernel, stride, dilation) if operation.padding == "same" else (0, 0)
    return Window(kernel, stride, dilation, padding)


def _after(operation: Any, field: ReceptiveField, window: Window | None) -> ReceptiveField:
    """Return the receptive field after an operation."""
    if window:
        return field.after_window(window.kernel, window.stride, window.dilation, window.padding[0])
    if isinstance(operation, keras.layers.ZeroPadding2D):
        return field.after_padding(operation.padding[0][0])
    if isinstance(operation, keras.layers.Cropping2D):
        return field.after_padding(-operation.cropping[0][0])
    if isinstance(operation, GLOBAL_LAYERS):
        return ReceptiveField(field.stride, -math.inf, math.inf, math.inf, field.min_stride)
    if isinstance(operation, keras.layers.UpSampling2D):
        return field.after_upsampling(operation.size[0])
    if isinstance(operation, keras.layers.Conv2DTranspose):
        # An output depends on at most ceil(k / s) inputs. Which ones depends on its phase, so this is the widest field.
        kernel, stride = operation.kernel_size[0], operation.strides[0]
        reach = math.ceil(kernel / stride)
        return field.after_window(reach, 1, 1, reach - 1).after_upsampling(stride)
    return field


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (tuple, list)) else value
