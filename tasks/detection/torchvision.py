"""Weights of torchvision's fasterrcnn_resnet*_fpn checkpoints (.pth), read without torch.

Our model preprocesses images as these checkpoints need it: RGB, the mean and standard deviation of ImageNet, the
shorter side 800 and the longer side at most 1333 pixels, and padding that is zero afterwards. One thing differs:
torchvision shrinks images by plain bilinear interpolation, we by area averages (data/decoding/resize.py).
"""

import os
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from retinue.backbones import resnet, torch_checkpoint
from retinue.backbones.weights import TORCH_VARIABLES, WeightsReport
from retinue.configs.errors import RetinueError

EPSILON = 1e-5  # of our batch normalization
PUBLISHED = "fasterrcnn_resnet50_fpn_coco"  # the file that torchvision publishes was trained with an epsilon of 0
STRIDES = (4, 8, 16, 32)
HEADS = {
    "rpn_conv": ("rpn.head.conv.0.0", "rpn.head.conv"),  # the second is the name before torchvision 0.13
    "rpn_objectness": ("rpn.head.cls_logits",),
    "rpn_deltas": ("rpn.head.bbox_pred",),
    "head_fc6": ("roi_heads.box_head.fc6",),
    "head_fc7": ("roi_heads.box_head.fc7",),
    "head_classes": ("roi_heads.box_predictor.cls_score",),
    "head_boxes": ("roi_heads.box_predictor.bbox_pred",),
}
CLASS_LAYERS = ("head_classes", "head_boxes")  # left out if the file has other classes


def is_detector(path: str | os.PathLike[str]) -> bool:
    """Check whether a file is a .pth checkpoint of one of torchvision's Faster R-CNNs."""
    path = Path(path).expanduser()
    if path.suffix not in (".pth", ".pt") or not path.is_file():
        return False
    return any(name.startswith("roi_heads.box_predictor") for name in torch_checkpoint.read(path))


def load_weights(model: keras.Model, path: str | os.PathLike[str]) -> WeightsReport:
    """Load a checkpoint into a detector of the architecture "fpn" on a resnet.

    The outputs for classes and boxes are left out if the file has another number of classes; the report says so.

    Args:
        model: the detector.
        path: the .pth file.

    Returns:
        A report of what was loaded.

    Raises:
        RetinueError: the file is missing, broken, or of another architecture. The model is then unchanged.
    """
    path = Path(path).expanduser()
    return assign(model, torch_checkpoint.read(path), str(path))


def assign(model: keras.Model, tensors: Mapping[str, np.ndarray], source: str) -> WeightsReport:
    """Load a state dict into a detector.

    Args:
        model: the detector.
        tensors: the state dict, name -> array.
        source: name of the file, for messages.

    Returns:
        A report of what was loaded.

    Raises:
        RetinueError: the state dict is of another architecture. The model is then unchanged.
    """
    matched, misfits, unexpected, note = match(model, tensors, source)
    if misfits:
        raise RetinueError(
            f"{source}: these weights don't fit this detector: {'; '.join(misfits[:3])}. Set model.backbone and "
            "detection.architecture to those of the file"
        )
    variables = _variables(model)
    for key, array in matched.items():
        variables[key][1].assign(array)
    missing = tuple(key for key in variables if key not in matched)
    return WeightsReport(source, tuple(matched), missing, unexpected, note)


def match(
    model: keras.Model, tensors: Mapping[str, np.ndarray], source: str = ""
) -> tuple[dict[str, np.ndarray], list[str], tuple[str, ...], str]:
    """Find the tensor of a state dict for each variable of a detector.

    Args:
        model: the detector.
        tensors: the state dict, name -> array.
        source: name of the file.

    Returns:
        A dict from "layer/variable" to an array in Keras's layout; descriptions of what does not fit; the names that
        were not used; and a note if the outputs for classes were left out.
    """
    epsilon = 0.0 if PUBLISHED in Path(source).name else EPSILON
    matched: dict[str, np.ndarray] = {}
    misfits: list[str] = []
    used: set[str] = set()
    note = ""
    for key, (layer, variable) in _variables(model).items():
        kind = key.rsplit("/", 1)[-1]
        names = [f"{name}.{TORCH_VARIABLES[kind]}" for name in _torch_names(layer.name)]
        name = next((name for name in names if name in tensors), None)
        if name is None:
            misfits.append(f"{key} is missing in the file ({names[0] if names else 'torchvision has no such layer'})")
            continue
        used.add(name)
        array = _to_keras_layout(tensors[name], layer.name)
        if kind == "moving_variance":
            array = array + np.float32(epsilon - EPSILON)
        if array.shape == tuple(variable.shape):
            matched[key] = array
        elif layer.name in CLASS_LAYERS:
            classes = len(tensors[HEADS["head_classes"][0] + ".bias"]) - 1
            note = f"the outputs of the file are for {classes} classes, so they were left out"
        else:
            misfits.append(f"{key} is {array.shape} in the file and {tuple(variable.shape)} in the model")
    unexpected = tuple(name for name in tensors if name not in used and not name.endswith("num_batches_tracked"))
    return matched, misfits, unexpected, note


def _variables(model: keras.Model) -> dict[str, tuple[keras.Layer, keras.Variable]]:
    """Return "layer/variable" -> (layer, variable) of all weights."""
    return {
        f"{layer.name}/{variable.path.rsplit('/', 1)[-1]}": (layer, variable)
        for layer in model.layers
        for variable in layer.weights
    }


def _torch_names(layer: str) -> tuple[str, ...]:
    """Return torchvision's names of one of our layers, the newest first."""
    if layer in HEADS:
        return HEADS[layer]
    if layer.startswith("pyramid_"):
        _, part, stride = layer.split("_")
        level = STRIDES.index(int(stride))
        name = f"backbone.fpn.{'inner' if part == 'lateral' else 'layer'}_blocks.{level}"
        return f"{name}.0", name
    try:
        return (f"backbone.body.{resnet.torch_name(layer)}",)
    except ValueError:  # not a layer of a resnet
        return ()


def _to_keras_layout(array: np.ndarray, layer: str) -> np.ndarray:
    """Transpose kernels `[out, in, h, w]` to `[h, w, in, out]` and `[out, in]` to `[in, out]`.

    The inputs of fc6 are reordered to channels last.
    """
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if layer == "head_fc6" and array.ndim == 2:
        side = 7
        array = array.reshape(array.shape[0], -1, side, side).transpose(0, 2, 3, 1).reshape(array.shape[0], -1)
    return array.T if array.ndim == 2 else array
