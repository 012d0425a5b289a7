"""Every model of keras.applications, flattened, with stable layer names and with its preprocessing in one place."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from retinue.backbones.preprocess_layer import Preprocess
from retinue.configs.errors import RetinueError

# Our own layer normalizes once, by the preprocessing record. These layers of the originals are removed.
NORMALIZATION_LAYERS = (keras.layers.Rescaling, keras.layers.Normalization)
# The classifiers of MobileNet and MobileNetV3 are convolutions; all other models end in a linear layer.
CONVOLUTION_CLASSIFIERS = ("conv_preds", "logits")

LayerPair = tuple[keras.layers.Layer, keras.layers.Layer]


def build(x: keras.KerasTensor, output_stride: int, classifier: bool, application: str) -> keras.KerasTensor:
    """Add the model `keras.applications.<application>` to a preprocessed tensor.

    The model's own rescaling is left out, nested models are replaced by their layers, and layers that Keras numbers
    over the whole process are numbered within the model.

    Args:
        x: `[n, h, w, c]`, preprocessed.
        output_stride: Has no effect; the table allows only 32.
        classifier: Whether to add the classifier.
        application: Name of the function in keras.applications.

    Returns:
        The last feature map, or logits `[n, 1000]`.
    """
    output, _ = _flat_copy(_original(x, application, classifier))
    return output


def read(path: str | os.PathLike[str], application: str, size: int) -> dict[str, np.ndarray]:
    """Read a .h5 file of keras.applications, including its classifier if it has one.

    Keras matches these files by the order of layers, so the file must be of this very architecture.

    Args:
        path: The file.
        application: Name of the function in keras.applications.
        size: Side in pixels that the classifier was made for, which matters to VGG.

    Returns:
        `{"layer/variable": array}` with our names.

    Raises:
        RetinueError: The file does not fit.
    """
    try:
        classes = _number_of_classes(path)
        original = _original(keras.Input((size, size, 3)), application, classes is not None, classes)
        original.load_weights(path)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        reason = (str(error).splitlines() or ["the file is truncated"])[0]
        raise RetinueError(
            f"{path}: does not fit {application}: {reason}; give a weights file of this architecture"
        ) from None
    _, pairs = _flat_copy(original)
    return {
        f"{copy.name}/{variable.path.rsplit('/', 1)[-1]}": variable.numpy()
        for layer, copy in pairs
        for variable in layer.weights
    }


def _number_of_classes(path: str | os.PathLike[str]) -> int | None:
    """Return the number of classes of the classifier in a .h5 file, or None if it has no classifier."""
    with h5py.File(path) as file:
        group = file["model_weights"] if "model_weights" in file else file
        last = [name for name in group.attrs["layer_names"] if len(group[name].attrs["weight_names"])][-1]
        kernel = group[last][group[last].attrs["weight_names"][0]]
        is_classifier = kernel.ndim == 2 or last in CONVOLUTION_CLASSIFIERS
        return kernel.shape[-1] if is_classifier else None


def pair_layers(file_layers: Iterable[str], application: str, size: int) -> list[tuple[str, keras.layers.Layer]]:
    """Pair the layers of a file of Keras with ours.

    Keras numbers the layers without a name as they are made, from any number on. Hence layers of one kind are paired in
    the order of their numbers. Files that we wrote ourselves, which count from 0, are paired by name.

    Args:
        file_layers: Names of the layers in the file.
        application: Name of the function in keras.applications.
        size: Side of the input in pixels.

    Returns:
        (name in the file, our layer) for all layers of the file that we have.
    """
    names = set(file_layers)
    original = _original(keras.Input((size, size, 3)), application, False)
    _, pairs = _flat_copy(original)
    ours: dict[str, list[tuple[int, Any]]] = {}
    theirs: dict[str, list[tuple[int, str]]] = {}
    for layer, copy in pairs:
        ours.setdefault(_stem(layer.name), []).append((_number(layer.name), copy))
    for name in names:
        theirs.setdefault(_stem(name), []).append((_number(name), name))
    paired: list[tuple[str, Any]] = []
    for stem, layers in ours.items():
        if any(copy.name in names and _number(copy.name) == 0 for _, copy in layers if copy.name != stem):
            paired += [(copy.name, copy) for _, copy in layers if copy.name in names]
        else:
            ordered = sorted(layers, key=lambda pair: pair[0])
            matches = zip(ordered, sorted(theirs.get(stem, [])), strict=False)
            paired += [(name, copy) for (_, copy), (_, name) in matches]
    return paired


def cache_folder() -> Path:
    """Return Keras's own folder for weights."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def has_classifier(model: keras.Model) -> bool:
    """Return whether a model that `build` made (and that may have got a head since) has the original's classifier."""
    names = {layer.name for layer in model.layers}
    return bool(names & {"predictions", "conv_preds"}) or any(name.endswith("_head_dense") for name in names)


def _original(x: Any, application: str, classifier: bool, classes: int | None = 1000) -> keras.Model:
    function = getattr(keras.applications, application)
    arguments = {"classifier_activation": None, "classes": classes} if classifier else {}
    if application.startswith(("ConvNeXt", "EfficientNetV2", "MobileNetV3")):
        arguments["include_preprocessing"] = False
    return function(include_top=classifier, weights=None, input_tensor=x, **arguments)


def _flat_copy(model: keras.Model) -> tuple[Any, list[LayerPair]]:
    """Rebuild a functional model on its own input, without nested models.

    Returns:
        (its output, pairs of an original layer and its copy).
    """
    pairs: list[LayerPair] = []
    counts: dict[str, int] = {}

    def copy_layer(layer: Any) -> Any:
        name = _stable_name(layer, counts)
        copy = layer.__class__.from_config({**layer.get_config(), "name": name})
        if isinstance(layer, keras.layers.Layer):
            pairs.append((layer, copy))
        return copy

    def copy_unless_nested(layer: Any) -> Any:
        return layer if isinstance(layer, (keras.Sequential, *NORMALIZATION_LAYERS)) else copy_layer(layer)

    def call_layer(layer: Any, *inputs: Any, **arguments: Any) -> Any:
        if isinstance(layer, NORMALIZATION_LAYERS):
            return inputs[0]
        if isinstance(layer, keras.Sequential):
            x = inputs[0]
            for inner in layer.layers:
                x = copy_layer(inner)(x)
            return x
        return layer(*inputs, **arguments)

    copy = keras.models.clone_model(
        model, input_tensors=model.input, clone_function=copy_unless_nested, call_function=call_layer
    )
    return copy.outputs[0], pairs


def _stable_name(layer: Any, counts: dict[str, int]) -> str:
    """Return the layer's own name or, if Keras made it up, its class and a number counted within the model."""
    kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(layer).__name__).lower()
    if isinstance(layer, Preprocess) or _stem(layer.name).replace("_", "") != kind.replace("_", ""):
        return layer.name
    counts[kind] = counts.get(kind, -1) + 1
    return f"{kind}_{counts[kind]}"


def _stem(name: str) -> str:
    """Return a layer's name without the number at its end."""
    return re.sub(r"_\d+$", "", name)


def _number(name: str) -> int:
    """Return the number at the end of a layer's name, or 0."""
    match = re.search(r"_(\d+)$", name)
    return int(match[1]) if match else 0
