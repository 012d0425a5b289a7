"""The whole pipeline of segmentation with a small model: the same masks everywhere, at the size of each image."""

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
from retinue.tests.helpers.disks import CLASSES, make_folder, scene

SMALL = {
    "task": "segmentation",
    "model__weights": "none",
    "model__backbone": "alexnet",
    "segmentation__convert_fc_layers": False,
    "model__input_size": 64,
    "augment__horizontal_flip": True,
    "segmentation__scale_range": [0.8, 1.25],
    "train__batch_size": 4,
    "train__stages": {"all": {"epochs": 3, "learning_rate": 3e-3, "backbone_lr_multiplier": 1.0}},
    "train__label_smoothing": 0.0,
    "evaluate__bootstrap_samples": 50,
    "evaluate__batch_size": 3,
    "data__val_fraction": 0.34,
}


@pytest.fixture(scope="module")
def dataset_folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data") / "disks")


@pytest.fixture(scope="module")
def run(dataset_folder, tmp_path_factory):
    return retinue.train(str(dataset_folder), str(tmp_path_factory.mktemp("runs") / "run"), **SMALL)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "model"
    retinue.export(str(run[0].folder), out, formats=("savedmodel", "openvino"))
    return out


@pytest.fixture(scope="module")
def tensorflow_predictions(run, dataset_folder):
    """Return for batches of 1, 3 and 8 a dict from file to prediction."""
    files = [str(file) for file in sorted((dataset_folder / "images").iterdir())]
    predictor = Predictor(open_model(run[0].folder), "tensorflow")
    predictions = []
    for batch_size in (1, 3, 8):
        predictor.batch_size = batch_size  # so that the model is built and traced once
        predictions.append({result.file: result.prediction for result in predictor(files)})
    return predictions


def lines(folder):
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]


def test_the_run_folder_holds_scores_and_report(run):
    folder, scores = run[0].folder, run[1]
    assert scores.primary_metric == "mean_iou" and scores.count == 4
    numbers = json.loads((folder / "scores.json").read_text())["metrics"]
    expected = {"mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou", "boundary_f"}
    assert set(numbers) == expected
    assert [row["class"] for row in csv.DictReader(open(folder / "per_class.csv"))] == list(CLASSES)
    assert "with the lowest IoU" in (folder / "report.html").read_text("utf-8")
    assert (folder / "batch_train.jpg").exists() and (folder / "batch_val.jpg").exists()
    assert any((folder / "worst").glob("*.jpg"))


def test_masks_are_written_at_the_size_of_their_images(run, dataset_folder, tmp_path):
    files = sorted((dataset_folder / "images").iterdir())
    options = {"runtime": "tensorflow", "formats": ("jsonl", "csv"), "overlay": True}
    retinue.predict(str(run[0].folder), [str(dataset_folder / "images")], tmp_path / "out", **options)
    rows = {row["file"]: row for row in lines(tmp_path / "out")}
    assert set(rows) == {str(file) for file in files}
    for file, row in rows.items():
        mask, image = Image.open(tmp_path / "out" / row["mask"]), Image.open(file)
        assert mask.mode == "P" and mask.size == image.size == (row["width"], row["height"])
        counts = np.bincount(np.asarray(mask).ravel(), minlength=3)
        assert row["pixels"] == dict(zip(CLASSES, counts.tolist(), strict=True)) and 0 < row["confidence"] <= 1
    table = list(csv.DictReader(open(tmp_path / "out" / "predictions.csv")))
    assert {row["file"]: int(row["disk"]) for row in table} == {f: row["pixels"]["disk"] for f, row in rows.items()}
    assert len(list((tmp_path / "out" / "overlays").rglob("*.jpg"))) == len(files)


def test_all_runtimes_and_exports_predict_the_same_masks(run, exported, dataset_folder, tensorflow_predictions):
    files = [str(file) for file in sorted((dataset_folder / "images").iterdir())]
    model = open_model(run[0].folder)
    expected = tensorflow_predictions[1]
    for predictor in (
        Predictor(model, "openvino", batch_size=8),
        Predictor(open_model(exported), "tensorflow", batch_size=1),
    ):
        for result in predictor(files):
            same = (result.prediction["mask"] == expected[result.file]["mask"]).mean()
            assert same > 0.999
    served = tf.saved_model.load(str(exported)).signatures["serving_default"]
    outputs = served(tf.constant([read_encoded_bytes(file) for file in files]))  # of different sizes, in one batch
    for file, ids, counts in zip(files, outputs["mask"].numpy(), outputs["pixels"].numpy(), strict=True):
        mask = expected[file]["mask"]
        height, width = mask.shape
        assert (ids[:height, :width] == mask).mean() > 0.999
        assert (ids[height:] == 255).all() and (ids[:, width:] == 255).all()
        assert counts.sum() == mask.size
    image = tf.saved_model.load(str(exported)).signatures["image"]
    pair = np.stack([scene((64, 96), seed)[0] for seed in (0, 50)])
    assert image(tf.constant(pair))["mask"].shape == (2, 64, 96)
    assert [name.decode() for name in image(tf.constant(pair))["classes"].numpy()[0]] == list(CLASSES)


def test_evaluate_gives_the_scores_of_training(run, exported, dataset_folder):
    assert retinue.evaluate(str(run[0].folder), str(dataset_folder)).value == pytest.approx(run[1].value, abs=1e-6)
    assert retinue.evaluate(str(exported), str(dataset_folder)).value == pytest.approx(run[1].value, abs=2e-3)


def test_the_batch_size_does_not_change_masks(tensorflow_predictions):
    masks = [[prediction["mask"] for prediction in predictions.values()] for predictions in tensorflow_predictions]
    for other in masks[1:]:
        assert all(np.array_equal(one, two) for one, two in zip(masks[0], other, strict=True))


def test_masks_of_tiny_large_and_rotated_images(run, tmp_path):
    Image.fromarray(scene((33, 31), 1)[0]).save(tmp_path / "tiny.png")
    large = np.kron(scene((67, 100), 2)[0], np.ones((16, 16, 1), np.uint8))
    Image.fromarray(large).save(tmp_path / "large.png")
    Image.fromarray(scene((64, 48), 3)[0]).save(tmp_path / "rotated.jpg", exif=_rotated_exif())
    model = open_model(run[0].folder)
    sizes = {Path(r.file).name: r.prediction["mask"].shape for r in Predictor(model, "openvino")(tmp_path.iterdir())}
    assert sizes == {"tiny.png": (33, 31), "large.png": (1072, 1600), "rotated.jpg": (48, 64)}


def _rotated_exif():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_settings_that_segmentation_does_not_support_are_rejected(dataset_folder, tmp_path):
    with pytest.raises(retinue.UsageError, match="augment.mixup"):
        retinue.train(str(dataset_folder), str(tmp_path / "run"), **SMALL | {"augment__mixup": 0.2})
    with pytest.raises(retinue.UsageError, match="no layer score_9; did you mean score_"):
        stages = {"all": {"epochs": 1, "learning_rate": 1e-3, "freeze_layers": ["score_9"]}}
        retinue.train(str(dataset_folder), str(tmp_path / "other"), **SMALL | {"train__stages": stages})
