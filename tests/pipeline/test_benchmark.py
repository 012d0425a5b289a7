"""`retinue benchmark` on a tiny export: every way runs, and its answers are compared."""

import os

import pytest

from retinue.configs.errors import UsageError
from retinue.pipeline import benchmark


@pytest.fixture
def files(photos):
    return sorted(os.path.join(photos, name) for name in os.listdir(photos))


def test_one_way(exported, files, monkeypatch):
    monkeypatch.setattr(benchmark, "SECONDS", 0.2)
    row, outputs = benchmark._measure(str(exported), files, "openvino", "f32")
    assert len(outputs) == len(files) and set(outputs[0]) == {"scores"}
    assert row["images_per_second"] > 0 and row["model_per_second"] > 0 and row["memory_mb"] > 50
    assert 0 < row["latency_p50_ms"] <= row["latency_p99_ms"]
    assert benchmark._measure(str(exported), [__file__], "openvino", "f32") == "none of the first files can be read"


def test_the_table():
    row = {"runtime": "openvino", "precision": "bf16", "images_per_second": 1234.56, "model_per_second": 2000.0}
    row |= {"latency_p50_ms": 3.21, "latency_p99_ms": 4.5, "memory_mb": 812.3}
    lines = benchmark.table([row | {"same_answers": 0.9375, "largest_difference": 0.0123}])
    assert lines[1].split() == ["openvino", "bf16", "1,234.6", "2,000.0", "3.2", "4.5", "812", "MB", "93.8%", "1.2e-02"]
    assert len(lines[0]) == len(lines[1])


@pytest.mark.slow
def test_every_way(exported, files):
    said = []
    rows = benchmark.benchmark(exported, files, count=5, say=said.append)
    assert [(row["runtime"], row["precision"]) for row in rows][:1] == [("tensorflow", "f32")]
    assert "over 5 files" in said[0] and all(row["same_answers"] == 1 for row in rows if row["precision"] == "f32")
    with pytest.raises(UsageError, match="no such file or folder"):
        benchmark.benchmark(exported, ["nowhere"], say=said.append)
