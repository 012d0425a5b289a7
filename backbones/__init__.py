"""Backbones: image to feature maps.

Importing this module imports neither Keras nor TensorFlow; `build` does.
"""

import fnmatch
import importlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retinue.backbones.multiply_adds import MULTIPLY_ADDS
from retinue.backbones.preprocessing import Preprocessing
from retinue.backbones.table import BACKBONES, Backbone
from retinue.configs.errors import UsageError
from retinue.configs.quiet import import_tensorflow
from retinue.configs.suggestions import did_you_mean

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)


def names(pattern: str | None = None) -> list[str]:
    """List the names of the backbones.

    Args:
        pattern: Lists only names that match: "resnet*", or any part of a name. A pattern without "/" is also compared
            with the part after the "/" of keras/<Name>.
    """
    if pattern is None:
        return list(BACKBONES)
    glob = (pattern if set(pattern) & set("*?[") else f"*{pattern}*").lower()
    return [
        name
        for name in BACKBONES
        if any(fnmatch.fnmatchcase(part, glob) for part in (name.lower(), name.lower().rpartition("/")[2]))
    ]


def listing(pattern: str | None = None) -> list[dict[str, Any]]:
    """List the backbones as `retinue models` prints them.

    Args:
        pattern: See `names`.

    Returns:
        One JSON-ready dict per backbone: name, input_size (side in pixels), parameters and multiply_adds (for one
        image, both with the classifier), top1 (published ImageNet accuracy in %, or None), output_strides, and weights
        (the source of "imagenet", or "none").
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


def find(name: str) -> Backbone:
    """Return the table's row of a backbone.

    Raises:
        UsageError: There is no such backbone. The message has the nearest names.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    raise UsageError(f"there is no backbone {name!r}{did_you_mean(name, BACKBONES)} (`retinue models` lists all)")


def preprocessing(name: str) -> Preprocessing:
    """Return the preprocessing record of a backbone's weights. `build` already puts it into the model.

    Raises:
        UsageError: There is no such backbone.
    """
    return find(name).preprocessing


def build(
    name: str,
    weights: str = "imagenet",
    input_size: int | Sequence[int] | None = None,
    output_stride: int = 32,
    classifier: bool = False,
    channels: int = 3,
) -> "keras.Model":
    """Build a backbone as a flat functional `keras.Model`, including preprocessing.

    Args:
        name: Name of the backbone.
        weights: "imagenet", "none" (random), or the path of a file (see `load_weights`).
        input_size: Side in pixels, (height, width), or None for any size.
        output_stride: 8 or 16 replaces the later strides by dilation. The feature maps then end at that stride.
        classifier: Whether the model has the 1000-class ImageNet classifier.
        channels: Number of input channels.

    Returns:
        A model with the input "image", float32 `[n, height, width, channels]`, RGB, 0..255. Its output is a dict from
        stride to the last feature map of that stride, float32 `[n, height/stride, width/stride, c]` (rounded), such as
        `{2: ..., 4: ..., 32: ...}`. With the classifier the output is `{"logits": [n, 1000]}` alone, before the
        softmax, since Keras cannot sort a dict whose keys are numbers and words; `endpoints(model)` still finds the
        feature maps.

    Raises:
        UsageError: The name is unknown, the size is too small, or the backbone does not have this output stride.
        RetinueError: The weights do not exist or do not fit.
    """
    row = find(name)
    height, width = _check_size(name, row, input_size)
    if output_stride not in row.output_strides:
        strides = ", ".join(map(str, row.output_strides))
        raise UsageError(f"{name} cannot be built with output_stride {output_stride}; it offers {strides}")
    import_tensorflow()
    import keras

    from retinue.backbones.preprocess_layer import preprocess_layer
    from retinue.backbones.strides import endpoints
    from retinue.backbones.weights import load_weights

    family = importlib.import_module(f"retinue.backbones.{row.family}")
    image = keras.Input((height, width, channels), name="image")
    x = preprocess_layer(row.preprocessing)(image)
    x = family.build(x, output_stride=output_stride, classifier=classifier, **row.arguments)
    outputs = {"logits": x} if classifier else endpoints(keras.Model(image, x))
    model = keras.Model(image, outputs, name=name.replace("/", "_"))
    if weights != "none":
        logger.info("%s", load_weights(model, weights, name))
    return model


def _check_size(name: str, row: Backbone, input_size: int | Sequence[int] | None) -> tuple[int | None, int | None]:
    if input_size is None:
        if not row.any_size:
            raise UsageError(f"{name} needs a fixed input_size; {row.input_size} is the size of its weights' training")
        return None, None
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    if min(height, width) < row.min_size:
        raise UsageError(f"{name} cannot be built for {height}x{width} pixels; the smallest size is {row.min_size}")
    return height, width


def __getattr__(attribute: str) -> Any:
    """Import `load_weights`, `WeightsReport`, `endpoints` and `layers_below`, which need Keras, when they are used."""
    modules = {"load_weights": "weights", "WeightsReport": "weights", "endpoints": "strides", "layers_below": "strides"}
    if attribute not in modules:
        raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
    import_tensorflow()
    return getattr(importlib.import_module(f"retinue.backbones.{modules[attribute]}"), attribute)
