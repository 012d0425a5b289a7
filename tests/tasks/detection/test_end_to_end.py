"""Detection from a COCO folder to exports with a small model: equal outputs everywhere, and the ids of the data."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import retinue
from retinue.data.decoding.decode import read_encoded_bytes
from retinue.pipeline.prediction.predictor import Predictor
from retinue.pipeline.runs.run import open_model
from retinue.tasks.detection import export_agreement

COLORS = {"red": (230, 40, 40), "blue": (40, 60, 230)}
IDS = {"red": 3, "blue": 18}
SIZES = [(96, 64), (64, 80), (64, 64), (100, 64)]  # width, height
SMALL = {
    "task": "detection",
    "model__weights": "none",
    "model__backbone": "resnet18",
    "model__input_size": 64,
    "augment__crop_scale": [1.0, 1.0],
    "detection__max_size": 128,
    "detection__anchor_sizes": [16, 32, 64, 64, 64],
    "detection__fpn_channels": 16,
    "detection__box_head_dim": 32,
    "detection__box_batch_size_per_image": 32,
    "detection__rpn_batch_size_per_image": 64,
    "detection__rpn_pre_nms_top_n_train": 100,
    "detection__rpn_post_nms_top_n_train": 100,
    "detection__rpn_pre_nms_top_n_test": 50,
    "detection__rpn_post_nms_top_n_test": 50,
    "train__batch_size": 3,
    "train__batch_norm": "frozen",
    "train__stages": {"all": {"epochs": 10, "learning_rate": 3e-3, "backbone_lr_multiplier": 1.0}},
    "evaluate__bootstrap_samples": 50,
    "evaluate__batch_size": 3,
    "data__val_fraction": 0.25,
}
# One level and three steps: a run that is short enough for every `make test`.
SHORT = SMALL | {
    "detection__architecture": "c4",
    "detection__anchor_sizes": [16, 32, 64],
    "train__stages": {"all": {"epochs": 1, "learning_rate": 3e-3, "backbone_lr_multiplier": 1.0}},
    "evaluate__bootstrap_samples": 0,
}
slow = pytest.mark.slow  # training, tracing and converting take two minutes


def make_folder(folder, count=16, names=tuple(COLORS), seed=0):
    """Gray images of different sizes with one or two rectangles, one image without, and a COCO file."""
    random = np.random.default_rng(seed)
    images, annotations = [], []
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        pixels = random.normal(90, 5, (height, width, 3))
        for name in names if number % 3 == 0 else names[number % len(names) :][: number != 5]:
            sides = random.integers(22, 34, 2)
            x, y = random.integers(0, [width, height] - sides)
            pixels[y : y + sides[1], x : x + sides[0]] = COLORS.get(name, (90, 200, 90))
            box = [int(x), int(y), *sides.tolist()]
            ids = {"id": len(annotations) + 1, "image_id": 100 + number, "category_id": IDS.get(name, 77)}
            annotations.append(ids | {"bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        images.append({"id": 100 + number, "file_name": f"{number}.png", "width": width, "height": height})
    categories = [{"id": IDS.get(name, 77), "name": name} for name in names]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder


def outputs_of(predictions, settings):
    """Return a batch of outputs, as an export has it, of one dict with boxes, scores and labels per image."""
    count = np.array([len(prediction["scores"]) for prediction in predictions])
    outputs = {"count": count}
    for name, empty in (("boxes", (0, 4)), ("scores", (0,)), ("labels", (0,))):
        outputs[name] = np.zeros((len(count), settings.max_detections, *empty[1:]), np.float32)
        for row, prediction in enumerate(predictions):
            if count[row]:
                outputs[name][row, : count[row]] = prediction[name]
    return outputs


def assert_same_detections(outputs, reference, settings):
    comparison = export_agreement.compare(outputs, reference, 1e-3, settings.score_threshold, settings.nms_threshold)
    images = len(reference["count"])
    assert comparison["same"] + comparison["near_ties"] == images and comparison["same"] >= images - 2, comparison


def test_a_short_run_is_trained_evaluated_predicted_and_exported(tmp_path):
    images_folder = make_folder(tmp_path / "rectangles", count=16)
    run, scores = retinue.train(str(images_folder), str(tmp_path / "run"), **SHORT)
    folder = str(run.folder)
    (epoch,) = csv.DictReader(open(run.folder / "metrics.csv"))
    losses = [float(epoch[name]) for name in ("rpn_objectness", "rpn_box", "class", "box")]
    assert min(losses) > 0 and float(epoch["loss"]) == pytest.approx(sum(losses), rel=1e-3)
    assert scores.primary_metric == "ap" and scores.count == 4 and (run.folder / "report.html").exists()
    assert scores.metrics["proposal_recall_100"] > 0
    evaluated = retinue.evaluate(folder, str(images_folder), runtime="tensorflow")
    assert evaluated.metrics == pytest.approx(scores.metrics, abs=1e-4)

    retinue.predict(folder, [str(images_folder)], tmp_path / "out", runtime="tensorflow")
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 16
    detections = [line["detections"] for line in lines]
    assert sum(map(len, detections)) > 16
    predictions = [
        {
            "boxes": [detection["box"] for detection in row],
            "scores": [detection["score"] for detection in row],
            "labels": [list(IDS).index(detection["label"]) for detection in row],
        }
        for row in detections
    ]
    settings = open_model(run.folder).config.detection
    retinue.export(folder, tmp_path / "export", formats=("savedmodel",))
    served = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_default"]
    outputs = served(tf.constant([read_encoded_bytes(line["file"]) for line in lines]))
    outputs = {name: value.numpy() for name, value in outputs.items()}
    assert_same_detections(outputs, outputs_of(predictions, settings), settings)


@pytest.fixture(scope="module")
def images_folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data") / "rectangles")


@pytest.fixture(scope="module")
def run(images_folder, tmp_path_factory):
    return retinue.train(str(images_folder), str(tmp_path_factory.mktemp("runs") / "run"), **SMALL)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "model"
    retinue.export(str(run[0].folder), out)
    return out


@slow
def test_the_run_folder_has_scores_tables_and_images(run):
    folder, scores = run[0].folder, run[1]
    assert scores.primary_metric == "ap" and scores.count == 4 and scores.metrics["ap50"] > 0.2
    numbers = json.loads((folder / "scores.json").read_text())["metrics"]
    assert {"ap", "ap50", "ap75", "ap_small", "voc07_ap50", "voc10_ap50", "f1"} <= numbers.keys()
    assert [row["class"] for row in csv.DictReader(open(folder / "per_class.csv"))] == ["red", "blue"]
    rows = list(csv.DictReader(open(folder / "proposal_recall.csv")))
    assert [row["proposals"] for row in rows] == ["50", "100", "300", "1000"]
    history = list(csv.DictReader(open(folder / "metrics.csv")))
    loss_names = {"rpn_objectness", "rpn_box", "class", "box"}
    assert len(history) == 10 and loss_names <= history[0].keys()
    for row in history:
        assert float(row["loss"]) == pytest.approx(sum(float(row[name]) for name in loss_names), rel=1e-3)
    described = json.loads((folder / "classes.json").read_text())
    assert (described["classes"], described["class_ids"]) == (["red", "blue"], [3, 18])
    assert any((folder / "worst").glob("*.jpg")) and (folder / "batch_train.jpg").exists()


@slow
def test_predictions_are_in_pixels_of_the_original_images_with_the_ids_of_the_data(run, images_folder, tmp_path):
    options = {"runtime": "tensorflow", "formats": ("jsonl", "csv", "coco"), "overlay": True, "crops": True}
    retinue.predict(str(run[0].folder), [str(images_folder)], tmp_path / "out", **options)
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 16 and {(line["width"], line["height"]) for line in lines} == set(SIZES)
    detections = [(line, detection) for line in lines for detection in line["detections"]]
    assert len(detections) > 10
    for line, detection in detections:
        x1, y1, x2, y2 = detection["box"]
        assert 0 <= x1 < x2 <= line["width"] and 0 <= y1 < y2 <= line["height"] and detection["label"] in IDS
    coco = json.loads((tmp_path / "out" / "predictions.coco.json").read_text())
    assert len(coco) == len(detections)
    for (line, detection), entry in zip(detections, coco, strict=True):
        assert (
            entry["image_id"] == 100 + int(Path(line["file"]).stem) and entry["category_id"] == IDS[detection["label"]]
        )
        x, y, width, height = entry["bbox"]
        assert [x, y, x + width, y + height] == pytest.approx(detection["box"], abs=0.02)
    table = list(csv.DictReader(open(tmp_path / "out" / "predictions.csv")))
    assert {row["file"] for row in table} == {line["file"] for line in lines}
    assert len(list((tmp_path / "out" / "overlays").rglob("*.jpg"))) == 16
    cropped = sum(detection["score"] >= 0.4 for _, detection in detections)
    assert len(list((tmp_path / "out" / "crops").rglob("*.jpg"))) == cropped


@slow
def test_all_runtimes_and_exports_have_the_same_detections(run, exported, images_folder):
    files = sorted(map(str, images_folder.glob("*.png")))
    model = open_model(run[0].folder)
    settings = model.config.detection

    single = Predictor(model, "tensorflow")
    assert single.batch_size == 1  # by default on a CPU
    reference = outputs_of([result.prediction for result in single(files)], settings)
    assert reference["count"].sum() > 10
    predictions = [result.prediction for result in Predictor(model, "openvino", batch_size=8)(files)]
    assert_same_detections(outputs_of(predictions, settings), reference, settings)
    served = tf.saved_model.load(str(exported)).signatures["serving_default"]
    outputs = served(tf.constant([read_encoded_bytes(file) for file in files]))  # of different sizes, in one batch
    outputs = {name: value.numpy() for name, value in outputs.items()}
    assert_same_detections(outputs, reference, settings)
    for names, labels in zip(outputs["names"], outputs["labels"], strict=True):
        assert [name.decode() for name in names] == [["red", "blue", ""][label] for label in labels]


@slow
def test_evaluation_in_bf16_has_nearly_the_same_score(run, images_folder):
    folder, value = str(run[0].folder), run[1].value
    scores = retinue.evaluate(folder, str(images_folder), runtime="openvino", precision="bf16")
    assert scores.count == 4 and scores.value == pytest.approx(value, abs=0.1)
    with pytest.raises(retinue.UsageError, match="tensorflow runs f32 only"):
        retinue.evaluate(folder, str(images_folder), runtime="tensorflow", precision="bf16")


@slow
def test_a_class_that_the_model_does_not_know_is_an_error(run, tmp_path):
    folder = make_folder(tmp_path / "more", count=6, names=("red", "green"), seed=1)
    with pytest.raises(retinue.RetinueError, match="more: the model does not know the class green; it knows red, blue"):
        retinue.evaluate(str(run[0].folder), str(folder))
