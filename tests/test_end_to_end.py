"""All steps of a user with a small model: train, evaluate, predict with each runtime, and export, with equal scores."""

import csv
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import retinue
from retinue.data.decoding.decode import read_encoded_bytes

COLORS = {"blåbær & co": (60, 60, 190), "red": (190, 60, 60), "green": (60, 190, 60)}
SMALL = {
    "model__weights": "none",
    "model__backbone": "lenet5",
    "model__input_size": 32,
    "train__batch_size": 8,
    "evaluate__bootstrap_samples": 100,
    "train__stages": {"all": {"epochs": 2, "learning_rate": 1e-3, "backbone_lr_multiplier": 1.0}},
    "data__on_invalid": "skip",
}
ONE_EPOCH = {"train__stages": {"all": SMALL["train__stages"]["all"] | {"epochs": 1}}}


def make_images(folder, count=10):
    """Write noisy images of three colors into class folders, with unusual letters in the names, and two bad files."""
    random = np.random.default_rng(0)
    for label, color in COLORS.items():
        for number in range(count):
            pixels = np.clip(random.normal(color, 40, (36, 30 + number, 3)), 0, 255).astype(np.uint8)
            path = folder / label / f"image {number} ü.{'png' if number % 2 else 'jpg'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    (folder / "red" / "empty.jpg").write_bytes(b"")
    (folder / "red" / "text.jpg").write_text("not an image")
    return folder


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("data") / "my images")


@pytest.fixture(scope="module")
def run(image_folder, tmp_path_factory):
    run, scores = retinue.train(str(image_folder), str(tmp_path_factory.mktemp("runs") / "run"), **SMALL)
    return run, scores


def predictions(folder):
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]
    return {row["file"]: {item["label"]: item["score"] for item in row["labels"]} for row in rows}


def test_run_folder_is_complete(run):
    folder, scores = run[0].folder, run[1]
    expected = (
        "config.yaml classes.json run.json split.csv metrics.csv scores.json per_class.csv best.weights.h5 report.html"
    )
    assert set(expected.split()) <= {path.name for path in folder.iterdir()}
    assert any(folder.glob("last/checkpoint-*.npz")) and (folder / "check" / "problems.csv").exists()
    info = json.loads((folder / "run.json").read_text("utf-8"))
    assert info["status"] == "done" and info["data"]["files"] == 30
    assert json.loads((folder / "scores.json").read_text("utf-8"))["value"] == scores.value
    assert len(list(csv.DictReader(open(folder / "metrics.csv")))) == 2
    page = (folder / "report.html").read_text("utf-8")
    assert "blåbær &amp; co" in page and "http://" not in page


def test_all_runtimes_and_exports_predict_the_same(run, image_folder, tmp_path):
    folder = run[0].folder
    retinue.predict(str(folder), [str(image_folder)], tmp_path / "tf", runtime="tensorflow")
    summary = retinue.predict(str(folder), [str(image_folder)], tmp_path / "ov", runtime="openvino")
    assert summary.exit_code == 3 and summary.failures == 2
    retinue.export(str(folder), tmp_path / "export")
    retinue.predict(str(tmp_path / "export"), [str(image_folder)], tmp_path / "ex", runtime="tensorflow")
    first = predictions(tmp_path / "tf")
    assert len(first) == 30
    served = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_default"]
    outputs = served(tf.constant([read_encoded_bytes(name) for name in first]))
    names = [name.decode() for name in outputs["classes"].numpy()[0]]
    by_bytes = {
        file: dict(zip(names, row, strict=True)) for file, row in zip(first, outputs["scores"].numpy(), strict=True)
    }
    for other in (predictions(tmp_path / "ov"), predictions(tmp_path / "ex"), by_bytes):
        for file, scores in first.items():
            assert max(abs(scores[name] - other[file][name]) for name in scores) < 1e-4
            assert max(scores, key=scores.get) == max(other[file], key=other[file].get)
    # `evaluate` scores the validation set by the same predictions.
    with open(folder / "split.csv", encoding="utf-8", newline="") as file:
        validation = [row for row in csv.DictReader(file) if row["split"] == "val"]
    is_correct = [max(first[row["file"]], key=first[row["file"]].get) == row["label"] for row in validation]
    for model in (folder, tmp_path / "export"):
        assert (
            retinue.evaluate(str(model), str(image_folder)).value == pytest.approx(np.mean(is_correct)) == run[1].value
        )


def test_several_labels_per_file(image_folder, tmp_path):
    table = tmp_path / "labels.csv"
    files = sorted(path for path in image_folder.rglob("image*"))
    with open(table, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label"])
        for number, path in enumerate(files):
            writer.writerow([path, path.parent.name + (";odd" if number % 2 else "")])
    run, scores = retinue.train(
        str(table), str(tmp_path / "run"), **SMALL | ONE_EPOCH | {"train__class_balance": "weights"}
    )
    assert scores.primary_metric == "mean_average_precision" and 0 <= scores.value <= 1
    retinue.predict(str(run.folder), [str(files[0])], tmp_path / "out")
    scores = predictions(tmp_path / "out")[str(files[0])]
    assert set(scores) == {*COLORS, "odd"}


def test_resuming_a_finished_run_only_writes_the_report_again(run, image_folder, tmp_path):
    before = (run[0].folder / "best.weights.h5").read_bytes()
    _, scores = retinue.train(str(image_folder), str(run[0].folder), resume=True)
    assert scores.value == run[1].value
    assert (run[0].folder / "best.weights.h5").read_bytes() == before


def test_resume_refuses_other_data(run, image_folder, tmp_path):
    fewer = make_images(tmp_path / "other", count=6)
    with pytest.raises(retinue.RetinueError, match="the data has changed"):
        retinue.train(str(fewer), str(run[0].folder), resume=True)


def test_files_are_recognized_in_a_copied_folder(run, image_folder, tmp_path):
    """Files that the model was trained on stay training files in a copy of their folder."""
    moved = tmp_path / "elsewhere"
    shutil.copytree(image_folder, moved)
    assert retinue.evaluate(str(run[0].folder), str(moved)).count == 6
    copied = tmp_path / "run"
    shutil.copytree(run[0].folder, copied)
    assert retinue.evaluate(str(copied), str(moved)).count == 6


def test_evaluation_refuses_labels_of_another_kind(run, image_folder, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text(
        f"file,label\n{image_folder}/red/image 0 ü.jpg,red;green\n{image_folder}/red/image 2 ü.jpg,red\n", "utf-8"
    )
    with pytest.raises(retinue.RetinueError, match="several labels"):
        retinue.evaluate(str(run[0].folder), str(table))
    table.write_text(
        f"file,label\n{image_folder}/red/image 0 ü.jpg,purple\n{image_folder}/red/image 2 ü.jpg,red\n", "utf-8"
    )
    with pytest.raises(retinue.RetinueError, match="does not know the class purple"):
        retinue.evaluate(str(run[0].folder), str(table))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model__weights": "none.h5"}, "none.h5"),
        ({"model__backbone": "keras/VGG16", "model__input_size": 16}, "at least 32"),
        (
            {
                "model__backbone": "keras/VGG16",
                "train__stages": {"a": {"epochs": 1, "learning_rate": 1, "input_size": 16}},
            },
            "smallest",
        ),
    ],
)
def test_a_failed_start_leaves_no_folder(image_folder, tmp_path, settings, message):
    with pytest.raises(retinue.RetinueError, match=message):
        retinue.train(str(image_folder), str(tmp_path / "run"), **SMALL | settings)
    assert list(tmp_path.iterdir()) == []


def test_resume_refuses_settings(run, image_folder):
    with pytest.raises(retinue.UsageError, match="keeps its own configuration"):
        retinue.train(str(image_folder), str(run[0].folder), resume=True, train__batch_size=3)


def test_without_validation_files_there_is_a_report_and_no_score(image_folder, tmp_path):
    settings = SMALL | ONE_EPOCH | {"data__val_fraction": 0.0}
    run, scores = retinue.train(str(image_folder), str(tmp_path / "run"), **settings)
    assert scores is None and (run.folder / "report.html").exists() and not (run.folder / "scores.json").exists()
    retinue.export(str(run.folder), tmp_path / "export")  # it is verified with training files
