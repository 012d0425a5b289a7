"""Every model of keras.applications, flattened, with stable layer names and with its preprocessing in one place."""

import os
import re
from pathlib import Path

import h5py
import keras

from retinue.backbones.preprocess_layer import Preprocess
from retinue.configs.errors import RetinueError

# What the table's preprocessing record says is done once, by our own layer; these layers inside a model go.
NORMALISING = (keras.layers.Rescaling, keras.layers.Normalization)
CONVOLUTION_CLASSIFIERS = ("conv_preds", "logits")  # MobileNet's and MobileNetV3's; all others end in a linear layer


def build(x, output_stride, classifier, application):
    """Add the model `keras.applications.<application>` to `x` `[n, h, w, c]`, preprocessed.

    Gives its last feature map, or its logits `[n, 1000]` with `classifier`. The model's own rescaling is left out,
    models nested in it are replaced by their layers, and layers that Keras numbers over the whole process are numbered
    anew.
    """
    output, _ = _flat_copy(_original(x, application, classifier))
    return output


def read(path, application, size):
    """Give `{layer/variable: array}` of a .h5 file of keras.applications, its classifier included where it has one.

    Keras matches these files by the order of layers, so the file must be of this very architecture. size: pixels a side
    that the classifier was made for, which matters to VGG. Raises RetinueError when the file does not fit.
    """
    try:
        classes = _classes_in(path)
        original = _original(keras.Input((size, size, 3)), application, classes is not None, classes)
        original.load_weights(path)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        reason = (str(error).splitlines() or ["cut short"])[0]
        raise RetinueError(f"{path}: does not fit {application}: {reason}") from None
    _, pairs = _flat_copy(original)
    return {
        f"{copy.name}/{variable.path.rsplit('/', 1)[-1]}": variable.numpy()
        for layer, copy in pairs
        for variable in layer.weights
    }


def _classes_in(path):
    """The number of classes of the classifier at the end of a .h5 file, or None where it ends before that."""
    with h5py.File(path) as file:
        group = file["model_weights"] if "model_weights" in file else file
        last = [name for name in group.attrs["layer_names"] if len(group[name].attrs["weight_names"])][-1]
        kernel = group[last][group[last].attrs["weight_names"][0]]
        is_classifier = kernel.ndim == 2 or last in CONVOLUTION_CLASSIFIERS
        return kernel.shape[-1] if is_classifier else None


def paired(names, application, size):
    """Pairs of a layer's name in a file of Keras and a layer of ours, for all layers of the file that we have.

    names: the file's layers. Keras numbers the layers that have no name as they are made, from any number on; so those
    of one kind are paired in the order of their numbers. Our own files, which count from 0, are paired by name.
    """
    names = set(names)
    original = _original(keras.Input((size, size, 3)), application, False)
    _, pairs = _flat_copy(original)
    ours, theirs = {}, {}
    for layer, copy in pairs:
        ours.setdefault(_stem(layer.name), []).append((_number(layer.name), copy))
    for name in names:
        theirs.setdefault(_stem(name), []).append((_number(name), name))
    found = []
    for stem, layers in ours.items():
        if any(copy.name in names and _number(copy.name) == 0 for _, copy in layers if copy.name != stem):
            found += [(copy.name, copy) for _, copy in layers if copy.name in names]
        else:
            ordered = sorted(layers, key=lambda pair: pair[0])
            found += [(name, copy) for (_, copy), (_, name) in zip(ordered, sorted(theirs.get(stem, [])), strict=False)]
    return found


def cache_folder():
    """Keras's own folder for weights."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def has_classifier(model):
    """Whether a model that `build` made (and that may have grown since) has the original's classifier."""
    names = {layer.name for layer in model.layers}
    return bool(names & {"predictions", "conv_preds"}) or any(name.endswith("_head_dense") for name in names)


def _original(x, application, classifier, classes=1000):
    function = getattr(keras.applications, application)
    arguments = {"classifier_activation": None, "classes": classes} if classifier else {}
    if application.startswith(("ConvNeXt", "EfficientNetV2", "MobileNetV3")):
        arguments["include_preprocessing"] = False
    return function(include_top=classifier, weights=None, input_tensor=x, **arguments)


def _flat_copy(model):
    """Rebuild a functional model on its own input, without nested models. Gives its output and pairs (layer, copy)."""
    pairs, counts = [], {}

    def copied(layer):
        name = _stable_name(layer, counts)
        copy = layer.__class__.from_config({**layer.get_config(), "name": name})
        if isinstance(layer, keras.layers.Layer):
            pairs.append((layer, copy))
        return copy

    def copy_unless_nested(layer):
        return layer if isinstance(layer, (keras.Sequential, *NORMALISING)) else copied(layer)

    def call(layer, *inputs, **arguments):
        if isinstance(layer, NORMALISING):
            return inputs[0]
        if isinstance(layer, keras.Sequential):
            x = inputs[0]
            for inner in layer.layers:
                x = copied(inner)(x)
            return x
        return layer(*inputs, **arguments)

    copy = keras.models.clone_model(
        model, input_tensors=model.input, clone_function=copy_unless_nested, call_function=call
    )
    return copy.outputs[0], pairs


def _stable_name(layer, counts):
    """The layer's own name, unless Keras made it up: then its class's name and a number counted within the model."""
    kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(layer).__name__).lower()
    if isinstance(layer, Preprocess) or _stem(layer.name).replace("_", "") != kind.replace("_", ""):
        return layer.name
    counts[kind] = counts.get(kind, -1) + 1
    return f"{kind}_{counts[kind]}"


def _stem(name):
    return re.fullmatch(r"(.*?)(_\d+)?", name)[1]


def _number(name):
    return int(re.fullmatch(r".*?(?:_(\d+))?", name)[1] or 0)
