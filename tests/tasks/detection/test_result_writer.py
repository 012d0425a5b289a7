"""Detections as lines, as a table, as COCO's results with the ids of the annotations, and cut out."""

import contextlib
import csv
import io
import json
import os

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from retinue.configs.errors import UsageError
from retinue.pipeline.prediction.crops import with_crops
from retinue.pipeline.prediction.predictor import Result
from retinue.pipeline.prediction.results import Results, as_line, read_lines
from retinue.tasks.detection.coco_results import image_id
from retinue.tasks.detection.result_writer import BoxResultWriter

MADE_BY = {"model": "runs/a", "fingerprint": "f00d", "precision": "f32", "task": "detection"}


def result_of(file, *entries):
    entries = [{"label": label, "score": score, "box": box} for label, score, box in entries]
    arrays = {"boxes": np.zeros((len(entries), 4)), "scores": np.zeros(len(entries)), "labels": np.zeros(len(entries))}
    return Result(file, 40, 30, {"detections": entries} | arrays)


CAT, DOG = ("cat", 0.87654321, [1.006, 2.0, 11.0, 22.5]), ("dog", 0.5, [0.0, 0.0, 40.0, 30.0])


def write(folder, *results, **options):
    opened = Results(folder, MADE_BY, ("jsonl", "csv", "coco"), BoxResultWriter(("cat", "dog"), **options))
    for result in results:
        opened.write(result)
    opened.close()


def test_a_line_has_rounded_boxes_and_no_arrays():
    assert as_line(result_of("a.jpg", CAT), BoxResultWriter(("cat", "dog"))) == {
        "file": "a.jpg",
        "width": 40,
        "height": 30,
        "detections": [{"label": "cat", "score": 0.876543, "box": [1.01, 2.0, 11.0, 22.5]}],
    }


def test_the_table_has_a_row_for_each_box_and_can_be_resumed(tmp_path):
    write(tmp_path, result_of("a.jpg", CAT, DOG), result_of("b.jpg"))
    write(tmp_path, result_of("c.jpg", DOG))
    with open(tmp_path / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["file", "width", "height", "label", "score", "x1", "y1", "x2", "y2"],
        ["a.jpg", "40", "30", "cat", "0.876543", "1.01", "2.0", "11.0", "22.5"],
        ["a.jpg", "40", "30", "dog", "0.5", "0.0", "0.0", "40.0", "30.0"],
        ["b.jpg", "40", "30", "", "", "", "", "", ""],
        ["c.jpg", "40", "30", "dog", "0.5", "0.0", "0.0", "40.0", "30.0"],
    ]
    assert [line["file"] for line in read_lines(tmp_path / "predictions.jsonl")] == ["a.jpg", "b.jpg", "c.jpg"]


def test_coco_results_have_the_ids_of_the_annotations(tmp_path):
    ids = {"class_ids": (17, 90), "image_ids": {os.path.abspath("x/a.jpg"): 5}}
    write(tmp_path, result_of("x/a.jpg", CAT), result_of("x/000139.jpg", DOG), result_of("x/c.jpg"), **ids)
    content = json.loads((tmp_path / "predictions.coco.json").read_text())
    assert content == [
        {"image_id": 5, "category_id": 17, "bbox": [1.01, 2.0, 9.99, 20.5], "score": 0.876543},
        {"image_id": 139, "category_id": 90, "bbox": [0.0, 0.0, 40.0, 30.0], "score": 0.5},
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": [{"id": 5}, {"id": 139}], "annotations": [], "categories": [{"id": 17}, {"id": 90}]}
        truth.createIndex()
        assert len(truth.loadRes(str(tmp_path / "predictions.coco.json")).anns) == 2


def test_ids_that_are_text_stay_text(tmp_path):
    ids = {"class_ids": ("cat", "01"), "image_ids": {os.path.abspath("000139.jpg"): "000139"}}
    write(tmp_path, result_of("000139.jpg", DOG), **ids)
    (entry,) = json.loads((tmp_path / "predictions.coco.json").read_text())
    assert (entry["image_id"], entry["category_id"]) == ("000139", "01")
    assert json.loads((tmp_path / "categories.json").read_text())[1] == {"id": "01", "name": "dog"}


def test_images_of_annotation_files_that_number_anew_are_refused(tmp_path):
    paths = [os.path.abspath(f"{split}/{name}.jpg") for split in ("train", "val") for name in "ab"]
    ids = {"class_ids": (17, 90), "image_ids": dict(zip(paths, (1, 2, 1, "2"), strict=True))}
    message = f"{paths[0]} and {paths[2]} both have the image id 1, .* alone \\(for example {os.path.abspath('val')}\\)"
    with pytest.raises(UsageError, match=message):
        BoxResultWriter(("cat", "dog"), **ids).check_ids(paths)
    with pytest.raises(UsageError, match=message):
        write(tmp_path / "all", *(result_of(path, CAT) for path in paths), **ids)
    BoxResultWriter(("cat", "dog"), **ids).check_ids([*paths[2:], *paths[2:]])  # a file may be given twice
    write(tmp_path / "val", *(result_of(path, CAT) for path in paths[2:]), **ids)
    results = json.loads((tmp_path / "val/predictions.coco.json").read_text())
    assert [entry["image_id"] for entry in results] == [1, "2"]


def test_the_number_in_a_name_is_no_id_if_another_image_has_it(tmp_path):
    ids = {"image_ids": {os.path.abspath("a.jpg"): 7}}
    write(tmp_path, result_of("a.jpg", CAT), result_of("7.jpg", CAT), **ids)
    results = json.loads((tmp_path / "predictions.coco.json").read_text())
    assert [entry["image_id"] for entry in results] == [7, "7.jpg"]


def test_coco_results_without_ids_and_without_detections(tmp_path):
    write(tmp_path / "some", result_of("b/tree.jpg", DOG, CAT))
    content = json.loads((tmp_path / "some/predictions.coco.json").read_text())
    assert [(entry["image_id"], entry["category_id"]) for entry in content] == [("tree", 2), ("tree", 1)]
    write(tmp_path / "other part", result_of("c.jpg", DOG))
    assert json.loads((tmp_path / "other part/predictions.coco.json").read_text())[0]["category_id"] == 2
    for name in ("some", "other part"):
        categories = json.loads((tmp_path / name / "categories.json").read_text())
        assert categories == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    write(tmp_path / "none", result_of("a.jpg"))
    assert json.loads((tmp_path / "none/predictions.coco.json").read_text()) == []
    assert [image_id(name) for name in ("a/007.png", "x7.png", "²")] == [7, "x7", "²"]


def test_an_interrupted_run_writes_no_results_that_would_look_complete(tmp_path):
    opened = Results(tmp_path, MADE_BY, ("coco",), BoxResultWriter(("cat", "dog")))
    opened.write(result_of("a.jpg", CAT))
    opened.close("interrupted")
    assert not (tmp_path / "predictions.coco.json").exists()


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--format xml: use jsonl or csv or coco"):
        Results(tmp_path / "out", MADE_BY, ("xml",), BoxResultWriter(("cat", "dog")))


def test_crops_are_written_by_class(tmp_path):
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[2:22, 1:11] = (200, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    results = [
        result_of(
            str(tmp_path / "a.png"), ("dog", 0.5, [0, 0, 90, 90]), ("a/b", 0.9, [1.2, 2, 11, 22]), ("dog", 0.1, [0] * 4)
        ),
        Result("b.png", reason="broken"),
        result_of("gone.png", CAT),
    ]
    assert list(with_crops(iter(results), tmp_path / "out")) == results
    written = sorted(path.relative_to(tmp_path / "out").parts for path in (tmp_path / "out").rglob("*.jpg"))
    assert [(parts[0], parts[-1]) for parts in written] == [("a-b", "a.png-1.jpg"), ("dog", "a.png-2.jpg")]
    with Image.open(next((tmp_path / "out/a-b").rglob("*.jpg"))) as crop:
        assert crop.size == (10, 20)
        assert (np.abs(np.asarray(crop).astype(int) - (200, 0, 0)) < 12).all()
    with Image.open(next((tmp_path / "out/dog").rglob("*.jpg"))) as whole:
        assert whole.size == (40, 30)


def test_crops_of_an_absolute_and_a_relative_path_are_different_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    absolute = tmp_path / "images" / "1.png"
    relative = os.path.join(*absolute.parts[1:])  # the same path without its root, in another folder
    for path, value in ((absolute, 250), (tmp_path / relative, 5)):
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full((20, 20, 3), value, np.uint8)).save(path)
    results = [result_of(str(absolute), CAT), result_of(relative, CAT)]
    assert len(list(with_crops(iter(results), tmp_path / "out"))) == 2
    means = []
    for path in (tmp_path / "out").rglob("*.jpg"):
        with Image.open(path) as crop:
            means.append(np.asarray(crop).mean())
    assert sorted(means) == pytest.approx([5, 250], abs=2)


def test_images_of_one_name_keep_different_ids(tmp_path):
    write(
        tmp_path,
        result_of("a/p.jpg", CAT),
        result_of("b/p.jpg", DOG),
        result_of("b/q.jpg", DOG),
        result_of("b/0012.jpg", CAT),
    )
    results = json.loads((tmp_path / "predictions.coco.json").read_text())
    assert [entry["image_id"] for entry in results] == ["a/p.jpg", "b/p.jpg", "q", 12]
