"""Our logits equal those of torchvision and timm with the same weights; see benchmarks/parity/golden.py."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from retinue.backbones import load_weights, weights
from retinue.backbones.table import BACKBONES
from retinue.benchmarks.parity import fill

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


def checkpoint(model, family, arguments):
    """Make the tensors of a torch checkpoint of `model`, in torch's names and layout, filled by their names."""
    tensors = {}
    for layer in model.layers:
        for variable in layer.weights:
            kind = variable.path.rsplit("/", 1)[-1]
            names = family.torch_name(layer.name, **arguments)
            torch_layer = names if isinstance(names, str) else names[0]
            key = f"{torch_layer}.{weights.TORCH_VARIABLES.get(kind, kind)}"
            shape = tuple(variable.shape)
            if len(shape) == 4:
                order = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (3, 2, 0, 1)
                shape = tuple(shape[axis] for axis in order)
            tensors[key] = fill.tensor(key, shape[::-1] if len(shape) == 2 else shape)
    return tensors


# Each takes seven to ten seconds, and other members of their families are tested too.
LARGE = ("senet154", "vgg11", "inception_resnet_v2", "resnet152", "densenet161")


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in LARGE)) for path in GOLDEN]
)
def test_logits_equal_those_of_the_reference(path, tmp_path):
    golden, row = json.loads(path.read_text()), BACKBONES[path.stem]
    family = weights.importlib.import_module(f"retinue.backbones.{row.family}")
    image = keras.Input((None, None, 3))
    model = keras.Model(image, family.build(image, output_stride=32, classifier=True, **row.arguments))
    tensors = checkpoint(model, family, row.arguments)
    assert len(tensors) == golden["tensors"]
    save_file(tensors, tmp_path / "peer.safetensors")
    report = load_weights(model, str(tmp_path / "peer.safetensors"), path.stem)
    assert (len(report.matched), report.missing, report.unexpected) == (golden["tensors"], (), ())
    for size, logits in golden["logits"].items():
        ours = np.asarray(model(fill.image(int(size)), training=False))[0, :: 1000 // len(logits)]
        np.testing.assert_allclose(ours, logits, rtol=0, atol=1e-4 * np.abs(logits).max(), err_msg=f"at {size} pixels")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_classifiers_equal_those_of_torchvision(name, tmp_path):
    golden, row = json.loads((GOLDEN[0].parent / f"{name}.json").read_text())["auxiliary"], BACKBONES[name]
    family = weights.importlib.import_module(f"retinue.backbones.{row.family}")
    size = golden.pop("size")
    image = keras.Input((size, size, 3))
    logits = family.build(image, output_stride=32, classifier=True)
    add_auxiliary = getattr(family, "with_auxiliary_classifiers", None) or family.with_auxiliary_classifier
    model = add_auxiliary(keras.Model(image, {"logits": logits}))
    save_file(checkpoint(model, family, row.arguments), tmp_path / "peer.safetensors")
    report = load_weights(model, str(tmp_path / "peer.safetensors"), name)
    assert (report.missing, report.unexpected) == ((), ())
    outputs = model(fill.image(size), training=False)
    for part, logits in golden.items():
        ours = np.asarray(outputs["aux" if part == "AuxLogits" else part])[0, :: 1000 // len(logits)]
        np.testing.assert_allclose(ours, logits, rtol=0, atol=1e-4 * np.abs(logits).max(), err_msg=part)
