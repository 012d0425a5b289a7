"""Finding a layer by its name, and the layer that is meant when none is named."""

import difflib

import keras

from retinue.configs.errors import UsageError

ENDS_OF_MAPS = (
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.Flatten,
    keras.layers.Dense,
)
FIRST_LINEAR = "fc6"  # VGG's and AlexNet's linear layers are convolutions here: what comes after is no picture's map


def layer_output(model, name=None):
    """(name, symbolic output) of a layer; without a name, of the last feature map `[n, h, w, k]`.

    Raises UsageError, with the nearest names and a list of all, for a layer that the model does not have.
    """
    if name is None:
        return last_map(model)
    names = [layer.name for layer in model.layers]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"--layer {name}: the model has no such layer; {hint}Its layers: {', '.join(names)}")
    return name, keras.tree.flatten(model.get_layer(name).output)[0]


def map_output(model, name=None):
    """The same, and the layer must give a feature map."""
    name, output = layer_output(model, name)
    if len(output.shape) != 4:
        maps = [layer.name for layer in model.layers if _is_map(layer)]
        raise UsageError(f"--layer {name}: gives no map of the picture; layers that do: {', '.join(maps)}")
    return name, output


def last_map(model):
    """(name, symbolic output) of the last feature map before the picture's places are pooled away or flattened."""
    found = None
    for layer in model.layers:
        if isinstance(layer, ENDS_OF_MAPS) or layer.name == FIRST_LINEAR:
            break
        if _is_map(layer) and not isinstance(layer, keras.layers.InputLayer):
            found = layer
    if found is None:
        raise UsageError(f"{model.name}: no layer of it gives a map of the picture")
    return found.name, keras.tree.flatten(found.output)[0]


def _is_map(layer):
    return len(keras.tree.flatten(layer.output)[0].shape) == 4
