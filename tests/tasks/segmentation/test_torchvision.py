"""With the same weights, our models have torchvision's logits; benchmarks/parity/segmentation_golden.py has them."""

import json
from pathlib import Path

import numpy as np
import pytest

from retinue.backbones.preprocessing import TORCH
from retinue.backbones.weights import TORCH_VARIABLES
from retinue.benchmarks.parity import segmentation_golden as golden
from retinue.configs.load import load_config
from retinue.tasks.segmentation import model as segmentation_models
from retinue.tasks.segmentation import torchvision

FOLDER = Path(__file__).parent / "golden"


def build_model(name, classes=golden.CLASSES):
    head = "fcn" if name.startswith("fcn") else "deeplabv3"
    backbone = name.split("_")[1]
    settings = ["task=segmentation", f"model.backbone={backbone}", "model.weights=none", f"segmentation.head={head}"]
    return segmentation_models.build(load_config(settings=settings), classes), head


def checkpoint(model, head):
    """Return the tensors of torchvision's checkpoint of `model`, in torch's names and layout, filled by their names."""
    tensors = {}
    for layer in model.layers:
        for variable in layer.weights:
            kind = TORCH_VARIABLES[variable.path.rsplit("/", 1)[-1]]
            key = f"{torchvision.torch_name(layer.name, head)}.{kind}"
            shape = tuple(variable.shape)
            tensors[key] = golden.tensor(key, tuple(shape[axis] for axis in (3, 2, 0, 1)) if len(shape) == 4 else shape)
    return tensors


# ResNet-101 takes twice as long as ResNet-50, with the same heads and the same names of layers.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * name.endswith("101")) for name in golden.NAMES]
)
def test_logits_equal_those_of_torchvision(name):
    record = json.loads((FOLDER / f"{name}.json").read_text())
    model, head = build_model(name)
    tensors = checkpoint(model, head)
    assert len(tensors) == record["tensors"]
    matched, mismatches, unexpected, _ = torchvision.match_tensors(model, tensors, head)
    assert (len(matched), mismatches, unexpected) == (record["tensors"], [], ())
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(matched[f"{layer.name}/{variable.path.rsplit('/', 1)[-1]}"])
    for size, expected in record["logits"].items():
        height, width = map(int, size.split("x"))
        image = golden.image(height, width) * np.float32(TORCH.std) + np.float32(TORCH.mean)
        logits = np.asarray(model(image, training=False))
        assert logits.shape == (1, height, width, golden.CLASSES)
        np.testing.assert_allclose(logits.ravel()[:: golden.KEPT], expected["values"], rtol=0, atol=1e-3)


def test_scores_of_another_number_of_classes_are_not_loaded_and_reported():
    model, head = build_model("fcn_resnet18", classes=3)
    tensors = checkpoint(model, head)
    tensors["classifier.4.weight"] = np.zeros((21, 128, 1, 1), np.float32)
    tensors["classifier.4.bias"] = np.zeros(21, np.float32)
    matched, mismatches, _, note = torchvision.match_tensors(model, tensors, head)
    assert "scores/kernel" not in matched and not mismatches and "21 classes" in note


def test_a_checkpoint_of_another_architecture_has_mismatches():
    model, head = build_model("fcn_resnet18")
    tensors = checkpoint(model, head)
    del tensors["backbone.layer3.0.conv1.weight"]
    assert "backbone.layer3.0.conv1" in torchvision.match_tensors(model, tensors, head)[1][0]
