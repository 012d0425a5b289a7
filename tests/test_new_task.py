"""A task is a folder and two lines: a regression task in a temporary package works in every stage.

The task predicts one number from an image. It is registered by an entry in `tasks.TASKS` and its name in the schema,
and defines only what a task must define. Everything else is the default.
"""

import csv
import json
import sys
from typing import Literal, get_args

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import retinue
from retinue import tasks
from retinue.configs.schema import Config

READER = '''
"""Reads a CSV file with the columns file and value."""

import csv
from pathlib import Path

import numpy as np

from retinue.data.dataset import Dataset


def read_values(source):
    with open(source, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    files = [str(Path(source).parent / row["file"]) for row in rows]
    values = np.array([float(row["value"]) for row in rows], np.float32)
    return Dataset("brightness", files, (), {"value": values}, source=str(source), format="values csv")
'''
TASK = '''
"""Predicts the brightness of an image, a number from 0 to 1."""

import keras
import numpy as np

from retinue.tasks.model import TaskModel
from retinue.tasks.result_writer import ResultWriter
from retinue.tasks.scores import Scores
from retinue.tasks.task import Task


class Brightness(Task):
    name = "brightness"

    def build(self, weights=None, class_counts=None):
        size = self.config.model.input_size
        image = keras.Input((size, size, 3), name="image")
        x = keras.layers.Rescaling(1 / 255, name="scale")(image)
        x = keras.layers.Conv2D(4, 3, name="conv")(x)
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        value = keras.layers.Dense(1, name="value")(x)

        def loss(targets, outputs):
            return {"loss": keras.ops.square(targets - outputs)[:, 0]}

        return TaskModel(image, value, loss, ("loss",), ["scale", "conv"])

    def targets(self, columns):
        return columns["value"][None]

    def postprocess(self, outputs):
        return [{"value": float(row[0])} for row in outputs["outputs"]]

    def ground_truth(self, dataset, record):
        return float(record["value"])

    def evaluator(self, interval=True):
        return BrightnessEvaluator()

    def result_writer(self, class_ids=(), image_ids=None):
        return ResultWriter(["value"])


class BrightnessEvaluator:
    def __init__(self):
        self.predicted, self.true = [], []

    def update(self, predictions, dataset):
        self.predicted += [prediction["value"] for prediction in predictions]
        self.true += dataset.columns["value"].tolist()

    def scores(self):
        errors = np.abs(np.array(self.predicted) - self.true)
        r2 = 1 - float((errors**2).sum() / ((np.array(self.true) - np.mean(self.true)) ** 2).sum())
        return Scores(
            "r2",
            {"r2": r2, "mean_absolute_error": float(errors.mean())},
            count=len(errors),
            worst=np.argsort(-errors).tolist(),
            verdict="The prediction is off by " + format(errors.mean(), ".3f") + " on average.",
            monitored_metrics=("mean_absolute_error",),
            plain_metrics=("mean_absolute_error",),
        )
'''


@pytest.fixture(scope="module")
def new_task(tmp_path_factory):
    """A package with the task, and the two lines."""
    package = tmp_path_factory.mktemp("packages") / "brightness"
    package.mkdir()
    for name, code in (("__init__", ""), ("reader", READER), ("task", TASK)):
        (package / f"{name}.py").write_text(code, encoding="utf-8")
    entry = tasks.TaskEntry("brightness.task:Brightness", reader="brightness.reader:read_values")
    field = Config.model_fields["task"]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(package.parent)
        patch.setitem(tasks.TASKS, "brightness", entry)  # the line in tasks/__init__.py
        patch.setattr(field, "annotation", Literal[(*get_args(field.annotation), "brightness")])  # configs/schema.py
        Config.model_rebuild(force=True)
        yield
    Config.model_rebuild(force=True)
    for name in [name for name in sys.modules if name.partition(".")[0] == "brightness"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """24 images of one gray each, with a little noise, and the CSV file with their brightness."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    with open(folder / "values.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "value"])
        for number, value in enumerate(np.linspace(0.1, 0.9, 24)):
            pixels = 255 * value + random.uniform(-5, 5, (20, 24, 3))
            Image.fromarray(np.uint8(pixels)).save(folder / f"{number}.png")
            rows.writerow([f"{number}.png", value])
    return folder


@pytest.fixture(scope="module")
def trained(new_task, images, tmp_path_factory):
    return retinue.train(
        str(images / "values.csv"),
        str(tmp_path_factory.mktemp("runs") / "run"),
        task="brightness",
        model__input_size=16,
        data__val_fraction=0.25,
        train__batch_size=2,
        train__optimizer="adamw",
        train__warmup_epochs=0,
        train__stages={"all": {"epochs": 8, "learning_rate": 0.03, "backbone_lr_multiplier": 1.0}},
    )


def test_training_and_its_report(trained):
    run, scores = trained
    assert scores.primary_metric == "r2" and scores.value > 0.8 and scores.count == 6
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert f"{scores.value:.1%}" in page and scores.verdict in page
    assert f"{scores.metrics['mean_absolute_error']:.3f}" in page and "mean absolute error" in page
    for heading in ("Training", "Worst predictions", "Data", "Input images", "All metrics", "Settings"):
        assert f"<h2>{heading}</h2>" in page, heading
    assert len(list((run.folder / "worst").glob("*.jpg"))) == 6
    with open(run.folder / "metrics.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) and rows[-1]["val_mean_absolute_error"]


def test_evaluation_gives_the_scores_of_the_training(trained, images):
    run, scores = trained
    again = retinue.evaluate(str(run.folder), str(images / "values.csv"), runtime="tensorflow")
    assert again.count == 6 and again.value == pytest.approx(scores.value, abs=1e-6)


def test_predictions_are_written_as_lines_and_as_a_table(trained, images, tmp_path):
    run, _ = trained
    summary = retinue.predict(str(run.folder), [str(images)], str(tmp_path / "out"), formats=("jsonl", "csv"))
    assert (summary.images, summary.failures) == (24, 0)
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    truth = {f"{number}.png": value for number, value in enumerate(np.linspace(0.1, 0.9, 24))}
    errors = [abs(line["value"] - truth[line["file"].rpartition("/")[2]]) for line in lines]
    assert np.mean(errors) < 0.1
    with open(tmp_path / "out" / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == [line["value"] for line in lines]


def test_the_export_is_verified_and_gives_the_predictions_of_the_run(trained, images, tmp_path):
    run, _ = trained
    description = retinue.export(str(run.folder), str(tmp_path / "export"))
    result = description["formats"]["savedmodel"]
    assert result["same"] == len(description["verified_on"]) == 8 and result["largest_difference"] <= 1e-4
    serve = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_default"]
    served = serve(bytes=tf.constant([(images / f"{number}.png").read_bytes() for number in (3, 20)]))["outputs"]
    assert served[0, 0] < 0.4 < 0.6 < served[1, 0]


def test_a_task_without_an_explainer_can_not_be_explained(trained, images, tmp_path):
    run, _ = trained
    with pytest.raises(retinue.UsageError, match="models of the task brightness can't be explained"):
        retinue.explain_images(str(run.folder), [str(images / "3.png")], str(tmp_path / "why"))


def test_the_table_of_tasks_and_the_schema_name_the_same_tasks():
    assert tuple(tasks.TASKS) == get_args(Config.model_fields["task"].annotation)
