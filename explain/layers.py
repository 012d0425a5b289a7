"""Find a layer by its name, or the layer that a method uses when none is named."""

import itertools
from typing import Any

import keras

from retinue.configs.errors import UsageError
from retinue.configs.suggestions import did_you_mean
from retinue.explain.relu_rules import RELUS
from retinue.tasks.detection.roi_align import RoIAlign

# The linear layers of VGG and AlexNet are convolutions in this package. Their outputs are no feature maps of the image.
FIRST_LINEAR = "fc6"


def layer_output(model: keras.Model, name: str | None = None) -> tuple[str, Any]:
    """Find the output of a layer.

    Args:
        model: A functional `keras.Model`.
        name: Name of the layer; by default the one with the last feature map.

    Returns:
        (name of the layer, its symbolic output). A feature map has the shape `[n, h, w, k]`.

    Raises:
        UsageError: The model has no such layer. The message has the nearest names and a list of all layers.
    """
    if name is None:
        return last_feature_map(model)
    names = [layer.name for layer in model.layers]
    if name not in names:
        hint = did_you_mean(name, names)
        raise UsageError(f"--layer {name}: the model has no such layer{hint} (its layers: {', '.join(names)})")
    return name, keras.tree.flatten(model.get_layer(name).output)[0]


def feature_map_output(model: keras.Model, name: str | None = None) -> tuple[str, Any]:
    """Find the output of a layer that has a feature map of the whole image, which the heads of a detector have not.

    Args and Returns are those of `layer_output`.

    Raises:
        UsageError: The model has no such layer, or the layer has no feature map of the whole image.
    """
    name, output = layer_output(model, name)
    valid = [layer.name for layer in _layers_of_whole_image(model) if _has_feature_map(layer)]
    if name not in valid:
        raise UsageError(
            f"--layer {name}: gives no map of the whole image; choose one of the layers that do: {', '.join(valid)}"
        )
    return name, output


def before_relu(model: keras.Model, name: str) -> Any:
    """Return the output of a layer, or the input of a layer that is a ReLU.

    Both have the same units, but only before the ReLU do all of them have a gradient.

    Raises:
        UsageError: The model has no such layer.
    """
    _, output = layer_output(model, name)
    layer = model.get_layer(name)
    is_relu = isinstance(layer, keras.layers.ReLU)
    is_relu |= isinstance(layer, keras.layers.Activation) and layer.activation in RELUS
    return keras.tree.flatten(layer.input)[0] if is_relu else output


def last_feature_map(model: keras.Model) -> tuple[str, Any]:
    """Find the last feature map of more than one position, before the features are pooled or flattened.

    Returns:
        (name of the layer, its symbolic output `[n, h, w, k]`).

    Raises:
        UsageError: No layer of the model has a feature map.
    """
    candidates = itertools.takewhile(lambda layer: layer.name != FIRST_LINEAR, _layers_of_whole_image(model))
    for layer in reversed(list(candidates)):
        if _has_feature_map(layer) and not isinstance(layer, keras.layers.InputLayer):
            return layer.name, keras.tree.flatten(layer.output)[0]
    raise UsageError(f"no layer of the model {model.name} has a feature map of the image; choose another model")


def _layers_of_whole_image(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers before the heads of a detector, or all layers."""
    return list(itertools.takewhile(lambda layer: not isinstance(layer, RoIAlign), model.layers))


def _has_feature_map(layer: keras.layers.Layer) -> bool:
    shape = keras.tree.flatten(layer.output)[0].shape
    return len(shape) == 4 and tuple(shape[1:3]) != (1, 1)
