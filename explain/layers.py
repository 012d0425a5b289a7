"""Finding a layer by its name, and the layer that is meant when none is named."""

import itertools

import keras

from retinue.configs.errors import UsageError
from retinue.configs.suggestions import did_you_mean
from retinue.explain.relu_rules import RELUS
from retinue.tasks.detection.roi_align import RoIAlign

FIRST_LINEAR = "fc6"  # VGG's and AlexNet's linear layers are convolutions here: what comes after is no picture's map


def layer_output(model, name=None):
    """(name, symbolic output) of a layer; without a name, of the last feature map `[n, h, w, k]`.

    Raises UsageError, with the nearest names and a list of all, for a layer that the model does not have.
    """
    if name is None:
        return last_feature_map(model)
    names = [layer.name for layer in model.layers]
    if name not in names:
        hint = did_you_mean(name, names)
        raise UsageError(f"--layer {name}: the model has no such layer{hint} (its layers: {', '.join(names)})")
    return name, keras.tree.flatten(model.get_layer(name).output)[0]


def feature_map_output(model, name=None):
    """The same, and the layer must give a feature map of the whole picture, which a detector's heads do not."""
    name, output = layer_output(model, name)
    maps = [layer.name for layer in _of_whole_picture(model) if _is_map(layer)]
    if name not in maps:
        raise UsageError(f"--layer {name}: gives no map of the picture; layers that do: {', '.join(maps)}")
    return name, output


def before_relu(model, name):
    """What a layer gives or, where it is a ReLU, what it is given: the same units, but all of them have a gradient."""
    _, output = layer_output(model, name)
    layer = model.get_layer(name)
    is_relu = isinstance(layer, keras.layers.ReLU)
    is_relu |= isinstance(layer, keras.layers.Activation) and layer.activation in RELUS
    return keras.tree.flatten(layer.input)[0] if is_relu else output


def last_feature_map(model):
    """(name, symbolic output) of the last feature map of more than one place, before they are pooled or flattened."""
    before = itertools.takewhile(lambda layer: layer.name != FIRST_LINEAR, _of_whole_picture(model))
    for layer in reversed(list(before)):
        if _is_map(layer) and not isinstance(layer, keras.layers.InputLayer):
            return layer.name, keras.tree.flatten(layer.output)[0]
    raise UsageError(f"{model.name}: no layer of it gives a map of the picture")


def _of_whole_picture(model):
    """The layers before the heads of a detector."""
    return list(itertools.takewhile(lambda layer: not isinstance(layer, RoIAlign), model.layers))


def _is_map(layer):
    shape = keras.tree.flatten(layer.output)[0].shape
    return len(shape) == 4 and tuple(shape[1:3]) != (1, 1)
