"""`retinue explain` for the streams of a video model, on a small model and real files."""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import retinue
from retinue import cli
from retinue.configs.errors import UsageError
from retinue.pipeline.explaining.explain import explain
from retinue.pipeline.explaining.options import ExplainOptions
from retinue.pipeline.runs.run import open_model
from retinue.tests.helpers.clips import SMALL, make_clips

OPTIONS = SMALL | {
    "video__flow_subtract_mean": True,
    "train__stages": {"all": {"epochs": 1, "learning_rate": 2e-3, "backbone_lr_multiplier": 1.0}},
    "evaluate__bootstrap_samples": 0,
}
TOP, LEFT = 2, 8  # offset of the 32 x 32 pixels that the model sees of 36 x 48


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return make_clips(tmp_path_factory.mktemp("data") / "clips", clips_per_class=2)


@pytest.fixture(scope="module")
def run(clips, tmp_path_factory):
    """A run whose model has random weights, so that every output depends on every pixel."""
    folder = retinue.train(str(clips), str(tmp_path_factory.mktemp("runs") / "run"), **OPTIONS)[0].folder
    model, random = open_model(folder).build(), np.random.default_rng(0)
    model.set_weights([random.normal(0, 1 / np.sqrt(np.prod(weight.shape[:-1])), weight.shape) if weight.ndim > 1
                     else np.zeros_like(weight) for weight in model.get_weights()])  # fmt: skip
    model.save_weights(folder / "best.weights.h5")
    return folder


@pytest.fixture(scope="module")
def model_inputs(run, clips):
    """Return (task, model, its two inputs for one clip as arrays, cropped by hand)."""
    loaded = open_model(run)
    start = {"start": tf.constant(0.0), "end": tf.constant(0.0)}
    record = loaded.task.read_record({"file": tf.constant(str(clips / "red left" / "0.avi"))} | start)
    fields = (record["flow"].numpy().astype(np.float32) - 127.5) * (8.0 / 255)
    fields -= fields.mean(axis=(1, 2), keepdims=True)
    full = {"frames": record["frames"].numpy().astype(np.float32), "flow": fields}
    crops = {name: array[None, :, TOP : TOP + 32, LEFT : LEFT + 32] for name, array in full.items()}
    return loaded.task, loaded.build(), crops


def test_saliency_of_each_stream_is_the_gradient_of_its_own_logit(run, clips, model_inputs, tmp_path, logged):
    task, model, inputs = model_inputs
    target = task.classes.index("red right")
    logged.clear()
    clip = str(clips / "red left" / "0.avi")
    explain(str(run), [clip], tmp_path / "why", ExplainOptions(methods="saliency", class_name="Red right"))
    tensors = {name: tf.constant(array) for name, array in inputs.items()}
    for stream, name in (("spatial", "frames"), ("temporal", "flow")):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            score = model(tensors, training=False)[stream][0, target]
        # The score is the mean of two snippets.
        gradient = np.abs(2 * tape.gradient(score, tensors[name])[0]).max(axis=-1)
        attribution = np.load(tmp_path / "why" / "0" / f"{stream}-saliency.npy")
        assert attribution.shape == (2, 36, 48) and gradient.max() > 0
        np.testing.assert_allclose(
            attribution[:, TOP : TOP + 32, LEFT : LEFT + 32], gradient, rtol=0, atol=1e-3 * gradient.max()
        )
        assert not attribution[:, :TOP].any()
        assert not attribution[:, :, :LEFT].any() and not attribution[:, :, LEFT + 32 :].any()
    (entry,) = json.loads((tmp_path / "why" / "explanations.json").read_text())
    retinue.predict(str(run), [clip], tmp_path / "predicted")
    prediction = json.loads((tmp_path / "predicted" / "predictions.jsonl").read_text())
    assert entry["class"] == "red right" and entry["snippets"] == [1, 2] and entry["num_snippets"] == 2
    assert entry["score"] == pytest.approx(_score_of(prediction["labels"], "red right"), abs=1e-5)
    own = {name: _score_of(labels, "red right") for name, labels in prediction["streams"].items()}
    assert entry["streams"] == pytest.approx(own, abs=1e-5)
    assert (
        "explaining red right" in logged.messages[0]
        and "frames alone" in logged.messages[0]
        and "motion alone" in logged.messages[0]
    )


def _score_of(labels, name):
    return next(entry["score"] for entry in labels if entry["label"] == name)


def test_occlusion_fills_frames_with_their_mean_and_flow_with_zero(run, clips, model_inputs, tmp_path):
    task, model, inputs = model_inputs
    clip, target = clips / "red left" / "0.avi", task.classes.index("red left")
    explain(str(run), [clip], tmp_path / "why", ExplainOptions(methods="occlusion", class_name="red left"))
    for stream, name in (("spatial", "frames"), ("temporal", "flow")):
        attribution = np.load(tmp_path / "why" / "0" / f"{stream}-occlusion.npy")
        one = {each: array[:, :1].copy() for each, array in inputs.items()}
        fill = one["frames"].mean(axis=(1, 2, 3)) if stream == "spatial" else 0.0
        # Squares of 6 x 6 pixels move in steps of 1, so 36 of them cover an inner pixel.
        inner = np.abs(attribution[0, TOP + 5 : TOP + 27, LEFT + 5 : LEFT + 27])
        row, column = np.array(np.unravel_index(inner.argmax(), inner.shape)) + 5
        drops = []
        for top, left in itertools.product(range(row - 5, row + 1), range(column - 5, column + 1)):
            covered = {each: array.copy() for each, array in one.items()}
            covered[name][0, 0, top : top + 6, left : left + 6] = fill
            drops.append(_probability(model, one, stream, target) - _probability(model, covered, stream, target))
        at = attribution[0, TOP + row, LEFT + column]
        np.testing.assert_allclose(at, np.mean(drops), rtol=0.1, atol=3e-7)  # float32 probabilities, to their last bits


def _probability(model, inputs, stream, target):
    logits = model({name: tf.constant(array) for name, array in inputs.items()}, training=False)[stream]
    return float(keras.ops.softmax(logits)[0, target])


def test_all_methods_for_clips(run, clips, tmp_path, logged):
    explain(str(run), [str(clips / "blue right")], tmp_path / "why", ExplainOptions(methods="all"))
    first = logged.messages[0]
    assert first.startswith("skipped ") and "deep-dream" in first and "is a video model" in first
    names = {file.name for file in (tmp_path / "why" / "1").iterdir()}
    methods = ("occlusion", "saliency", "smoothgrad", "grad-cam", "integrated-gradients")
    assert names == {f"{stream}-{method}.npy" for stream in ("spatial", "temporal") for method in methods}
    assert np.load(tmp_path / "why" / "1" / "temporal-integrated-gradients.npy").shape == (2, 36, 48, 6)
    assert (tmp_path / "why" / "0.png").exists() and "0.png" in (tmp_path / "why" / "index.html").read_text("utf-8")


def test_a_layer_of_one_stream(run, clips, tmp_path):
    clip = str(clips / "red left" / "0.avi")
    explain(str(run), [clip], tmp_path / "why", ExplainOptions(methods="grad-cam", layer="temporal_conv1"))
    explain(str(run), [clip], tmp_path / "last", ExplainOptions(methods="grad-cam"))
    first, last = (
        {stream: np.load(tmp_path / name / "0" / f"{stream}-grad-cam.npy") for stream in ("spatial", "temporal")}
        for name in ("why", "last")
    )
    np.testing.assert_array_equal(first["spatial"], last["spatial"])
    assert not np.array_equal(first["temporal"], last["temporal"])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"methods": "deep-dream"}, "deep-dream: not possible, since .* is a video model; use occlusion"),
        ({"sanity_checks": True}, "--sanity-checks: not possible, since .* is a video model"),
        ({"methods": "grad-cam", "channel": 1}, "--channel: not possible, since .* is a video model"),
        ({"methods": "grad-cam", "layer": "temporal_conv9"}, "did you mean temporal_conv"),
        ({"class_name": "green"}, "has no such class"),
        ({"box": 1}, "--box: selects a box of a detection model"),
    ],
)
def test_options_that_video_does_not_support_are_rejected(run, clips, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        explain(str(run), [str(clips / "red left")], tmp_path / "why", ExplainOptions(**options))
    assert not (tmp_path / "why").exists()


def test_a_broken_clip_is_named_and_the_others_are_explained(run, clips, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "new" / "fine.avi").write_bytes((clips / "red left" / "1.avi").read_bytes())
    arguments = ["explain", str(run), str(tmp_path / "new"), "--method", "saliency", "--out", str(tmp_path / "why")]
    result = CliRunner().invoke(cli.commands, arguments)
    assert "broken.mp4: " in result.output and (tmp_path / "why" / "fine.png").exists()
    assert result.exit_code == 3
