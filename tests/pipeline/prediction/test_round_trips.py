"""Each format that can be read comes back with its own ids in COCO's format for results.

No model runs: the predictions of all files are there already, so that `predict` only writes them.
"""

import json

import pytest

from retinue.configs.load import load_config
from retinue.pipeline.inputs.prepare import prepare
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.prediction.predictor import Result
from retinue.pipeline.prediction.results import Results
from retinue.pipeline.runs.run import Run, open_model
from retinue.pipeline.runs.split_file import SPLIT_FILE, split_csv
from retinue.tasks.detection.result_writer import BoxResultWriter
from retinue.tasks.detection.task import Detection
from retinue.tests.helpers.dataset_samples import DATASETS

# The ids of the images, in the order of their names, and those of the classes.
EXPECTED = {
    "boxes.csv": (["a.jpg", "b.jpg"], {"cat": 1, "dog": 2}),
    "coco": ([1, 2], {"cat": 1, "dog": 7}),
    "voc": (["a", "b"], {"cat": 1}),
    "yolo": (["a", "b"], {"cat": 0, "dog": 1}),
    "labelme": (["a", "b"], {"cat": 1, "dog": 2}),
    "via": (["a.jpg", "b.jpg"], {"cat": 1, "dog": 2}),
    "via.csv": (["a.jpg", "b.jpg"], {"a": 1, "b": 2}),
    "cvat": ([0, 1], {"cat": 1, "dog": 2}),
    "label studio": ([1, 2], {"cat": 1, "dog": 2}),
    "createml": (["a.jpg", "b.jpg"], {"cat": 1, "dog": 2}),
    "tfrecords": ([0, 1], {"cat": 1, "dog": 3}),
    "darknet": (["a", "b"], {"cat": 0, "dog": 1}),
    "keras-yolo": (["a", "b"], {"cat": 0, "dog": 1}),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_ids_come_back_as_they_were(tmp_path, monkeypatch, name):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    DATASETS[name](tmp_path / "data")
    source = next((tmp_path / "data").glob("*.csv")) if name.endswith(".csv") else tmp_path / "data"
    image_ids, category_ids = EXPECTED[name]

    config = load_config(settings=["task=detection", "data.val_fraction=0"])
    dataset, _ = prepare(source, config)
    task = Detection(config, dataset.classes)
    run = Run.create(tmp_path / "run", task, "test", {SPLIT_FILE: split_csv(task, dataset)}, dataset.class_ids)
    (run.folder / "best.weights.h5").write_bytes(b"")
    model = open_model(run.folder)

    made_by = {"fingerprint": model.fingerprint, "precision": "f32"}
    predicted = Results(tmp_path / "out", made_by, writer=BoxResultWriter(model.classes))
    files = sorted(dataset.files)
    for file in files:
        detections = [{"label": label, "score": 0.5, "box": [1, 2, 4, 8]} for label in model.classes]
        predicted.write(Result(str(file), 40, 30, {"detections": detections}))
    predicted.close()
    predict(model, files, tmp_path / "out", formats=("coco",), runtime="tensorflow", precision="f32")

    results = json.loads((tmp_path / "out/predictions.coco.json").read_text())
    expected = [(image, number) for image in image_ids for number in category_ids.values()]
    assert [(entry["image_id"], entry["category_id"]) for entry in results] == expected
    assert all(entry["bbox"] == [1, 2, 3, 6] for entry in results)
    categories = json.loads((tmp_path / "out/categories.json").read_text())
    assert {entry["name"]: entry["id"] for entry in categories} == category_ids
