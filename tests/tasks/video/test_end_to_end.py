"""A user's whole way with clips on a small net: check, train, evaluate, predict; one answer everywhere."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from clips import make_clips

import retinue

SMALL = {
    "task": "video",
    "model__weights": "none",
    "model__backbone": "lenet5",
    "model__input_size": 32,
    "video__frame_size": [36, 48],
    "video__flow_fields": 3,
    "video__flow_bound": 4.0,
    "video__subtract_mean": False,
    "video__test_snippets": 2,
    "augment__horizontal_flip": False,
    "train__batch_size": 4,
    "train__stages": {"all": {"epochs": 2, "rate": 2e-3, "backbone_rate": 1.0}},
    "evaluate__bootstrap": 50,
    "evaluate__batch_size": 3,
    "data__val_share": 0.25,
    "data__on_bad": "skip",
}
quiet = {"say": lambda line: None}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = make_clips(tmp_path_factory.mktemp("data") / "clips")
    (folder / "blue left" / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def run(clips, tmp_path_factory):
    return retinue.train(str(clips), str(tmp_path_factory.mktemp("runs") / "run"), **SMALL)


def lines(folder):
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]


def test_run_folder(run):
    folder, scores = run[0].folder, run[1]
    rows = list(csv.DictReader(open(folder / "metrics.csv")))
    assert {"spatial", "temporal", "val_accuracy", "val_spatial_accuracy", "val_temporal_accuracy"} <= set(rows[0])
    assert [row["stream"] for row in scores.tables["streams"]] == ["spatial", "temporal", "both"]
    assert (folder / "report.html").exists() and (folder / "batch_train.jpg").exists()


def test_the_same_answers_from_everything(run, clips, tmp_path):
    folder = run[0].folder
    retinue.predict(str(folder), [str(clips)], tmp_path / "tf", runtime="tensorflow", **quiet)
    summary = retinue.predict(str(folder), [str(clips)], tmp_path / "ov", runtime="openvino", **quiet)
    assert summary.exit_code == 3 and summary.failures == 1 and summary.images == 16
    assert "broken.mp4" in (tmp_path / "ov" / "failures.jsonl").read_text("utf-8")
    first, second = lines(tmp_path / "tf"), lines(tmp_path / "ov")
    for one, other in zip(first, second, strict=True):
        assert one["file"] == other["file"] and set(one["streams"]) == {"spatial", "temporal"}
        for mine, theirs in (
            (one["labels"], other["labels"]),
            (one["streams"]["temporal"], other["streams"]["temporal"]),
        ):
            mine, theirs = ({entry["label"]: entry["score"] for entry in some} for some in (mine, theirs))
            assert max(abs(mine[name] - theirs[name]) for name in mine) < 1e-3
        fused = {entry["label"]: entry["score"] for entry in one["labels"]}
        streams = [{entry["label"]: entry["score"] for entry in one["streams"][name]} for name in one["streams"]]
        for name, score in fused.items():
            assert score == pytest.approx(np.mean([stream[name] for stream in streams]), abs=2e-6)
    assert retinue.evaluate(str(folder), str(clips), split="val").value == run[1].value
