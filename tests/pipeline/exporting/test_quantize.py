"""int8 exports: calibrated, scored beside f32, refused where the score drops too much."""

import json

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.storage.content import content_id
from retinue.pipeline.exporting import quantize
from retinue.pipeline.exporting.export import export
from retinue.pipeline.exporting.options import ExportOptions
from retinue.pipeline.runs.run import open_model
from retinue.pipeline.runtimes import runtimes


@pytest.fixture
def run(own_model, tmp_path):
    """The tiny model as a run on 24 images, a third of them for training, labeled by the model's own predictions."""
    random, predict = np.random.default_rng(0), runtimes.load(own_model, "tensorflow", "f32")
    rows, root = ["file,split,content_id"], tmp_path / "data"
    for name in own_model.classes:
        (root / name).mkdir(parents=True)
    for number in range(24):
        pixels = random.integers(0, 256, (16, 16, 3), np.uint8)
        name = own_model.classes[int(predict({"image": pixels[None]})["scores"][0].argmax())]
        path = root / name / f"{number}.png"
        Image.fromarray(pixels).save(path)
        rows.append(f"{path},{'val' if number % 3 else 'train'},{content_id(path.read_bytes())}")
    (own_model.folder / "split.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (own_model.folder / "run.json").write_text(json.dumps({"status": "done", "data": {"source": str(root)}}))
    return own_model


def test_an_int8_export_reports_both_scores(run, tmp_path, logged):
    pytest.importorskip("nncf")
    logged.clear()
    description = export(
        run, tmp_path / "out", ExportOptions(formats=["openvino"], precision="int8", max_score_drop=100)
    )
    scores = description["int8"]
    assert scores["score"] == "accuracy" and scores["files"] == 16 and scores["f32"] == 1.0
    assert any("100.00% in f32" in line and "on 16 files that were not trained on" in line for line in logged.messages)
    exported = open_model(tmp_path / "out")
    assert exported.precision == "int8" and runtimes.runtimes_and_precisions(exported) == [("openvino", "int8")]
    assert runtimes.choose_for(exported)[:2] == ("openvino", "int8")
    with pytest.raises(UsageError, match="is an int8 export for openvino"):
        runtimes.choose_for(exported, precision="f32")
    images = {"image": np.random.default_rng(1).integers(0, 256, (9, 16, 16, 3), np.uint8)}
    outputs, expected = (
        runtimes.load(one, "openvino", p)(images)["scores"] for one, p in ((exported, "int8"), (run, "f32"))
    )
    assert 0 < np.abs(outputs - expected).max() < 0.05
    export(run, tmp_path / "f32", ExportOptions(formats=["openvino"]))
    small, large = ((tmp_path / name / "model.bin").stat().st_size for name in ("out", "f32"))
    assert small < 0.5 * large


def test_a_model_that_loses_too_much_is_not_exported(run, tmp_path, monkeypatch):
    pytest.importorskip("nncf")
    scores = {"score": "accuracy", "files": 200, "f32": 0.9, "int8": 0.89}
    monkeypatch.setattr(quantize, "compare_scores", lambda *_: scores)
    with pytest.raises(RetinueError, match="int8 loses too much: accuracy 90.00% in f32, 89.*--max-score-drop 1.1"):
        export(run, tmp_path / "out", ExportOptions(formats=["openvino"], precision="int8"))
    assert not (tmp_path / "out").exists()


def test_int8_is_refused_where_it_is_impossible(run, tmp_path):
    with pytest.raises(UsageError, match="int8: is for OpenVINO alone; give --to openvino"):
        export(run, tmp_path / "out", ExportOptions(formats=["savedmodel"], precision="int8"))
    with pytest.raises(UsageError, match="bf16 is chosen when"):
        export(run, tmp_path / "out", ExportOptions(precision="bf16"))
    with pytest.raises(UsageError, match="retinue export RUN --to openvino --precision int8"):
        runtimes.choose_for(run, precision="int8")


@pytest.mark.parametrize(
    ("half", "full", "chosen"), [(0.8, 0.8, "half"), (0.8, 0.804, "half"), (0.8, 0.81, "full"), (0.9, 0.8, "half")]
)
def test_weights_have_half_of_the_range_unless_the_score_drops(run, monkeypatch, half, full, chosen):
    scores = {"half": half, "full": full}
    monkeypatch.setattr(
        quantize, "_quantize", lambda task, converted, inputs, half_range: "half" if half_range else "full"
    )
    monkeypatch.setattr(quantize, "_score", lambda task, one, *_: type("Scores", (), {"value": scores[one]}))
    training_set, validation_set = quantize.datasets_of_run(run)
    assert set(training_set.splits) == {"train"} and not set(validation_set.splits) & {"train"}
    assert quantize.quantize(run, None, training_set) == chosen


def test_no_two_products_of_weights_of_half_the_range_are_too_large_for_16_bits(run):
    openvino = pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    operations, random = openvino.opset13, np.random.default_rng(0)
    x = operations.parameter([1, 8], np.float32, "x")
    x.output(0).set_names({"x"})
    first, second = (random.normal(size=(8, 8)).astype("float32") for _ in range(2))
    layer = operations.relu(operations.matmul(x, first, False, False))
    converted = openvino.Model([operations.matmul(layer, second, False, False)], [x])
    inputs = [{"x": random.uniform(0, 1, (1, 8)).astype("float32")} for _ in range(8)]
    largest = {}
    for half_range in (True, False):
        quantized = quantize._quantize(run.task, converted, inputs, half_range)
        constants = [node.data for node in quantized.get_ops() if node.get_type_name() == "Constant"]
        largest[half_range] = max(np.abs(data.astype(int)).max() for data in constants if data.dtype == np.int8)
    assert 2 * 255 * largest[True] < 2**15 <= 2 * 255 * largest[False]
