"""Backbones: image to feature maps. Importing this module imports neither Keras nor TensorFlow; `build` does."""

import fnmatch
import importlib
import logging

from retinue.backbones.multiply_adds import MULTIPLY_ADDS
from retinue.backbones.table import BACKBONES
from retinue.configs.errors import UsageError
from retinue.configs.quiet import import_tensorflow
from retinue.configs.suggestions import did_you_mean

logger = logging.getLogger(__name__)


def names(pattern=None):
    """The names of all backbones, or of those that match `pattern` ("resnet*", or any part of a name).

    A pattern without "/" is also tried on what follows the "/" of keras/<Name>.
    """
    if pattern is None:
        return list(BACKBONES)
    pattern = pattern if set(pattern) & set("*?[") else f"*{pattern}*"

    def fits(name):
        return any(
            fnmatch.fnmatchcase(part, pattern.lower()) for part in (name.lower(), name.lower().rpartition("/")[2])
        )

    return [name for name in BACKBONES if fits(name)]


def listing(pattern=None):
    """What `retinue models` shows: a dict for each backbone that matches, JSON-ready.

    name, input_size (pixels a side), parameters and multiply_adds (for one picture; both with the classifier), top1 (%
    on ImageNet as published, or None), output_strides, weights (what "imagenet" means, or "none").
    """
    return [
        {
            "name": name,
            "input_size": row.input_size,
            "parameters": row.parameters,
            "multiply_adds": MULTIPLY_ADDS[name],
            "top1": row.top1,
            "output_strides": " ".join(map(str, row.output_strides)),
            "weights": row.imagenet.origin if row.imagenet else "none",
        }
        for name, row in ((name, BACKBONES[name]) for name in names(pattern))
    ]


def find(name):
    """The table's row of a backbone. Raises UsageError with the nearest names for one that does not exist."""
    if name in BACKBONES:
        return BACKBONES[name]
    raise UsageError(f"there is no backbone {name!r}{did_you_mean(name, BACKBONES)} (`retinue models` lists all)")


def preprocessing(name, weights="imagenet"):
    """The `Preprocessing` record that goes with a backbone's weights; `build` has it in the model already."""
    return find(name).preprocessing


def build(name, weights="imagenet", input_size=None, output_stride=32, classifier=False, channels=3):
    """Build a backbone as a functional, flat `keras.Model`, preprocessing included.

    Input "image": float32 `[n, height, width, channels]`, RGB, values 0..255. Output: a dict from stride to the last
    feature map of that stride, float32 `[n, height/stride, width/stride, c]` (rounded), as `{2: ..., 4: ..., 32: ...}`.

    weights: "imagenet", "none" (random), or the path of a file (see `load_weights`).
    input_size: pixels a side, (height, width), or None for any size.
    output_stride: 8 or 16 replaces the later strides by dilation; the feature maps end at that stride.
    classifier: with the 1000-way ImageNet classifier. The output is then `{"logits": [n, 1000]}` alone, before softmax
    (Keras cannot sort a dict with numbers and words as keys); `endpoints(model)` still finds the feature maps.
    Raises UsageError for an unknown name, a size that is too small, an output stride that the net does not have;
    RetinueError for weights that are not there or do not fit.
    """
    row = find(name)
    height, width = _checked_size(name, row, input_size)
    if output_stride not in row.output_strides:
        offered = ", ".join(map(str, row.output_strides))
        raise UsageError(f"{name} cannot be built with output_stride {output_stride}; it offers {offered}")
    import_tensorflow()
    import keras

    from retinue.backbones.preprocess_layer import preprocess_layer
    from retinue.backbones.strides import endpoints
    from retinue.backbones.weights import load_weights

    family = importlib.import_module(f"retinue.backbones.{row.family}")
    image = keras.Input((height, width, channels), name="image")
    x = preprocess_layer(row.preprocessing)(image)
    x = family.build(x, output_stride=output_stride, classifier=classifier, **row.arguments)
    title = name.replace("/", "_")
    outputs = {"logits": x} if classifier else endpoints(keras.Model(image, x))
    model = keras.Model(image, outputs, name=title)
    if weights != "none":
        logger.info("%s", load_weights(model, weights, name))
    return model


def _checked_size(name, row, input_size):
    if input_size is None:
        if not row.any_size:
            raise UsageError(f"{name} needs a fixed input_size; {row.input_size} is what its weights were trained at")
        return None, None
    size = (input_size, input_size) if isinstance(input_size, int) else tuple(input_size)
    if min(size) < row.min_size:
        raise UsageError(f"{name} cannot be built for {size[0]}x{size[1]} pixels; the smallest is {row.min_size}")
    return size


def __getattr__(attribute):
    """`load_weights`, `WeightsReport`, `endpoints` and `layers_below` are here too, and import Keras when asked for."""
    homes = {"load_weights": "weights", "WeightsReport": "weights", "endpoints": "strides", "layers_below": "strides"}
    if attribute not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
    import_tensorflow()
    return getattr(importlib.import_module(f"retinue.backbones.{homes[attribute]}"), attribute)
