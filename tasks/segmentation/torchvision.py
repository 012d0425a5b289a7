"""Loads torchvision's fcn_resnet50/101 and deeplabv3_resnet50/101 checkpoints (.pth), without torch.

The models are ours with `segmentation.head` "fcn" or "deeplabv3" on resnet50 or resnet101 at output stride 8. The model
already contains the preprocessing that the checkpoints expect: RGB, the ImageNet mean and deviation. torchvision
measured its scores at a shorter side of 520 pixels. The auxiliary classifier, which is used in training only, is
ignored.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from retinue.backbones import resnet, torch_checkpoint
from retinue.backbones.weights import TORCH_VARIABLES, WeightsReport
from retinue.configs.errors import RetinueError

# Our layer names -> the names below torchvision's `classifier`, by `segmentation.head`.
HEADS: dict[str, dict[str, str]] = {
    "fcn": {"score_conv": "0", "score_bn": "1", "scores": "4"},
    "deeplabv3": {
        **{f"aspp_{i}_conv": f"0.convs.{i}.{1 if i == 4 else 0}" for i in range(5)},
        **{f"aspp_{i}_bn": f"0.convs.{i}.{2 if i == 4 else 1}" for i in range(5)},
        "aspp_project_conv": "0.project.0",
        "aspp_project_bn": "0.project.1",
        "score_conv": "1",
        "score_bn": "2",
        "scores": "4",
    },
}
CLASS_LAYER = "scores"  # not loaded if the checkpoint has another number of classes

VOC_NAMES = (
    "background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, horse, "
    "motorbike, person, pottedplant, sheep, sofa, train, tvmonitor"
).split(", ")


class MatchedTensors(NamedTuple):
    """The tensors of a checkpoint, matched to the variables of a model.

    Attributes:
        matched: arrays in Keras's layout by "layer/variable".
        mismatches: descriptions of variables whose tensor is missing or has another shape.
        unexpected: names of the tensors that the model does not use.
        note: a sentence if the class scores were not loaded, else "".
    """

    matched: dict[str, np.ndarray]
    mismatches: list[str]
    unexpected: tuple[str, ...]
    note: str


def is_segmentation_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a .pth checkpoint of one of torchvision's segmentation models."""
    file = Path(path).expanduser()
    if file.suffix not in (".pth", ".pt") or not file.is_file():
        return False
    names = list(torch_checkpoint.read(file))
    return any(name.startswith("classifier.4.") for name in names) and any(
        name.startswith("backbone.layer4.") for name in names
    )


def load_weights(model: keras.Model, path: str | os.PathLike[str], head: str) -> WeightsReport:
    """Load a checkpoint into a model.

    Class scores for another number of classes are not loaded; the report says so.

    Args:
        model: a segmentation model with that head on a resnet.
        path: the checkpoint.
        head: "fcn" or "deeplabv3".

    Returns:
        What was loaded.

    Raises:
        RetinueError: the file is missing, broken, or of another architecture; the model is then unchanged.
    """
    file = Path(path).expanduser()
    matched, mismatches, unexpected, note = match_tensors(model, torch_checkpoint.read(file), head)
    if mismatches:
        raise RetinueError(
            f"{file}: the checkpoint does not fit this model: {'; '.join(mismatches[:3])}. Choose the backbone and the "
            "segmentation.head that the checkpoint was trained with"
        )
    variables = _variables(model)
    for key, array in matched.items():
        variables[key][1].assign(array)
    missing = tuple(key for key in variables if key not in matched)
    return WeightsReport(str(file), tuple(matched), missing, unexpected, note)


def match_tensors(model: keras.Model, tensors: Mapping[str, np.ndarray], head: str) -> MatchedTensors:
    """Find the tensor of a state dict for each variable of a model.

    Args:
        model: a segmentation model with that head on a resnet.
        tensors: arrays by their name in torch.
        head: "fcn" or "deeplabv3".

    Returns:
        The `MatchedTensors`.
    """
    matched: dict[str, np.ndarray] = {}
    mismatches, used, note = [], set(), ""
    for key, (layer, variable) in _variables(model).items():
        name = f"{torch_name(layer.name, head)}.{TORCH_VARIABLES[key.rsplit('/', 1)[-1]]}"
        if name not in tensors:
            mismatches.append(f"{key} is missing ({name})")
            continue
        used.add(name)
        array = tensors[name]
        array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        if array.shape == tuple(variable.shape):
            matched[key] = array
        elif layer.name == CLASS_LAYER:
            note = f"its scores are for {array.shape[-1]} classes and were not loaded"
        else:
            mismatches.append(f"{key} is {array.shape} in the file and {tuple(variable.shape)} in the model")
    unexpected = tuple(name for name in tensors if name not in used and not name.endswith("num_batches_tracked"))
    return MatchedTensors(matched, mismatches, unexpected, note)


def torch_name(layer: str, head: str) -> str:
    """Return torchvision's name of one of our layers; head: "fcn" or "deeplabv3"."""
    if layer in HEADS[head]:
        return f"classifier.{HEADS[head][layer]}"
    return f"backbone.{resnet.torch_name(layer)}"


def _variables(model: keras.Model) -> dict[str, tuple[keras.layers.Layer, Any]]:
    """Return (layer, variable) of all weights by "layer/variable"."""
    return {
        f"{layer.name}/{variable.path.rsplit('/', 1)[-1]}": (layer, variable)
        for layer in model.layers
        for variable in layer.weights
    }
