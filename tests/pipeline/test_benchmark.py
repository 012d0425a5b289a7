"""Tests of `retinue benchmark` on a tiny export: every configuration runs, and its predictions are compared."""

import json
import os
import shutil

import numpy as np
import pytest

from retinue.configs.errors import UsageError
from retinue.pipeline import benchmark


@pytest.fixture
def files(image_folder):
    return sorted(os.path.join(image_folder, name) for name in os.listdir(image_folder))


def test_one_configuration(exported, files, monkeypatch):
    monkeypatch.setattr(benchmark, "MODEL_SECONDS", 0.2)
    row, outputs = benchmark._measure(str(exported), files, "openvino", "f32")
    assert len(outputs) == len(files) and set(outputs[0]) == {"scores"}
    assert row["images_per_second"] > 0 and row["model_per_second"] > 0 and row["memory_mb"] > 50
    assert 0 < row["latency_p50_ms"] <= row["latency_p99_ms"]
    assert benchmark._measure(str(exported), [__file__], "openvino", "f32") == (
        "none of the first files can be read; use other files"
    )


def test_table_for_the_screen():
    row = {"runtime": "openvino", "precision": "bf16", "images_per_second": 1234.56, "model_per_second": 2000.0}
    row |= {"latency_p50_ms": 3.21, "latency_p99_ms": 4.5, "memory_mb": 812.3}
    lines = benchmark.table([row | {"same_predictions": 0.9375, "largest_difference": 0.0123}])
    assert lines[1].split() == ["openvino", "bf16", "1,234.6", "2,000.0", "3.2", "4.5", "812", "MB", "93.8%", "1.2e-02"]
    assert len(lines[0]) == len(lines[1])


@pytest.mark.slow
def test_every_configuration(exported, files, logged):
    rows = benchmark.benchmark(exported, files, limit=5)
    assert [(row["runtime"], row["precision"]) for row in rows][:1] == [("tensorflow", "f32")]
    assert "with 5 files" in logged.messages[0] and all(
        row["same_predictions"] == 1 for row in rows if row["precision"] == "f32"
    )
    with pytest.raises(UsageError, match="no such file or folder"):
        benchmark.benchmark(exported, ["nowhere"])


def replace_measurement(monkeypatch, wrong=None):
    """Replace the slow measurement by fixed outputs. Returns the list of configurations that are measured."""
    measured_configurations = []

    def measured(folder, files, runtime, precision):
        measured_configurations.append((folder, runtime, precision))
        outputs = [{"scores": np.array([[0.1, 0.7, 0.2]], np.float32)}]
        if precision == wrong:
            outputs = [{"scores": np.array([[0.6, 0.2, 0.2]], np.float32)}]
        return {"runtime": runtime, "precision": precision}, outputs

    monkeypatch.setattr(benchmark, "_in_own_process", measured)
    return measured_configurations


def as_int8(exported, folder, run):
    """Return a copy of an export whose description says that it is int8 and which run it was made from."""
    shutil.copytree(exported, folder)
    described = json.loads((folder / "export.json").read_text("utf-8")) | {"precision": "int8", "run": str(run)}
    (folder / "export.json").write_text(json.dumps(described), encoding="utf-8")
    return folder


def test_int8_is_compared_with_its_run(exported, tiny_model, files, tmp_path, monkeypatch, logged):
    measured = replace_measurement(monkeypatch, wrong="int8")
    logged.clear()
    small = as_int8(exported, tmp_path / "small", tiny_model.folder)
    rows = benchmark.benchmark(small, files, limit=1)
    assert measured[0] == (str(tiny_model.folder), "tensorflow", "f32") and measured[-1] == (
        str(small),
        "openvino",
        "int8",
    )
    assert rows[0]["same_predictions"] == 1 and rows[0]["largest_difference"] == 0
    assert rows[-1]["same_predictions"] == 0 and rows[-1]["largest_difference"] == pytest.approx(0.5)
    assert logged.messages[0] == f"f32 and bf16 are those of {tiny_model.folder}, the run that it was made from"


@pytest.mark.parametrize("gone", ["nowhere", "another"])
def test_int8_without_its_run_has_no_comparison(exported, files, tmp_path, monkeypatch, gone, logged):
    measured = replace_measurement(monkeypatch)
    logged.clear()
    shutil.copytree(exported, tmp_path / "another")  # an export, not a run
    small = as_int8(exported, tmp_path / "small", tmp_path / gone)
    (row,) = benchmark.benchmark(small, files, limit=1)
    assert measured == [(str(small), "openvino", "int8")]
    assert row["same_predictions"] is None and row["largest_difference"] is None
    assert (
        "so there is no f32 to compare with" in logged.messages[0]
        and "1 configuration with 1 file," in logged.messages[1]
    )
    numbers = dict.fromkeys(
        ("images_per_second", "model_per_second", "latency_p50_ms", "latency_p99_ms", "memory_mb"), 1.0
    )
    assert benchmark.table([row | numbers])[1].split()[-2:] == ["-", "-"]
