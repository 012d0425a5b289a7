"""Bfloat16's shift, by hand, and taken out of a model's biases."""

import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from retinue.data.readers.read import read
from retinue.pipeline.evaluation import bf16_proof
from retinue.pipeline.evaluation.evaluate import score
from retinue.pipeline.exporting.export import export
from retinue.pipeline.exporting.options import ExportOptions
from retinue.pipeline.runs.run import Run, open_model
from retinue.pipeline.runtimes import bf16_bias_correction, openvino_runtime, runtimes, tensorflow_runtime

# Of bfloat16's 1 and 1 + 2**-7 the nearest: the first goes up by 15/4096, the other down by 1/512.
UP, DOWN = 1 + 2**-8 + 2**-12, 1 + 2**-9


def test_rounding_takes_the_nearest_and_of_two_the_even_one():
    given = [1.0, UP, DOWN, 1 + 2**-8, 1 + 3 * 2**-8, -UP, 0.0]
    wanted = [1.0, 1 + 2**-7, 1.0, 1.0, 1 + 2**-6, -1 - 2**-7, 0.0]
    np.testing.assert_array_equal(bf16_bias_correction.round_to_bfloat16(np.float32(given)), np.float32(wanted))


def test_the_shift_of_each_kind_by_hand():
    up, down = 15 / 4096, -1 / 512
    means = np.float32([2, 10])
    matrix = np.float32([[UP, 1], [DOWN, DOWN]])  # [in, out]
    np.testing.assert_allclose(bf16_bias_correction.shift_of("MatMul", matrix, means), [2 * up + 10 * down, 10 * down])
    np.testing.assert_allclose(
        bf16_bias_correction.shift_of("MatMul", matrix.T, means, True), [2 * up + 10 * down, 10 * down]
    )
    kernel = np.zeros((1, 2, 3, 3), np.float32)
    kernel[0, 0, :2, 1], kernel[0, 1, 2, 2] = UP, DOWN
    np.testing.assert_allclose(bf16_bias_correction.shift_of("Convolution", kernel, means), [2 * 2 * up + 10 * down])
    depthwise = np.zeros((2, 1, 1, 3, 3), np.float32)  # [groups, out, in, h, w]
    depthwise[0, 0, 0, 0, :2], depthwise[1, 0, 0, 1, 1] = UP, DOWN
    np.testing.assert_allclose(
        bf16_bias_correction.shift_of("GroupConvolution", depthwise, means), [2 * 2 * up, 10 * down]
    )


class Plain:
    """As much of a task as `measure` asks for."""

    def wrap_inference(self, run):
        return run


@pytest.fixture
def model():
    """Convolution, ReLU, depthwise, a matrix; the convolution twice, on two inputs of other means, as in a pyramid."""
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3), name="image")
    shared = keras.layers.Conv2D(6, 3, use_bias=False)
    fine, coarse = shared(image), shared(3 * image[:, ::2, ::2] + 1)
    maps = [keras.layers.DepthwiseConv2D(3)(keras.ops.relu(part + 0.5)) for part in (fine, coarse)]
    pooled = keras.ops.concatenate([keras.ops.mean(part, axis=(1, 2)) for part in maps])
    return keras.Model({"image": image}, {"scores": keras.layers.Dense(5)(pooled)})


def test_biases_take_the_mean_shift_out_of_a_model(model):
    random = np.random.default_rng(0)
    images = [{"image": np.float32(random.uniform(0.5, 1.5, (16, 16, 3)))} for _ in range(16)]
    converted = openvino_runtime.convert(tensorflow_runtime.trace(model))
    before = converted.clone()
    layers = bf16_bias_correction.measure(converted, Plain(), images[:8])
    assert len(layers) == 5 and sum(layer.shape == (6, 3, 3, 3) for layer in layers) == 2
    np.testing.assert_allclose(layers[0].means, np.mean([p["image"].mean((0, 1)) for p in images[:8]], axis=0), 1e-5)
    bf16_bias_correction._correct_biases(converted, layers)
    batch = {"image": np.stack([image["image"] for image in images[8:]])}  # others than were measured
    truth = openvino_runtime.OpenVINORuntime(before)(batch)["scores"]
    shift, left = (
        np.abs(
            (openvino_runtime.OpenVINORuntime(_with_rounded_weights(one))(batch)["scores"] - truth).mean(axis=0)
        ).max()
        for one in (before, converted)
    )
    assert left < 0.1 * shift


def _with_rounded_weights(converted):
    """What bf16 makes of the weights, and of nothing else: on any machine the same."""
    from openvino import opset13

    converted = converted.clone()
    for node, weights in bf16_bias_correction._linear_layers(converted):
        node.input(1).replace_source_output(opset13.constant(bf16_bias_correction.round_to_bfloat16(weights)).output(0))
    return converted


def test_what_is_kept_is_what_was_measured(model, tmp_path):
    image = {"image": np.full((16, 16, 3), 0.7, np.float32)}
    layers = bf16_bias_correction.measure(openvino_runtime.convert(tensorflow_runtime.trace(model)), Plain(), [image])
    bf16_bias_correction.write(tmp_path / "bf16.npz", layers)
    for one, other in zip(layers, bf16_bias_correction._read(tmp_path / "bf16.npz"), strict=True):
        assert one.shape == other.shape and one.magnitude == other.magnitude
        np.testing.assert_array_equal(one.means, other.means)


def test_a_run_measures_once_and_an_export_takes_it_along(own_model, image_folder, tmp_path, monkeypatch):
    """Without what was measured, and without the images to do it again, bf16 is as it is, and that is reported."""
    reported = []
    monkeypatch.setattr(bf16_bias_correction.logger, "warning", lambda text, *values: reported.append(text % values))
    model, own = own_model, shutil.copytree(image_folder, tmp_path / "images")
    rows = [f"{path},{'val' if path.name[0] == '1' else 'train'}\n" for path in sorted(own.iterdir())]
    (model.folder / "split.csv").write_text("".join(["file,split\n", *rows]), encoding="utf-8")
    batch = {"image": np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)}

    runtimes.load(model, "tensorflow", "f32")
    runtimes.load(model, "openvino", "f32")
    assert not (model.folder / "bf16.npz").exists()
    first = runtimes.load(model, "openvino", "bf16")(batch)["scores"]
    kept = (model.folder / "bf16.npz").read_bytes()
    assert len(bf16_bias_correction._read(model.folder / "bf16.npz")) == 2
    export(model, tmp_path / "exported", ExportOptions(formats=["savedmodel", "openvino"]))
    assert (tmp_path / "exported" / "bf16.npz").read_bytes() == kept
    shutil.rmtree(own)
    for other in (model, open_model(tmp_path / "exported")):
        found = runtimes.load(other, "openvino", "bf16")(batch)["scores"]
        np.testing.assert_allclose(found, first, atol=1e-6)
    assert not reported
    (model.folder / "bf16.npz").unlink()
    runtimes.load(model, "openvino", "bf16")
    assert "bf16 bias correction skipped: the training files" in reported[0]


def test_what_was_measured_before_training_went_on_is_measured_anew(own_model, image_folder, tmp_path):
    rows = [f"{path},train\n" for path in sorted(image_folder.iterdir())]
    (own_model.folder / "split.csv").write_text("".join(["file,split\n", *rows]), encoding="utf-8")
    runtimes.load(own_model, "openvino", "bf16")
    before = bf16_bias_correction._read(own_model.folder / "bf16.npz")
    model = own_model.build()
    model.set_weights([1.5 * weight for weight in model.get_weights()])
    model.save_weights(own_model.folder / "best.weights.h5")
    runtimes.load(own_model, "openvino", "bf16")
    after = bf16_bias_correction._read(own_model.folder / "bf16.npz")
    for one, other in zip(before, after, strict=True):
        assert other.shape == one.shape and other.magnitude == pytest.approx(1.5 * one.magnitude, rel=1e-5)


def test_what_bf16_costs_is_scored_on_enough_files_only(own_model, tmp_path):
    random, folder = np.random.default_rng(0), tmp_path / "data"
    for name in own_model.classes:
        (folder / name).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / name / f"{number}.png")
    dataset, model, run = read(str(folder)), own_model.build(), Run(own_model.folder)
    (own_model.folder / "run.json").write_text("{}")
    scores = score(own_model.task, runtimes.load(own_model, "tensorflow", "f32"), dataset, interval=False)
    few = dataset.take(np.arange(bf16_bias_correction.MIN_FILES - 1))
    assert bf16_proof.prove(run, own_model.task, model, few, scores) is None
    found = bf16_proof.prove(run, own_model.task, model, dataset, scores)
    if not bf16_bias_correction.is_native():
        assert found is None
        return
    again = score(own_model.task, runtimes.load(own_model, "openvino", "bf16"), dataset, interval=False)
    assert found == {"score": "accuracy", "files": 60, "f32": scores.value, "bf16": again.value}
    run.update(proven=found | {"bf16": found["f32"]})
    assert runtimes.choose_for(own_model)[:2] == ("openvino", "bf16")
    assert runtimes.choose_for(own_model, precision="f32")[1] == "f32"
    run.update(proven=found | {"bf16": found["f32"] - 0.0051})
    assert runtimes.choose_for(own_model)[:2] == ("openvino", "f32")


def test_the_line_says_why():
    proven = {"score": "accuracy", "files": 654, "f32": 0.8869, "bf16": 0.8853}
    precision, why = bf16_bias_correction.precision_for(proven)
    assert (precision, "accuracy 88.69% in f32, 88.53% in bf16, on 654 files" in why) == (
        ("bf16", True) if bf16_bias_correction.is_native() else ("f32", False)
    )
    assert bf16_bias_correction.precision_for(proven | {"bf16": 0.88})[0] == "f32"
    assert bf16_bias_correction.precision_for(None) == ("f32", "; f32, in which the score was computed")
