"""Where in a functional model the picture has which stride, read from the graph and not from layer names."""

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


def tensor_strides(model):
    """Give `{id(tensor): (stride, is_map)}` for every tensor in the graph of a functional `keras.Model`.

    `stride` is how many input pixels one step in the tensor is; where branches meet, the largest. `is_map` is False
    for what global pooling or flattening left without positions; it keeps the stride of the map that it came from.
    """
    found = {}
    for operation in model.operations:
        if isinstance(operation, keras.layers.InputLayer):
            for tensor in keras.tree.flatten(operation.output):
                found[id(tensor)] = (1, True)
            continue
        given = [found[id(tensor)] for tensor in keras.tree.flatten(operation.input) if id(tensor) in found]
        stride = max((stride for stride, _ in given), default=1)
        is_map = any(is_map for _, is_map in given)
        if isinstance(operation, (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)):
            is_map = False
        elif isinstance(operation, STRIDED) and is_map:
            stride *= max(operation.strides) if isinstance(operation.strides, (tuple, list)) else operation.strides
        elif isinstance(operation, keras.layers.Conv2DTranspose):
            stride /= max(operation.strides)
        elif isinstance(operation, keras.layers.UpSampling2D):
            stride /= max(operation.size)
        for tensor in keras.tree.flatten(operation.output):
            found[id(tensor)] = (stride, is_map and len(tensor.shape) == 4)
    return found


def endpoints(model):
    """Give `{stride: tensor}`, the last feature map of each stride above 1, of a functional backbone.

    Only tensors that everything later must pass through count, so that no tensor inside a residual branch is taken,
    and none of padding layers. A net whose cells look back over two cells (NASNet) has no such tensors after its stem:
    there the last concatenation of the stride is taken.
    """
    found = tensor_strides(model)
    operations = model.operations
    position = {
        id(tensor): i for i, operation in enumerate(operations) for tensor in keras.tree.flatten(operation.output)
    }
    last_use = dict.fromkeys(position, -1)
    for i, operation in enumerate(operations):
        if not isinstance(operation, keras.layers.InputLayer):
            for tensor in keras.tree.flatten(operation.input):
                last_use[id(tensor)] = i
    narrow, joined, open_until = {}, {}, -1
    for i, operation in enumerate(operations):
        tensor = operation.output
        stride, is_map = found.get(id(tensor), (1, False))
        if is_map and stride > 1 and not isinstance(operation, RESAMPLED):
            if open_until <= i:
                narrow[stride] = tensor
            if isinstance(operation, keras.layers.Concatenate):
                joined[stride] = tensor
        open_until = max(open_until, last_use.get(id(tensor), -1))
    return {stride: tensor for stride, tensor in sorted({**joined, **narrow}.items())}


def layers_below(model, stride):
    """Give the names of the layers whose output is finer than `stride`, in graph order: what to freeze "below" it.

    The layer that steps from `stride / 2` to `stride` is the first one that is not listed.
    Raises UsageError when no layer of the model has that stride.
    """
    found = tensor_strides(model)
    own = [(operation, found[id(keras.tree.flatten(operation.output)[0])][0]) for operation in model.operations]
    known = sorted({each for _, each in own})
    if stride not in known:
        raise UsageError(f"{model.name} has no layer of stride {stride}; its strides are {', '.join(map(str, known))}")
    return [operation.name for operation, each in own if each < stride and isinstance(operation, keras.layers.Layer)]
