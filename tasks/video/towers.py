"""Towers: backbones as parts of a larger model, each copied onto a tensor, with a prefix before its layers' names."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from retinue import backbones
from retinue.configs.errors import UsageError

KernelTransform = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Tower:
    """A backbone on a tensor.

    Attributes:
        features: KerasTensor, its last feature map.
        layer_names: names of its layers in the larger model.
    """

    features: keras.KerasTensor
    layer_names: set[str]


def build_tower(
    name: str,
    weights: str,
    images: keras.KerasTensor,
    prefix: str,
    insert_after: Mapping[str | int, Callable[[Any], Any]] | None = None,
    transform_first_kernel: KernelTransform | None = None,
) -> Tower:
    """Copy a pretrained backbone onto a tensor.

    Args:
        name: name of the backbone.
        weights: what the backbone loads; "none" keeps fresh weights.
        images: KerasTensor [n, h, w, c] in 0..255.
        prefix: goes before the name of each layer.
        insert_after: functions to apply to the output of a layer (by its name in the backbone) or to the last feature
            map of a stride; their result replaces that output. The layers that they create are not part of the tower.
        transform_first_kernel: function from the first kernel [h, w, 3, out] to the kernel for the number of channels
            that reaches it.

    Returns:
        The `Tower`.

    Raises:
        UsageError: the backbone has no map of a stride in `insert_after`.
    """
    size = None if backbones.find(name).any_size else tuple(images.shape[1:3])
    source = backbones.build(name, weights=weights, input_size=size)
    last = source.output[max(source.output)]
    layer_of = {id(operation.output): operation.name for operation in source.operations}
    insertions: dict[str, Callable[[Any], Any]] = {}
    for key, function in (insert_after or {}).items():
        if isinstance(key, str):
            insertions[prefix + key] = function
        elif key in source.output:
            insertions[prefix + layer_of[id(source.output[key])]] = function
        else:
            raise UsageError(
                f"model.backbone: {name} has no map of stride {key}, where slow fusion joins its frames; choose "
                "another backbone or another video.architecture"
            )
    layers: dict[str, Any] = {}
    outputs: dict[str, Any] = {}

    def clone_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config(layer.get_config() | {"name": prefix + layer.name})

    def call_layer(operation: Any, *args: Any, **kwargs: Any) -> Any:
        layers[operation.name] = operation
        output = operation(*args, **kwargs)
        if operation.name in insertions:
            output = insertions[operation.name](output)
        outputs[operation.name] = output
        return output

    up_to_last = keras.Model(source.input, last)
    # The model that this returns starts at an input of its own; `outputs` are the tensors that start at `images`.
    keras.models.clone_model(up_to_last, input_tensors=images, clone_function=clone_layer, call_function=call_layer)
    if weights != "none":
        _copy_weights(up_to_last, layers, prefix, transform_first_kernel)
    return Tower(outputs[prefix + layer_of[id(last)]], set(layers))


def mean_over_rgb(channels: int) -> KernelTransform:
    """Adapt the first kernel to channels other than RGB (Wang et al. 2016, section 3.2, cross-modality pre-training).

    Args:
        channels: number of input channels.

    Returns:
        A function that averages a kernel [h, w, 3, out] over RGB and repeats it to [h, w, channels, out].
    """
    return lambda kernel: np.repeat(kernel.mean(axis=2, keepdims=True), channels, axis=2)


def repeat_over_frames(frames: int) -> KernelTransform:
    """Adapt the first kernel to frames stacked along the channels; their mean is then seen as one image was.

    Args:
        frames: number of stacked frames.

    Returns:
        A function from a kernel [h, w, 3, out] to [h, w, 3 frames, out].
    """
    return lambda kernel: np.tile(kernel / frames, (1, 1, frames, 1))


def _copy_weights(
    source: keras.Model, copies: Mapping[str, Any], prefix: str, transform_first_kernel: KernelTransform | None
) -> None:
    for layer in source.layers:
        values = layer.get_weights()
        if not values:
            continue
        copy = copies[prefix + layer.name]
        if values[0].shape != tuple(copy.weights[0].shape) and transform_first_kernel is not None:
            values[0] = transform_first_kernel(values[0])
        copy.set_weights(values)
