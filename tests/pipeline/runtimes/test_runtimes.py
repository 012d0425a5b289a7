import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from retinue.configs.errors import UsageError
from retinue.pipeline.runtimes import runtimes, tensorflow_runtime


@pytest.fixture(scope="module")
def model():
    """scores = 2 * mean over pixels + 1, and sums = sum over pixels: right answers by hand."""
    image = keras.Input((2, 2, 3), dtype="uint8", name="image")
    x = keras.ops.cast(image, "float32")
    outputs = {"scores": 2 * keras.ops.mean(x, axis=(1, 2)) + 1, "a_sum": keras.ops.sum(x, axis=(1, 2, 3))}
    return keras.Model({"image": image}, outputs)


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino", "onnxruntime"])
def test_a_batch_of_any_size_gives_named_outputs(model, runtime):
    run = runtimes.start(tensorflow_runtime.trace(model), model, runtime, "f32")
    images = np.arange(5 * 12, dtype=np.uint8).reshape(5, 2, 2, 3)
    for count in (5, 1, 3):
        outputs = run({"image": images[:count]})
        assert set(outputs) == {"scores", "a_sum"}
        means = images[:count].astype(np.float32).mean((1, 2))
        np.testing.assert_allclose(outputs["scores"], 2 * means + 1, rtol=1e-6)
        np.testing.assert_allclose(outputs["a_sum"], images[:count].sum((1, 2, 3)), rtol=1e-6)


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino", "onnxruntime"])
def test_earlier_outputs_stay_as_they_were(model, runtime):
    run = runtimes.start(tensorflow_runtime.trace(model), model, runtime, "f32")
    first = run({"image": np.full((1, 2, 2, 3), 3, np.uint8)})["scores"]
    run({"image": np.full((1, 2, 2, 3), 200, np.uint8)})
    np.testing.assert_array_equal(first, [[7, 7, 7]])


def test_the_model_outlives_its_builder():
    def build():
        keras.utils.set_random_seed(0)
        image = keras.Input((4,), name="image")
        model = keras.Model({"image": image}, {"scores": keras.layers.Dense(2, kernel_initializer="ones")(image)})
        return runtimes.start(tensorflow_runtime.trace(model), model, "tensorflow", "f32")

    run = build()
    import gc

    gc.collect()
    np.testing.assert_array_equal(run({"image": np.ones((1, 4), np.float32)})["scores"], [[4, 4]])


def test_choice():
    assert runtimes.choose()[:2] == ("openvino", "f32")
    assert runtimes.choose(available=("openvino",))[:2] == ("openvino", "f32")
    assert runtimes.choose(precision="bf16")[:2] == ("openvino", "bf16")
    assert runtimes.choose("tensorflow")[:2] == ("tensorflow", "f32")
    assert runtimes.choose(available=("onnxruntime",))[2] == "Runtime: onnxruntime f32 (the only format in this export)"
    assert "f32, in which the score was computed" in runtimes.choose()[2]


def test_without_openvino_tensorflow_is_used(monkeypatch):
    monkeypatch.setattr(runtimes, "has_openvino", lambda: False)
    runtime, _, why = runtimes.choose()
    assert runtime == "tensorflow" and "OpenVINO is not installed" in why
    with pytest.raises(UsageError, match="pip install openvino`, or use --runtime tensorflow"):
        runtimes.choose("openvino")
    assert runtimes.choose(available=("tensorflow", "openvino", "onnxruntime", "litert"))[0] == "onnxruntime"


@pytest.mark.parametrize(
    "options, words",
    [
        ({"runtime": "openvno"}, "unknown; use one of auto, tensorflow, openvino, onnxruntime, litert"),
        (
            {"runtime": "onnxruntime"},
            "this model runs with tensorflow, openvino only; `retinue export RUN` makes others",
        ),
        ({"precision": "int8"}, "this needs an int8 export, calibrated on images"),
        (
            {"runtime": "onnxruntime", "precision": "bf16", "available": ("onnxruntime",)},
            "onnxruntime runs f32 only",
        ),
        ({"precision": "f16"}, "unknown"),
        ({"runtime": "tensorflow", "precision": "bf16"}, "tensorflow runs f32 only"),
        ({"runtime": "tensorflow", "available": ("openvino",)}, "this model runs with openvino only"),
    ],
)
def test_impossible_choices_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        runtimes.choose(**options)


def test_the_converter_sends_nothing(tmp_path):
    """OpenVINO's converter would report to its makers, by a process of its own, and write into the user's home."""
    program = (
        "import os, sys, keras; from retinue.pipeline.runtimes import openvino_runtime, tensorflow_runtime; "
        "x = keras.Input((4,), name='x'); "
        "model = keras.Model({'x': x}, {'y': keras.layers.Dense(2)(x)}); "
        "openvino_runtime.convert(tensorflow_runtime.trace(model)); "
        "print(os.path.exists(os.path.expanduser('~/intel')), os.environ.get('CI'))"
    )
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "False None", done.stderr
