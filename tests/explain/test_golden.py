"""Our maps equal those of captum on ResNet-18 and VGG-16 with seeded weights; see benchmarks/parity."""

import functools
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from retinue.backbones import load_weights, resnet, vgg
from retinue.benchmarks.parity import fill
from retinue.explain.grad_cam import grad_cam
from retinue.explain.integrated_gradients import integrated_gradients
from retinue.explain.neuron_gradient import neuron_gradient
from retinue.explain.occlusion import occlusion
from retinue.explain.saliency import saliency

SIZE = 64


def occlusion_of_scores(model, images, target):
    """Occlude the score itself, as captum does, since the probabilities of a random model are 0 and 1."""
    maps = occlusion(lambda batch: np.asarray(model(batch)), images, target, size=16, stride=8, fill=0)
    return maps[..., None].repeat(3, axis=-1)


# The keys are those of the golden files. Captum's saliency is the magnitude of each channel's gradient and ours is the
# largest of them, so the magnitudes are compared.
METHODS = {
    "saliency": lambda model, images, target: np.abs(neuron_gradient(model, images, target, rule="plain")),
    "occlusion": occlusion_of_scores,
    "guided": lambda model, images, target: neuron_gradient(model, images, target, rule="guided"),
    "deconvnet": lambda model, images, target: neuron_gradient(model, images, target, rule="deconvnet"),
    "integrated-gradients": lambda model, images, target: integrated_gradients(model, images, target, steps=64),
    "grad-cam": lambda model, images, target: grad_cam(model, images, target)[..., None],
}


def load_seeded_weights(model, name, tmp_path):
    """Write the seeded weights as a checkpoint of torchvision and load it into the model."""
    family, arguments = {"resnet18": (resnet, {"depth": 18}), "vgg16": (vgg, {"depth": 16})}[name]
    torch_kinds = {"gamma": "weight", "kernel": "weight", "beta": "bias", "moving_mean": "running_mean"}
    tensors = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        torch_layer = (
            "logits" if (name, layer.name) == ("vgg16", "logits") else family.torch_name(layer.name, **arguments)
        )
        for variable in layer.weights:
            kind = variable.path.rsplit("/", 1)[-1]
            key = f"{torch_layer}.{torch_kinds.get(kind, kind).replace('moving_variance', 'running_var')}"
            shape = tuple(variable.shape)
            shape = tuple(shape[axis] for axis in (3, 2, 0, 1)) if len(shape) == 4 else shape[::-1]
            tensors[key] = fill.tensor(key, shape)
    linear = {key: tensors.pop(key) for key in list(tensors) if key.startswith("logits")}
    if linear:  # VGG's torch name of "logits" belongs to another layer
        model.get_layer("logits").set_weights([linear["logits.weight"].T, linear["logits.bias"]])
    save_file(tensors, tmp_path / "peer.safetensors")
    load_weights(model, str(tmp_path / "peer.safetensors"), name)


def build(name):
    image = keras.Input((None, None, 3), name="image")
    if name == "resnet18":
        return keras.Model(image, resnet.build(image, output_stride=32, classifier=True, depth=18))
    x = vgg.build(image, output_stride=32, classifier=False, depth=16)
    return keras.Model(image, keras.layers.Dense(10, name="logits")(keras.layers.GlobalAveragePooling2D()(x)))


@pytest.fixture(scope="module")
def golden(request, tmp_path_factory):
    """Return a function from "float32" or "float64" to the model, and the golden record."""

    @functools.cache
    def model_of(kind):
        keras.config.set_floatx(kind)
        keras.config.set_dtype_policy(kind)
        try:
            model = build(request.param)
        finally:
            keras.config.set_floatx("float32")
            keras.config.set_dtype_policy("float32")
        load_seeded_weights(model, request.param, tmp_path_factory.mktemp(request.param))
        return model

    return model_of, json.loads((Path(__file__).parent / "golden" / f"{request.param}.json").read_text())


SLOW = ("vgg16", "integrated-gradients")  # twenty seconds, and ResNet-18 proves the method, too
CASES = [
    pytest.param(name, method, marks=[pytest.mark.slow] * ((name, method) == SLOW), id=f"{name}-{method}")
    for name in ("resnet18", "vgg16")
    for method in METHODS
]


@pytest.mark.parametrize(("golden", "method"), CASES, indirect=["golden"])
def test_maps_equal_those_of_captum(golden, method):
    model_of, record = golden
    # On a path of 64 images some of the millions of ReLUs are so close to 0 that float32 puts them on the other side.
    model = model_of("float64" if method == "integrated-gradients" else "float32")
    expected, target = record["maps"][method], record["target"]
    maps = METHODS[method](model, fill.image(SIZE), target)[0]
    assert list(maps.shape) == expected["shape"]
    np.testing.assert_allclose(np.abs(maps).max(), expected["largest"], rtol=1e-4)
    sampled = maps.ravel()[:: -(-maps.size // len(expected["values"]))]
    np.testing.assert_allclose(sampled, expected["values"], rtol=0, atol=1e-4 * expected["largest"])
    if method == "saliency":
        np.testing.assert_array_equal(saliency(model, fill.image(SIZE), target)[0], maps.max(axis=-1))
