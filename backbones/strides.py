"""The strides of the tensors in a functional model, read from the graph and not from layer names."""

from typing import Any

import keras

from retinue.configs.errors import UsageError

STRIDED = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)
RESAMPLED = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D, keras.layers.UpSampling2D)


def tensor_strides(model: keras.Model) -> dict[int, tuple[float, bool]]:
    """Compute the stride of every tensor in the graph of a functional model.

    Args:
        model: A functional `keras.Model`.

    Returns:
        `{id(tensor): (stride, is_map)}`. The stride is the number of input pixels per step in the tensor; where
        branches meet, the largest one. `is_map` is False for tensors that global pooling or flattening left without
        positions; they keep the stride of the map that they come from.
    """
    strides: dict[int, tuple[float, bool]] = {}
    for operation in model.operations:
        if isinstance(operation, keras.layers.InputLayer):
            for tensor in keras.tree.flatten(operation.output):
                strides[id(tensor)] = (1, True)
            continue
        inputs = [strides[id(tensor)] for tensor in keras.tree.flatten(operation.input) if id(tensor) in strides]
        stride: float = max((stride for stride, _ in inputs), default=1)
        is_map = any(is_map for _, is_map in inputs)
        if isinstance(operation, (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)):
            is_map = False
        elif isinstance(operation, STRIDED) and is_map:
            stride *= max(operation.strides) if isinstance(operation.strides, (tuple, list)) else operation.strides
        elif isinstance(operation, keras.layers.Conv2DTranspose):
            stride /= max(operation.strides)
        elif isinstance(operation, keras.layers.UpSampling2D):
            stride /= max(operation.size)
        for tensor in keras.tree.flatten(operation.output):
            strides[id(tensor)] = (stride, is_map and len(tensor.shape) == 4)
    return strides


def endpoints(model: keras.Model) -> dict[int, Any]:
    """Find the last feature map of each stride above 1 in a functional backbone.

    Only tensors through which all later computation passes count, so that no tensor inside a residual branch is taken;
    outputs of padding layers do not count either. A network whose cells use the outputs of the last two cells (NASNet)
    has no such tensors after its stem. For it the last concatenation of each stride is taken.

    Args:
        model: A functional `keras.Model`.

    Returns:
        `{stride: symbolic tensor}`, by increasing stride.
    """
    strides = tensor_strides(model)
    operations = model.operations
    last_use = {id(tensor): -1 for operation in operations for tensor in keras.tree.flatten(operation.output)}
    for i, operation in enumerate(operations):
        if not isinstance(operation, keras.layers.InputLayer):
            for tensor in keras.tree.flatten(operation.input):
                last_use[id(tensor)] = i
    bottlenecks, concatenations, open_until = {}, {}, -1
    for i, operation in enumerate(operations):
        tensor = operation.output
        stride, is_map = strides.get(id(tensor), (1, False))
        if is_map and stride > 1 and not isinstance(operation, RESAMPLED):
            if open_until <= i:
                bottlenecks[stride] = tensor
            if isinstance(operation, keras.layers.Concatenate):
                concatenations[stride] = tensor
        open_until = max(open_until, last_use.get(id(tensor), -1))
    return {int(stride): tensor for stride, tensor in sorted({**concatenations, **bottlenecks}.items())}


def layers_below(model: keras.Model, stride: int) -> list[str]:
    """List the layers whose output has a smaller stride, which are the layers to freeze "below" it.

    The layer that steps from `stride / 2` to `stride` is the first one that is not listed.

    Args:
        model: A functional `keras.Model`.
        stride: A stride that the model has.

    Returns:
        Names of layers, in graph order.

    Raises:
        UsageError: No layer of the model has that stride.
    """
    strides = tensor_strides(model)
    of_operations = [strides[id(keras.tree.flatten(operation.output)[0])][0] for operation in model.operations]
    known = sorted(set(of_operations))
    if stride not in known:
        raise UsageError(
            f"the model {model.name} has no layer of stride {stride}; its strides are {', '.join(map(_text, known))}"
        )
    return [
        operation.name
        for operation, own in zip(model.operations, of_operations, strict=True)
        if own < stride and isinstance(operation, keras.layers.Layer)
    ]


def _text(stride: float) -> str:
    return f"{stride:g}"
