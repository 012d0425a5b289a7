"""What a prediction leaves on disk: lines that are written as they are made, and a folder that can be gone on with.

`predictions.jsonl` a line a file, as it is done; `failures.jsonl` a line a file that could not be read;
`predictions.csv` on request; `predict.json` what made them. `predictions.jsonl` alone says what is done: a line that a
kill tore is taken off and its file is done again, and the CSV is made anew from it.
"""

import array
import contextlib
import csv
import json
import os
from pathlib import Path

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.files import atomic_path, atomic_write
from retinue.pipeline.sources import path_hash

FORMATS = ("jsonl", "csv")
NOT_WRITTEN = ("scores",)  # entries of a prediction that are for the evaluator
DIGITS = 6  # of a written score


class Results:
    """The output folder of one prediction, open for writing by one process.

    folder: made when missing. made_by: dict of what the numbers depend on ("fingerprint", "precision") and of what is
    good to know; goes into `predict.json`. formats: "jsonl" (always written) and "csv".
    label_columns: how many of the best labels a row of the CSV holds.
    Raises UsageError when another model, or another precision, wrote into the folder before, when another process
    writes into it now, and for an unknown format.
    """

    DEPENDS_ON = ("fingerprint", "precision")

    def __init__(self, folder, made_by, formats=("jsonl",), label_columns=5):
        for name in formats:
            if name not in FORMATS:
                hint = "coco is for detection; " if name == "coco" else ""
                raise UsageError(f"--format {name}: {hint}use {' or '.join(FORMATS)}, or jsonl,csv")
        self.folder = Path(folder)
        self._label_columns = label_columns
        with _explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.folder)
            self._refuse_to_mix(made_by)
            self._done = _done(self.folder / "predictions.jsonl")
            self._failures = {f: why for f, why in _reasons(self.folder / "failures.jsonl").items() if f not in self}
            self._made_by = made_by
            atomic_write(self.folder / "predict.json", json.dumps(made_by | {"status": "running"}, indent=1))
            self._write_failures()
            self._open = {"predictions": _open_lines(self.folder / "predictions.jsonl")}
            if "csv" in formats:
                self._open["csv"] = self._open_csv()

    @property
    def done_before(self):
        """How many predictions the folder held when it was opened."""
        return len(self._done)

    def __contains__(self, file):
        """Whether the folder held a prediction of `file` (a path as str) when it was opened."""
        mark = np.uint64(path_hash(file))
        place = np.searchsorted(self._done, mark)
        return bool(place < len(self._done) and self._done[place] == mark)

    def write(self, result):
        """Write a `Result`: a line at once, so that nothing done is lost. Raises RetinueError when the disk is full."""
        with _explained(self.folder):
            if result.reason:
                self._failures[result.file] = result.reason
                if "failures" not in self._open:
                    self._open["failures"] = _open_lines(self.folder / "failures.jsonl")
                self._open["failures"].write(_failure(result.file, result.reason))
                return
            self._failures.pop(result.file, None)
            line = as_line(result)
            self._open["predictions"].write(_json(line) + "\n")
            if "csv" in self._open:
                csv.writer(self._open["csv"], lineterminator="\n").writerow(self._row(line))

    def close(self, status="finished", **numbers):
        """Close the files, write `failures.jsonl` anew with what still fails, and put status and numbers into
        `predict.json`."""
        with _explained(self.folder), self._lock:
            for opened in self._open.values():
                opened.close()
            self._write_failures()
            atomic_write(
                self.folder / "predict.json", json.dumps(self._made_by | {"status": status} | numbers, indent=1)
            )

    def _write_failures(self):
        path = self.folder / "failures.jsonl"
        if self._failures:
            atomic_write(path, "".join(_failure(file, why) for file, why in self._failures.items()))
        else:
            path.unlink(missing_ok=True)

    def _refuse_to_mix(self, made_by):
        described = self.folder / "predict.json"
        if not described.is_file():
            if (self.folder / "predictions.jsonl").exists():
                raise UsageError(f"{self.folder}: holds a predictions.jsonl but no predict.json; give another --out")
            return
        before = json.loads(described.read_text(encoding="utf-8"))
        for key in self.DEPENDS_ON:
            if before.get(key) != made_by.get(key):
                was = f"{before.get('model')} at {before.get('precision')}"
                now = f"{made_by.get('model')} at {made_by.get('precision')}"
                changed = "" if was != now else " (its files have changed since)"
                raise UsageError(
                    f"{self.folder}: holds predictions of {was}, not of {now}{changed}; give another --out"
                )

    def _open_csv(self):
        """Make the CSV from the lines that are there, and open it for more."""
        path = self.folder / "predictions.csv"
        with atomic_path(path) as temporary, open(temporary, "w", **_text()) as table:
            writer = csv.writer(table, lineterminator="\n")
            places = range(1, self._label_columns + 1)
            labels = [name if place == 1 else f"{name}{place}" for place in places for name in ("label", "score")]
            writer.writerow(["file", "width", "height", *labels])
            for line in read_lines(self.folder / "predictions.jsonl"):
                writer.writerow(self._row(line))
        return _open_lines(path)

    def _row(self, line):
        best = line["labels"][: self._label_columns]
        cells = [cell for label in best for cell in (label["label"], label["score"])]
        return [line["file"], line["width"], line["height"], *cells]


def as_line(result):
    """The dict that a line of `predictions.jsonl` holds, scores to 6 digits after the point."""
    line = {"file": result.file, "width": result.width, "height": result.height}
    line |= {key: value for key, value in result.prediction.items() if key not in NOT_WRITTEN}
    if "labels" in line:
        line["labels"] = [label | {"score": round(label["score"], DIGITS)} for label in line["labels"]]
    return line


def read_lines(path):
    """Yield the dicts of a file of JSON lines; nothing when there is no such file."""
    if not Path(path).exists():
        return
    with open(path, "rb") as lines:
        for line in lines:
            yield json.loads(line)


def _done(path):
    """The sorted hashes (uint64) of the files that `path` has lines for. Takes torn lines off its end."""
    marks, whole = array.array("Q"), 0
    if path.exists():
        with open(path, "rb") as lines:
            for line in lines:
                try:
                    marks.append(path_hash(json.loads(line)["file"]))
                except (ValueError, KeyError, TypeError):
                    break
                if not line.endswith(b"\n"):
                    marks.pop()
                    break
                whole += len(line)
        if whole < path.stat().st_size:
            os.truncate(path, whole)
    return np.sort(np.array(marks, np.uint64))


def _reasons(path):
    """{file: reason} of earlier failures, as far as the lines are whole."""
    reasons = {}
    with contextlib.suppress(ValueError, KeyError, TypeError):
        for line in read_lines(path):
            reasons[line["file"]] = line["reason"]
    return reasons


def _failure(file, reason):
    return _json({"file": file, "reason": reason}) + "\n"


def _json(line):
    text = json.dumps(line, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a file name that is not UTF-8
        return json.dumps(line)
    return text


def _open_lines(path):
    """Open for appending; every line goes to the system as it is written."""
    return open(path, "a", buffering=1, **_text())


def _text():
    return {"encoding": "utf-8", "errors": "surrogateescape", "newline": "\n"}


def _lock(folder):
    """Hold the folder for this process. The system lets go of it when the process ends, however it ends."""
    lock = open(folder / ".lock", "w")
    try:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UsageError(f"{folder}: another process is predicting into it; give another --out") from None
    except (ImportError, OSError):  # a system or a network disk without locks
        pass
    return lock


@contextlib.contextmanager
def _explained(folder):
    try:
        yield
    except OSError as error:
        hint = "then run the same command again; it goes on where it stopped"
        raise RetinueError(
            f"{folder}: can't be written ({error.strerror}); make room or give rights, {hint}"
        ) from error
