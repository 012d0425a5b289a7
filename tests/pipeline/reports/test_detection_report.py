"""A detector's report: its own parts, words about objects instead of files, and its plots."""

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
from retinue.pipeline.reports import detection_plots, plots
from retinue.pipeline.reports.report import write_report
from retinue.tasks.detection.draw import draw, summarize_errors, truth_of_record
from retinue.tasks.detection.scores import DetectionEvaluator

CLASSES = ("cat", "dog <b>", "elk")


def detector(pictures=12, seed=0):
    """A dataset, and the scores and worst pictures of a detector that misses, mixes up and sees things."""
    random = np.random.default_rng(seed)
    first = random.integers(0, 150, (3 * pictures, 2))
    boxes = np.concatenate([first, first + random.integers(20, 60, first.shape)], axis=1).astype(np.float32)
    labels, rows = np.arange(3 * pictures) % 2, np.repeat(np.arange(pictures), 3)
    columns = object_columns(rows, boxes, labels, np.arange(len(rows)), range(pictures))
    splits = np.array(["val"] * pictures, object)
    files = [f"/photos/{row}.png" for row in range(pictures)]
    data = Dataset("detection", files, CLASSES, columns, splits=splits, source="/photos", format="coco")
    predictions = []
    for record in data:
        said = random.uniform(size=3) < 0.8
        mixed = np.where(random.uniform(size=3) < 0.8, record["labels"], 1 - record["labels"])[said]
        shaken = record["boxes"][said] + random.normal(0, 2, (said.sum(), 4)).astype(np.float32)
        shaken = np.concatenate([shaken, [[150, 150, 190, 190]]]).astype(np.float32)
        scores, mixed = random.uniform(0.5, 1, len(shaken)), np.append(mixed, 2)
        entries = zip(mixed, scores, shaken.tolist(), strict=True)
        found = [{"label": CLASSES[label], "score": score, "box": box} for label, score, box in entries]
        predictions.append({"boxes": shaken, "scores": scores, "labels": mixed, "detections": found})
    evaluator = DetectionEvaluator(CLASSES, resamples=50)
    evaluator.update(predictions, data)
    scores, worst = evaluator.scores(), []
    for row in scores.worst:
        record, prediction = list(data)[row], predictions[row]
        truth = truth_of_record(data, record)
        names, said = summarize_errors(prediction, truth)
        image = draw(np.full((200, 220, 3), 200, np.uint8), prediction, CLASSES, truth)
        worst.append({"file": record["file"], "truth": names, "said": said, "image": image})
    return data, scores, worst


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    data, scores, worst = detector()
    page = write_report(
        folder, title="Animals", config=Config(), dataset=data, run_info={"split": "val"}, history=[], scores=scores,
        worst_images=worst, check_summary=[],
    )  # fmt: skip
    return folder, page.read_text(encoding="utf-8"), scores


def test_the_parts_and_their_words(written):
    _, page, scores = written
    parts = [
        "How many it finds, and how many are right",
        "What it misses and mixes up",
        "Class by class",
        "The most wrong pictures",
        "The data",
        "All numbers",
    ]
    places = [page.index(f"<h2>{part}</h2>") for part in parts]
    assert places == sorted(places)
    assert "The most common mix-up:" in page and "the model calls by this name" not in page
    assert '<th class="number">objects</th>' in page and '<th class="number">AP50</th>' in page
    assert "dog &lt;b&gt;" in page and "dog <b>" not in page
    assert f"{scores.value:.1%}" in page and "<small>AP</small>" in page
    assert f"worst of {len(scores.worst)} pictures with mistakes" in page or "20 worst of" in page
    assert "3 objects →" in page and re.search(r"\d false positives?</span>", page)


def test_numbers_are_in_files(written):
    folder, _, scores = written
    assert json.loads((folder / "scores.json").read_text())["numbers"]["ap50"] == scores.numbers["ap50"]
    for name in ("precision_recall", "confusion", "per_class", "classes"):
        with Image.open(folder / f"{name}.png") as image:
            assert image.width > 500
        with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
            assert len(list(csv.reader(file))) > 2
    assert len(list((folder / "worst").glob("*.jpg"))) == min(len(scores.worst), 20)


def test_one_class_and_many_classes_are_drawn():
    table = [{"recall": recall, "all classes": 1 - recall} for recall in (0.0, 0.5, 1.0)]
    plot = detection_plots.precision_recall(table, [{"class": "tree", "ap50": 0.5}])
    assert (plot.name, plot.rows) == ("precision_recall", table) and "AP50 is 50.0%" in plot.alt
    many = [row | {f"class {place}": 1 - row["recall"] / (place + 1) for place in range(10)} for row in table]
    classes = [{"class": f"class {place}", "ap50": None if place == 3 else 0.5} for place in range(9)]
    classes.append({"class": "class 9", "ap50": 0.1})
    del many[0]["class 3"], many[1]["class 3"], many[2]["class 3"]
    with Image.open(io.BytesIO(detection_plots.precision_recall(many, classes).png)) as image:
        assert len(image.convert("RGB").getcolors(2**24)) > 7


def test_a_confusion_table_with_another_last_row_and_column():
    table = [
        {"truth/predicted": "cat", "cat": 5, "false negative": 3},
        {"truth/predicted": "false positive", "cat": 2, "false negative": 0},
    ]
    assert plots.confusion(table, "objects").rows == table
    big = [
        {"truth/predicted": f"{row}"}
        | {f"{column}": int(row == column) for column in range(40)}
        | {"false negative": row}
        for row in range(40)
    ]
    big.append({"truth/predicted": "false positive"} | {f"{column}": 1 for column in range(40)} | {"false negative": 0})
    assert "most confused pairs" in plots.confusion(big, "objects").alt


def test_words():
    names = ("ap", "ap50", "ar_small", "voc07_ap50", "best_threshold", "f1", "macro_f1", "map_of_arts")
    expected = ["AP", "AP50", "AR small", "VOC07 AP50", "best threshold", "F1", "macro F1", "map of arts"]
    assert [plots.words(name) for name in names] == expected
