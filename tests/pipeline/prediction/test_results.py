"""Tests of the output folder of `predict`: what is written, and what the next run finds."""

import csv
import json
import tracemalloc

import numpy as np
import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.pipeline.prediction.predictor import Result
from retinue.pipeline.prediction.results import Results, as_line, read_lines, window_key
from retinue.tasks.classification.result_writer import LabelResultWriter

DESCRIPTION = {"model": "runs/a", "fingerprint": "f00d", "precision": "f32"}


def predicted(file, score=0.75):
    labels = [{"label": "ant", "score": score}, {"label": "bee, or wasp", "score": 1 - score}]
    return Result(file, 40, 30, {"labels": labels, "scores": np.array([score, 1 - score])})


def write(folder, *results, formats=("jsonl",), **description):
    opened = Results(folder, DESCRIPTION | description, formats, LabelResultWriter(2))
    for result in results:
        opened.write(result)
    opened.close()


def lines(folder, name="predictions.jsonl"):
    return list(read_lines(folder / name))


def table(folder):
    with open(folder / "predictions.csv", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_line_has_file_size_and_labels_and_no_arrays():
    line = as_line(predicted("ä b.jpg", 0.12345678), LabelResultWriter(2))
    assert line == {
        "file": "ä b.jpg",
        "width": 40,
        "height": 30,
        "labels": [{"label": "ant", "score": 0.123457}, {"label": "bee, or wasp", "score": 0.876543}],
    }


def test_lines_are_written_at_once(tmp_path):
    opened = Results(tmp_path, DESCRIPTION, ("jsonl", "csv"), LabelResultWriter(5))
    opened.write(predicted("a.jpg"))
    opened.write(Result("b.jpg", reason="empty: 0 bytes"))
    assert [line["file"] for line in lines(tmp_path)] == ["a.jpg"]
    assert lines(tmp_path, "failures.jsonl") == [{"file": "b.jpg", "reason": "empty: 0 bytes"}]
    assert len(table(tmp_path)) == 2
    opened.close()


def test_csv_columns(tmp_path):
    write(tmp_path, predicted("a, b.jpg"), formats=("jsonl", "csv"))
    assert table(tmp_path) == [
        ["file", "width", "height", "label", "score", "label2", "score2"],
        ["a, b.jpg", "40", "30", "ant", "0.75", "bee, or wasp", "0.25"],
    ]


def test_predicted_files_are_skipped_by_the_next_run(tmp_path):
    write(tmp_path, predicted("a.jpg"), predicted("b.jpg"), Result("c.jpg", reason="broken"))
    opened = Results(tmp_path, DESCRIPTION, writer=LabelResultWriter(5))
    assert [name in opened for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg")] == [True, True, False, False]
    opened.close()


@pytest.mark.parametrize("incomplete", [b'{"file": "b.jp', b'{"file": "b.jpg", "width": 1}', b"\0\0\0\0", b"[1]\n"])
def test_an_incomplete_last_line_is_removed_and_predicted_again(tmp_path, incomplete):
    write(tmp_path, predicted("a.jpg"), formats=("jsonl", "csv"))
    with open(tmp_path / "predictions.jsonl", "ab") as file:
        file.write(incomplete)
    with open(tmp_path / "predictions.csv", "a") as file:
        file.write("b.jp")
    opened = Results(tmp_path, DESCRIPTION, ("jsonl", "csv"), LabelResultWriter(5))
    assert "a.jpg" in opened and "b.jpg" not in opened
    opened.write(predicted("b.jpg"))
    opened.close()
    assert [line["file"] for line in lines(tmp_path)] == ["a.jpg", "b.jpg"]
    assert [row[0] for row in table(tmp_path)] == ["file", "a.jpg", "b.jpg"]


def test_half_written_files_of_a_killed_run_are_deleted(tmp_path):
    write(tmp_path, predicted("a.jpg"))
    half, own = tmp_path / "overlays" / "b" / ".x1y2z3_4.c.jpg", tmp_path / "overlays" / "b" / "c.jpg"
    half.parent.mkdir(parents=True)
    half.touch(), own.touch()
    write(tmp_path)
    assert half.exists()  # the earlier run finished, so the file is not its own
    description = json.loads((tmp_path / "predict.json").read_text()) | {"status": "running"}
    (tmp_path / "predict.json").write_text(json.dumps(description))
    write(tmp_path)
    assert not half.exists() and own.exists()


def test_a_damaged_line_before_the_last_is_reported(tmp_path):
    write(tmp_path, predicted("a.jpg"), predicted("b.jpg"), predicted("c.jpg"))
    lines_before = (tmp_path / "predictions.jsonl").read_bytes().splitlines(keepends=True)
    damaged = lines_before[0] + b'{"file": 7}\n' + lines_before[2]
    (tmp_path / "predictions.jsonl").write_bytes(damaged)
    with pytest.raises(RetinueError, match="predictions.jsonl: line 2 is damaged; delete that line"):
        Results(tmp_path, DESCRIPTION, writer=LabelResultWriter(5))
    assert (tmp_path / "predictions.jsonl").read_bytes() == damaged
    (tmp_path / "predictions.jsonl").write_bytes(lines_before[0] + lines_before[2])
    opened = Results(tmp_path, DESCRIPTION, writer=LabelResultWriter(5))
    assert [name in opened for name in ("a.jpg", "b.jpg", "c.jpg")] == [True, False, True]
    opened.close()


@pytest.mark.parametrize("content", [b"", b"{", b"3", b"\0\0"])
def test_a_damaged_description_is_reported(tmp_path, content):
    write(tmp_path, predicted("a.jpg"))
    (tmp_path / "predict.json").write_bytes(content)
    with pytest.raises(RetinueError, match="predict.json: the file is damaged.*use another --out"):
        Results(tmp_path, DESCRIPTION, writer=LabelResultWriter(5))


def test_a_class_called_start_does_not_break_a_resumed_prediction(tmp_path):
    labels = [{"label": "start", "score": 0.75}, {"label": "end", "score": 0.25}]
    write(tmp_path, Result("a.jpg", 40, 30, {"labels": labels}), formats=("jsonl", "csv"))
    resumed = Results(tmp_path, DESCRIPTION, ("jsonl", "csv"), LabelResultWriter(2))
    assert "a.jpg" in resumed and "b.jpg" not in resumed
    resumed.close()


def test_windows_are_known_again(tmp_path):
    window = Result("a.mp4", 40, 30, predicted("a.mp4").prediction, start=1.0, end=2.5)
    write(tmp_path, window, window=1.5, stride=1.0)
    resumed = Results(tmp_path, DESCRIPTION | {"window": 1.5, "stride": 1.0}, writer=LabelResultWriter(2))
    assert window_key("a.mp4", 1.0, 2.5) in resumed and window_key("a.mp4", 2.0, 3.5) not in resumed
    resumed.close()
    with pytest.raises(UsageError, match=r"in windows of 1.5 s every 1 s, not of runs/a at f32 in windows of 2 s"):
        Results(tmp_path, DESCRIPTION | {"window": 2.0, "stride": 2.0})


def test_many_failures_use_little_memory(tmp_path):
    opened = Results(tmp_path, DESCRIPTION, writer=LabelResultWriter(5))
    tracemalloc.start()
    for number in range(20_000):
        opened.write(Result(f"/image_folder/a/path/{number}.jpg", reason="empty: 0 bytes"))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    opened.close()
    assert held < 200_000  # the lines are 1.2 MB
    assert len(lines(tmp_path, "failures.jsonl")) == 20_000


def test_incomplete_failures_are_dropped(tmp_path):
    write(tmp_path, Result("a.jpg", reason="one"))
    with open(tmp_path / "failures.jsonl", "ab") as file:
        file.write(b'{"file": "b.jp')
    write(tmp_path, Result("c.jpg", reason="three"))
    assert [line["file"] for line in lines(tmp_path, "failures.jsonl")] == ["a.jpg", "c.jpg"]


def test_a_failure_stays_until_its_file_is_predicted(tmp_path):
    write(tmp_path, Result("a.jpg", reason="one"), Result("b.jpg", reason="two"), Result("c.jpg", reason="three"))
    write(tmp_path, predicted("a.jpg"), Result("b.jpg", reason="still"))
    assert lines(tmp_path, "failures.jsonl") == [
        {"file": "c.jpg", "reason": "three"},
        {"file": "b.jpg", "reason": "still"},
    ]
    write(tmp_path, predicted("b.jpg"), predicted("c.jpg"))
    assert not (tmp_path / "failures.jsonl").exists()


def test_names_that_are_not_utf8_are_kept(tmp_path):
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    write(tmp_path, predicted(name), formats=("jsonl", "csv"))
    assert lines(tmp_path)[0]["file"] == name
    assert b"caf\xe9.jpg" in (tmp_path / "predictions.csv").read_bytes()
    opened = Results(tmp_path, DESCRIPTION, writer=LabelResultWriter(5))
    assert name in opened
    opened.close()


def test_csv_can_be_requested_later(tmp_path):
    write(tmp_path, predicted("a.jpg"))
    write(tmp_path, predicted("b.jpg"), formats=("jsonl", "csv"))
    assert [row[0] for row in table(tmp_path)] == ["file", "a.jpg", "b.jpg"]


def test_another_model_or_precision_is_refused(tmp_path):
    write(tmp_path, predicted("a.jpg"))
    with pytest.raises(UsageError, match="predictions of runs/a at f32, not of runs/b at f32; use another --out"):
        Results(tmp_path, DESCRIPTION | {"model": "runs/b", "fingerprint": "beef"})
    with pytest.raises(UsageError, match="not of runs/a at bf16"):
        Results(tmp_path, DESCRIPTION | {"precision": "bf16"})
    with pytest.raises(UsageError, match="its files have changed"):
        Results(tmp_path, DESCRIPTION | {"fingerprint": "beef"})
    write(tmp_path, predicted("b.jpg"), model="copied/elsewhere")
    assert json.loads((tmp_path / "predict.json").read_text())["status"] == "finished"


def test_a_folder_without_predictions_can_be_used_by_another_model(tmp_path):
    write(tmp_path)  # no line
    write(tmp_path, predicted("a.jpg"), fingerprint="beef", precision="int8")
    assert json.loads((tmp_path / "predict.json").read_text())["fingerprint"] == "beef"
    with pytest.raises(UsageError, match="use another --out"):
        Results(tmp_path, DESCRIPTION, writer=LabelResultWriter(5))


def test_a_folder_without_a_description_is_not_changed(tmp_path):
    (tmp_path / "predictions.jsonl").write_text("someone else's")
    with pytest.raises(UsageError, match="no predict.json"):
        Results(tmp_path, DESCRIPTION, writer=LabelResultWriter(5))
    assert (tmp_path / "predictions.jsonl").read_text() == "someone else's"


def test_two_processes_at_once_are_refused(tmp_path):
    opened = Results(tmp_path, DESCRIPTION, writer=LabelResultWriter(5))
    with pytest.raises(UsageError, match="another process"):
        Results(tmp_path, DESCRIPTION, writer=LabelResultWriter(5))
    opened.close()
    write(tmp_path)


@pytest.mark.parametrize("name, words", [("coco", "coco is for detection"), ("xml", "use jsonl or csv")])
def test_unknown_formats(tmp_path, name, words):
    with pytest.raises(UsageError, match=words):
        Results(tmp_path / "out", DESCRIPTION, (name,))
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_reported(tmp_path):
    opened = Results(tmp_path, DESCRIPTION, writer=LabelResultWriter(5))
    opened._open_files["predictions"] = open("/dev/full", "a", buffering=1)
    with pytest.raises(RetinueError, match="No space left.*run the same command again"):
        opened.write(predicted("a.jpg"))


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file: this is a file; use a folder as --out"):
        Results(tmp_path / "file", DESCRIPTION)
    with pytest.raises(RetinueError, match="can't be written"):
        Results(tmp_path / "file" / "out", DESCRIPTION)
