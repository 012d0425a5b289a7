"""A detector's report: its own sections, words about objects instead of files, and its plots."""

import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from retinue.configs.schema import Config
from retinue.data.dataset import Dataset
from retinue.data.readers.objects import object_columns
from retinue.pipeline.reports.report import ReportData, write_report
from retinue.tasks.detection.draw import draw, summarize_errors, truth_of_record
from retinue.tasks.detection.precision_recall import plot_precision_recall
from retinue.tasks.detection.scores import DetectionEvaluator
from retinue.tasks.detection.task import Detection
from retinue.tasks.worst_images import WorstImage

CLASSES = ("cat", "dog <b>", "elk")


def detector(num_images=12, seed=0):
    """A dataset, and the scores and worst images of a detector with false negatives, confusions, false positives."""
    random = np.random.default_rng(seed)
    first = random.integers(0, 150, (3 * num_images, 2))
    boxes = np.concatenate([first, first + random.integers(20, 60, first.shape)], axis=1).astype(np.float32)
    labels, rows = np.arange(3 * num_images) % 2, np.repeat(np.arange(num_images), 3)
    columns = object_columns(rows, boxes, labels, np.arange(len(rows)), range(num_images))
    splits = np.array(["val"] * num_images, object)
    files = [f"/images/{row}.png" for row in range(num_images)]
    data = Dataset("detection", files, CLASSES, columns, splits=splits, source="/images", format="coco")
    predictions = []
    for record in data:
        detected = random.uniform(size=3) < 0.8
        confused = np.where(random.uniform(size=3) < 0.8, record["labels"], 1 - record["labels"])[detected]
        shifted = record["boxes"][detected] + random.normal(0, 2, (detected.sum(), 4)).astype(np.float32)
        shifted = np.concatenate([shifted, [[150, 150, 190, 190]]]).astype(np.float32)
        scores, confused = random.uniform(0.5, 1, len(shifted)), np.append(confused, 2)
        entries = zip(confused, scores, shifted.tolist(), strict=True)
        detections = [{"label": CLASSES[label], "score": score, "box": box} for label, score, box in entries]
        predictions.append({"boxes": shifted, "scores": scores, "labels": confused, "detections": detections})
    evaluator = DetectionEvaluator(CLASSES, bootstrap_samples=50)
    evaluator.update(predictions, data)
    scores, worst = evaluator.scores(), []
    for row in scores.worst:
        record, prediction = list(data)[row], predictions[row]
        truth = truth_of_record(data, record)
        names, predicted = summarize_errors(prediction, truth)
        image = draw(np.full((200, 220, 3), 200, np.uint8), prediction, CLASSES, truth)
        worst.append(WorstImage(record["file"], names, predicted, image))
    return data, scores, worst


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    data, scores, worst = detector()
    content = ReportData(
        title="Animals",
        task=Detection(Config(), CLASSES),
        dataset=data,
        scores=scores,
        worst_images=worst,
        run_info={"split": "val"},
        check_summary=[],
    )
    page = write_report(folder, content)
    return folder, page.read_text(encoding="utf-8"), scores


def test_the_sections_speak_of_objects(written):
    _, page, scores = written
    headings = [
        "Precision and recall",
        "Confusion matrix",
        "Results by class",
        "Worst predictions",
        "Data",
        "All metrics",
    ]
    positions = [page.index(f"<h2>{heading}</h2>") for heading in headings]
    assert positions == sorted(positions)
    assert "The most common confusion:" in page and "fraction of the files" not in page
    assert '<th class="number">objects</th>' in page and '<th class="number">AP50</th>' in page
    assert "dog &lt;b&gt;" in page and "dog <b>" not in page
    assert f"{scores.value:.1%}" in page and "<small>AP</small>" in page
    assert f"worst of {len(scores.worst)} images with mistakes" in page or "20 worst of" in page
    assert "3 objects →" in page and re.search(r"\d false positives?</span>", page)


def test_all_numbers_are_in_files(written):
    folder, _, scores = written
    assert json.loads((folder / "scores.json").read_text())["metrics"]["ap50"] == scores.metrics["ap50"]
    for name in ("precision_recall", "confusion", "per_class", "classes"):
        with Image.open(folder / f"{name}.png") as image:
            assert image.width > 500
        with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
            assert len(list(csv.reader(file))) > 2
    assert len(list((folder / "worst").glob("*.jpg"))) == min(len(scores.worst), 20)


def test_one_class_and_many_classes_are_drawn():
    table = [{"recall": recall, "all classes": 1 - recall} for recall in (0.0, 0.5, 1.0)]
    plot = plot_precision_recall(table, [{"class": "tree", "ap50": 0.5}])
    assert (plot.name, plot.rows) == ("precision_recall", table) and "AP50 is 50.0%" in plot.alt
    many = [row | {f"class {index}": 1 - row["recall"] / (index + 1) for index in range(10)} for row in table]
    classes = [{"class": f"class {index}", "ap50": None if index == 3 else 0.5} for index in range(9)]
    classes.append({"class": "class 9", "ap50": 0.1})
    del many[0]["class 3"], many[1]["class 3"], many[2]["class 3"]
    with Image.open(io.BytesIO(plot_precision_recall(many, classes).png)) as image:
        assert len(image.convert("RGB").getcolors(2**24)) > 7
