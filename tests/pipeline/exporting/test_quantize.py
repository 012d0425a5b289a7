"""int8 exports: calibrated, scored beside f32, refused where they cost too much."""

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
    """The tiny model as a run on 24 pictures, a third of them held out, with the net's own answers for labels."""
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


def test_an_int8_export_says_what_it_costs(run, tmp_path, logged):
    pytest.importorskip("nncf")
    logged.clear()
    described = export(run, tmp_path / "out", ExportOptions(formats=["openvino"], precision="int8", max_score_drop=100))
    found = described["int8"]
    assert found["score"] == "accuracy" and found["files"] == 16 and found["f32"] == 1.0
    assert any("100.00% in f32" in line and "on 16 held-out files" in line for line in logged.messages)
    exported = open_model(tmp_path / "out")
    assert exported.precision == "int8" and runtimes.runtimes_and_precisions(exported) == [("openvino", "int8")]
    assert runtimes.choose_for(exported)[:2] == ("openvino", "int8")
    with pytest.raises(UsageError, match="is an int8 export for openvino"):
        runtimes.choose_for(exported, precision="f32")
    images = {"image": np.random.default_rng(1).integers(0, 256, (9, 16, 16, 3), np.uint8)}
    scores, truth = (
        runtimes.load(one, "openvino", p)(images)["scores"] for one, p in ((exported, "int8"), (run, "f32"))
    )
    assert 0 < np.abs(scores - truth).max() < 0.05
    export(run, tmp_path / "f32", ExportOptions(formats=["openvino"]))
    small, large = ((tmp_path / name / "model.bin").stat().st_size for name in ("out", "f32"))
    assert small < 0.5 * large


def test_what_costs_too_much_is_not_exported(run, tmp_path, monkeypatch):
    pytest.importorskip("nncf")
    monkeypatch.setattr(quantize, "cost", lambda *_: {"score": "accuracy", "files": 200, "f32": 0.9, "int8": 0.89})
    with pytest.raises(RetinueError, match="int8 costs too much: accuracy 90.00% in f32, 89.*1.1 takes it"):
        export(run, tmp_path / "out", ExportOptions(formats=["openvino"], precision="int8"))
    assert not (tmp_path / "out").exists()


def test_wrong_use(run, tmp_path):
    with pytest.raises(UsageError, match="int8: is for OpenVINO alone; give --to openvino"):
        export(run, tmp_path / "out", ExportOptions(formats=["savedmodel"], precision="int8"))
    with pytest.raises(UsageError, match="bf16 is chosen when"):
        export(run, tmp_path / "out", ExportOptions(precision="bf16"))
    with pytest.raises(UsageError, match="retinue export RUN --to openvino --precision int8"):
        runtimes.choose_for(run, precision="int8")


@pytest.mark.parametrize(
    ("half", "whole", "taken"), [(0.8, 0.8, "half"), (0.8, 0.804, "half"), (0.8, 0.81, "whole"), (0.9, 0.8, "half")]
)
def test_weights_of_half_the_range_unless_they_cost_a_score(run, monkeypatch, half, whole, taken):
    scores = {"half": half, "whole": whole}
    monkeypatch.setattr(quantize, "_quantized", lambda task, converted, inputs, weights: weights)
    monkeypatch.setattr(quantize, "_score", lambda task, one, *_: type("Scores", (), {"value": scores[one]}))
    learned, held_out = quantize.known_files(run)
    assert set(learned.splits) == {"train"} and not set(held_out.splits) & {"train"}
    assert quantize.quantized(run, None, learned) == taken


def test_no_two_products_of_weights_of_half_the_range_are_too_large_for_16_bits(run):
    openvino = pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    operations, drawn = openvino.opset13, np.random.default_rng(0)
    x = operations.parameter([1, 8], np.float32, "x")
    x.output(0).set_names({"x"})
    first, second = (drawn.normal(size=(8, 8)).astype("float32") for _ in range(2))
    layer = operations.relu(operations.matmul(x, first, False, False))
    converted = openvino.Model([operations.matmul(layer, second, False, False)], [x])
    inputs = [{"x": drawn.uniform(0, 1, (1, 8)).astype("float32")} for _ in range(8)]
    largest = {}
    for weights in ("half", "whole"):
        small = quantize._quantized(run.task, converted, inputs, weights)
        found = [node.data for node in small.get_ops() if node.get_type_name() == "Constant"]
        largest[weights] = max(np.abs(data.astype(int)).max() for data in found if data.dtype == np.int8)
    assert 2 * 255 * largest["half"] < 2**15 <= 2 * 255 * largest["whole"]
