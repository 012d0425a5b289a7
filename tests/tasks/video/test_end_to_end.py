"""The whole pipeline of video with a small model: check, train, evaluate, predict; the same predictions everywhere."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import retinue
from retinue.configs.errors import UsageError
from retinue.data.batches import first_failing_record
from retinue.data.decoding.clip_file import read_frames
from retinue.pipeline.flow import extract_flow
from retinue.pipeline.inputs.prepare import config_for
from retinue.pipeline.prediction.predictor import Predictor
from retinue.pipeline.runs.run import open_model
from retinue.pipeline.training.train import train
from retinue.tasks.video import flow
from retinue.tests.helpers.clips import SMALL as SMALL_JOB
from retinue.tests.helpers.clips import make_clips, moving_frames, write_video

SMALL = SMALL_JOB | {
    "video__flow_subtract_mean": False,
    "augment__horizontal_flip": False,
    "train__stages": {"all": {"epochs": 2, "learning_rate": 2e-3, "backbone_lr_multiplier": 1.0}},
    "evaluate__bootstrap_samples": 50,
    "evaluate__batch_size": 3,
    "data__on_invalid": "skip",
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = make_clips(tmp_path_factory.mktemp("data") / "clips")
    (folder / "blue left" / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def run(clips, tmp_path_factory):
    return retinue.train(str(clips), str(tmp_path_factory.mktemp("runs") / "run"), **SMALL)


def read_predictions(folder):
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]


def test_the_run_folder_holds_scores_and_report(run):
    folder, scores = run[0].folder, run[1]
    rows = list(csv.DictReader(open(folder / "metrics.csv")))
    assert {"spatial", "temporal", "val_accuracy", "val_spatial_accuracy", "val_temporal_accuracy"} <= set(rows[0])
    assert [row["stream"] for row in scores.tables["streams"]] == ["spatial", "temporal", "both"]
    assert (folder / "report.html").exists() and (folder / "batch_train.jpg").exists()


def test_report_shows_the_streams_side_by_side(run):
    page = (run[0].folder / "report.html").read_text("utf-8")
    for words in ("Frames, motion, and both", "motion alone (temporal)", "Confusion matrix of frames alone (spatial)"):
        assert words in page
    assert {"streams.csv", "confusion_spatial.png", "confusion_temporal.csv"} <= {
        p.name for p in run[0].folder.iterdir()
    }
    worst = sorted((run[0].folder / "worst").glob("*.jpg"))
    assert worst and Image.open(worst[0]).size[0] >= 256
    rows = list(csv.DictReader(open(run[0].folder / "per_class.csv")))
    assert {"spatial_recall", "temporal_recall"} <= set(rows[0])


def test_a_missing_flow_folder_is_an_error(clips, tmp_path):
    with pytest.raises(
        UsageError, match="video.flow_folder .*nowhere: there is no such folder. Create it with `retinue flow`"
    ):
        retinue.train(str(clips), str(tmp_path / "run"), **SMALL, video__flow_folder=str(tmp_path / "nowhere"))
    assert not (tmp_path / "run").exists()


def test_the_run_records_omitted_files(run):
    assert run[0].info["data"]["invalid_files"] == 1


def test_a_clip_that_was_deleted_is_named(run, clips):
    task = open_model(run[0].folder).task
    columns = {"file": np.array([str(clips / "red left" / "0.avi"), str(clips / "gone.avi")], dtype=object)}
    columns |= {name: np.zeros(2, np.float32) for name in ("start", "end")}
    message = first_failing_record(columns, lambda record, _: (task.read_record(record), ()))
    assert message == f"{clips / 'gone.avi'}: there is no such clip; correct the path"


def test_all_runtimes_predict_the_same(run, clips, tmp_path, logged):
    folder = run[0].folder
    retinue.predict(str(folder), [str(clips)], tmp_path / "tf", runtime="tensorflow")
    logged.clear()
    summary = retinue.predict(str(folder), [str(clips)], tmp_path / "ov", runtime="openvino")
    assert any("broken.mp4: " in line for line in logged.messages) and logged.messages[-1].endswith("failures.jsonl")
    assert summary.exit_code == 3 and summary.failures == 1 and summary.images == 16
    assert "broken.mp4" in (tmp_path / "ov" / "failures.jsonl").read_text("utf-8")
    first, second = read_predictions(tmp_path / "tf"), read_predictions(tmp_path / "ov")
    for one, other in zip(first, second, strict=True):
        assert one["file"] == other["file"] and set(one["streams"]) == {"spatial", "temporal"}
        for pair in ((one["labels"], other["labels"]), (one["streams"]["temporal"], other["streams"]["temporal"])):
            scores, other_scores = ({entry["label"]: entry["score"] for entry in labels} for labels in pair)
            assert max(abs(scores[name] - other_scores[name]) for name in scores) < 1e-3
        fused = {entry["label"]: entry["score"] for entry in one["labels"]}
        streams = [{entry["label"]: entry["score"] for entry in one["streams"][name]} for name in one["streams"]]
        for name, score in fused.items():
            assert score == pytest.approx(np.mean([stream[name] for stream in streams]), abs=2e-6)
    assert retinue.evaluate(str(folder), str(clips), split="val").value == run[1].value


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "model"
    retinue.export(str(run[0].folder), out, formats=("savedmodel", "openvino"))
    return out


def test_the_export_predicts_the_same(run, exported, clips, tmp_path):
    described = json.loads((exported / "export.json").read_text("utf-8"))
    assert len(described["verified_on"]) == 8 and all(proof["same"] == 8 for proof in described["formats"].values())
    retinue.predict(str(run[0].folder), [str(clips / "red left")], tmp_path / "run", runtime="tensorflow")
    for runtime in ("tensorflow", "openvino"):
        retinue.predict(str(exported), [str(clips / "red left")], tmp_path / runtime, runtime=runtime)
        for one, other in zip(read_predictions(tmp_path / "run"), read_predictions(tmp_path / runtime), strict=True):
            assert one["file"] == other["file"]
            scores = [{entry["label"]: entry["score"] for entry in line["labels"]} for line in (one, other)]
            assert max(abs(scores[0][name] - scores[1][name]) for name in scores[0]) < 1e-4


def test_the_saved_model_takes_frames_and_flow(exported, clips):
    """Frames and flow are computed with OpenCV alone; the outputs contain the class names."""
    clip = str(clips / "red left" / "0.avi")
    frames, _ = read_frames(clip, range(8), size=(36, 48))
    gray = {number: flow.to_gray(frame) for number, frame in frames.items()}
    starts = (1, 3)  # the centers of the two segments
    fields = [[flow.compute(gray[t + step], gray[t + step + 1]) for step in range(3)] for t in starts]
    inputs = {
        "frames": np.stack([frames[t] for t in starts])[None],
        "flow": np.stack([np.concatenate(some, axis=-1) for some in fields])[None],
    }
    serve = tf.saved_model.load(str(exported)).signatures["serving_default"]
    outputs = {name: value.numpy() for name, value in serve(**{k: tf.constant(v) for k, v in inputs.items()}).items()}
    (result,) = Predictor(str(exported), "tensorflow")([clip])
    best = result.prediction["labels"][0]
    assert outputs["label"][0].decode() == best["label"] and outputs["score"][0] == pytest.approx(
        best["score"], abs=1e-5
    )
    np.testing.assert_allclose(outputs["spatial"][0], result.prediction["spatial"], atol=1e-5)
    np.testing.assert_allclose(outputs["temporal"][0], result.prediction["temporal"], atol=1e-5)
    assert [name.decode() for name in outputs["classes"][0]] == ["blue left", "blue right", "red left", "red right"]


def test_windows_over_a_long_video(run, tmp_path):
    scenes = [moving_frames(seed, step, count=8) for seed, step in ((1, 2), (2, -2), (3, 2))]
    long = write_video(tmp_path / "long.avi", [frame for scene in scenes for frame in scene], frame_rate=10)
    folder = str(run[0].folder)
    summary = retinue.predict(folder, [str(long)], tmp_path / "out", window=0.8, formats=("jsonl", "csv"))
    predictions = read_predictions(tmp_path / "out")
    assert summary.images == 3 and "windows" in str(summary)
    assert [(line["start"], line["end"]) for line in predictions] == [(0.0, 0.8), (0.8, 1.6), (1.6, 2.4)]
    assert {"labels", "streams", "file", "width"} <= set(predictions[0])
    table = list(csv.DictReader(open(tmp_path / "out" / "predictions.csv")))
    assert [row["start"] for row in table] == ["0.0", "0.8", "1.6"]
    alone = write_video(tmp_path / "alone.avi", scenes[1], frame_rate=10)
    retinue.predict(folder, [str(alone)], tmp_path / "alone")
    one = {entry["label"]: entry["score"] for entry in read_predictions(tmp_path / "alone")[0]["labels"]}
    for entry in predictions[1]["labels"]:
        assert entry["score"] == pytest.approx(one[entry["label"]], abs=0.02)  # only the encoding differs
    content = (tmp_path / "out" / "predictions.jsonl").read_text("utf-8")
    torn = "\n".join(content.splitlines()[:2]) + "\n" + content.splitlines()[2][:20]
    (tmp_path / "out" / "predictions.jsonl").write_text(torn, "utf-8")
    again = retinue.predict(folder, [str(long)], tmp_path / "out", window=0.8)
    assert again.images == 1 and again.skipped == 2
    assert (tmp_path / "out" / "predictions.jsonl").read_text("utf-8") == content
    with pytest.raises(UsageError, match="in windows of 0.8 s every 0.8 s"):
        retinue.predict(folder, [str(long)], tmp_path / "out", window=0.4)


def test_unreadable_sources_are_named(run, clips, tmp_path):
    folder = str(run[0].folder)
    summary = retinue.predict(folder, ["file://nowhere/x.mp4"], tmp_path / "stream")
    assert summary.failures == 1 and summary.exit_code == 3
    assert "cannot be opened" in (tmp_path / "stream" / "failures.jsonl").read_text("utf-8")
    with pytest.raises(UsageError, match="--overlay"):
        retinue.predict(folder, [str(clips)], tmp_path / "overlay", overlay=True)
    with pytest.raises(UsageError, match="no clips found"):
        (tmp_path / "none").mkdir()
        retinue.predict(folder, [str(tmp_path / "none")], tmp_path / "out")


@pytest.mark.slow
def test_an_svm_is_fitted_on_reserved_clips(clips, tmp_path, logged):
    """It is fitted on clips on which the streams were not trained, saved in the weights, and used everywhere."""
    settings = {
        **SMALL,
        "video__fusion": "svm",
        "video__svm_holdout_fraction": 0.34,
        "train__stages": {"all": {"epochs": 1, "learning_rate": 2e-3, "backbone_lr_multiplier": 1.0}},
    }
    config = config_for(str(clips), options={key.replace("__", "."): value for key, value in settings.items()})
    run, scores = train(str(clips), config, tmp_path / "run")
    assert any("an SVM, fitted on 4 clips" in line for line in logged.messages)
    model = retinue.load(str(run.folder), training=True)
    assert model.get_layer("fusion").get_weights()[1].any()
    assert retinue.evaluate(str(run.folder), str(clips), split="val").value == scores.value
    retinue.export(str(run.folder), tmp_path / "export", formats=("savedmodel", "openvino"))


def test_one_stream_alone_and_stored_flow(clips, tmp_path):
    flow_folder = tmp_path / "flow"
    extract_flow([str(clips)], flow_folder, bound=4.0, size=(36, 48))
    settings = {**SMALL, "video__architecture": "temporal", "video__flow_folder": str(flow_folder)}
    run, scores = retinue.train(str(clips), str(tmp_path / "run"), **settings)
    assert "streams" not in scores.tables and scores.primary_metric == "accuracy"
    retinue.predict(str(run.folder), [str(clips / "red left")], tmp_path / "out")
    assert "streams" not in read_predictions(tmp_path / "out")[0]
    with pytest.raises(UsageError, match="was made with dis, bound 4"):
        retinue.train(str(clips), str(tmp_path / "other"), **{**settings, "video__flow_bound": 8.0})
    assert not (tmp_path / "other").exists()
