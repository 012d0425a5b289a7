"""A backbone as one of several in a net: copied onto a tensor, its layers under names of their own."""

import keras
import numpy as np

from retinue import backbones
from retinue.configs.errors import UsageError


class Tower:
    """A backbone on a tensor. features: its last map; names: of its layers, as they are called in the net."""

    def __init__(self, features, names):
        self.features, self.names = features, names


def tower(name, weights, pictures, prefix, after=None, first_kernel=None):
    """Copy a pretrained backbone onto `pictures`, a KerasTensor `[n, h, w, c]` in 0..255.

    prefix: goes before the name of each layer. after: {layer of the backbone, or stride: function of that layer's (or
    the last map of that stride's) output, whose result goes on in its place}; the layers that it makes are no part of
    the tower. first_kernel: function from the first kernel `[h, w, 3, out]` to that for the channels which reach it.
    Raises UsageError for a stride that the backbone does not have, or has no single map of.
    """
    after = dict(after or {})
    size = None if backbones.find(name).any_size else tuple(pictures.shape[1:3])
    source = backbones.build(name, weights=weights, input_size=size)
    last = source.output[max(source.output)]
    maker = {id(operation.output): operation.name for operation in source.operations}
    for stride in [key for key in after if not isinstance(key, str)]:
        if stride not in source.output:
            raise UsageError(
                f"model.backbone: {name} has no map of stride {stride}, where slow fusion joins its frames"
            )
        after[maker[id(source.output[stride])]] = after.pop(stride)
    after = {prefix + layer: function for layer, function in after.items()}
    copies, results = {}, {}

    def copied(layer):
        return type(layer).from_config(layer.get_config() | {"name": prefix + layer.name})

    def call(operation, *args, **kwargs):
        copies[operation.name] = operation
        result = operation(*args, **kwargs)
        if operation.name in after:
            result = after[operation.name](result)
        results[operation.name] = result
        return result

    whole = keras.Model(source.input, last)
    # What this gives starts at an input of its own; the results are the tensors that start at ours.
    keras.models.clone_model(whole, input_tensors=pictures, clone_function=copied, call_function=call)
    if weights != "none":
        _copy_weights(whole, copies, prefix, first_kernel)
    return Tower(results[prefix + maker[id(last)]], set(copies))


def mean_over_colours(channels):
    """The first kernel for other channels than RGB: its mean over the three, for each of `channels` (Wang et al. 2016,
    section 3.2, cross-modality pre-training)."""
    return lambda kernel: np.repeat(kernel.mean(axis=2, keepdims=True), channels, axis=2)


def repeated_over_time(frames):
    """The first kernel for `frames` frames stacked along the channels: the frames' mean is seen as the picture was."""
    return lambda kernel: np.tile(kernel / frames, (1, 1, frames, 1))


def _copy_weights(source, copies, prefix, first_kernel):
    for layer in source.layers:
        values = layer.get_weights()
        if not values:
            continue
        copy = copies[prefix + layer.name]
        if values[0].shape != tuple(copy.weights[0].shape):
            values[0] = first_kernel(values[0])
        copy.set_weights(values)
