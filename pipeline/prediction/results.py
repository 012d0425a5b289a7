"""What a prediction leaves on disk: lines that are written as they are made, and a folder that can be gone on with.

`predictions.jsonl` a line a file, as it is done; `failures.jsonl` a line a file that could not be read;
`predictions.csv` and, for detection, `predictions.coco.json` on request; `predict.json` what made them.
`predictions.jsonl` alone says what is done: a last line that a kill tore is taken off and its file is done again, and
the others are made anew from it. Nothing here is held in memory but 8 bytes a file.
"""

import array
import contextlib
import csv
import functools
import io
import json
import os
from pathlib import Path

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.storage.atomic_files import atomic_path, atomic_write, remove_leftovers
from retinue.pipeline.inputs.path_names import below
from retinue.pipeline.inputs.sources import Paths, path_hash
from retinue.tasks.result_writer import ResultWriter

FAILURES = "failures.jsonl"
FOLDERS = ("overlays", "crops")  # of a file for each picture


class Results:
    """The output folder of one prediction, open for writing by one process.

    folder: made when missing. made_by: dict of what the numbers depend on ("fingerprint", "precision") and of what is
    good to know ("task", ...); goes into `predict.json`. formats: "jsonl" (always written), "csv", and for detection
    "coco", which is written at the end.
    writer: `ResultWriter` of the task, which makes lines, rows and further files of a prediction.
    Raises UsageError when another model, or another precision, wrote into the folder before, when another process
    writes into it now, when it is a file, and for an unknown format; RetinueError when what is in it is damaged.
    """

    DEPENDS_ON = ("fingerprint", "precision", "window", "step")

    def __init__(self, folder, made_by, formats=("jsonl",), writer=None):
        self._writer = writer or ResultWriter()
        offered = ("jsonl", "csv", *self._writer.extra_formats)
        for name in formats:
            if name not in offered:
                hint = "coco is for detection; " if name == "coco" else ""
                raise UsageError(f"--format {name}: {hint}use {' or '.join(offered)}, or jsonl,csv")
        self._extra_formats = [name for name in formats if name in self._writer.extra_formats]
        self.folder = Path(folder)
        if os.path.lexists(folder) and not self.folder.is_dir():
            raise UsageError(f"{folder}: is a file; give a folder as --out")
        with _explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.folder)
            if self._refuse_to_mix(made_by):
                self._remove_half_written()
            self._done = _done(self.folder / "predictions.jsonl")
            self._made_by = made_by
            atomic_write(self.folder / "predict.json", json.dumps(made_by | {"status": "running"}, indent=1))
            self._write_failures()
            self._open = {"predictions": _open_lines(self.folder / "predictions.jsonl")}
            if "csv" in formats:
                self._open["csv"] = self._open_csv()

    def __contains__(self, file):
        """Whether the folder holds a prediction of `file` (a path as str)."""
        return file in self._done

    def write(self, result):
        """Write a `Result`: a line at once, so that nothing done is lost. Raises RetinueError when the disk is full."""
        with _explained(self.folder):
            if result.reason:
                if "failures" not in self._open:
                    self._open["failures"] = _open_lines(self.folder / FAILURES)
                self._open["failures"].write(_json({"file": result.file, "reason": result.reason}) + "\n")
                return
            line = as_line(result, self._writer)
            line |= self._writer.write_files(
                result.prediction, self.folder, lambda name, suffix: Path(name, below(Path(result.file), suffix))
            )
            self._open["predictions"].write(_json(line) + "\n")
            self._done.add(result.file)
            if result.start is not None:
                self._done.add(identity(result.file, result.start, result.end))
            if "csv" in self._open:
                self._write_rows(self._open["csv"], line)

    def close(self, status="finished", **numbers):
        """Close the files, write `failures.jsonl` anew with what still fails, and put status and numbers into
        `predict.json`."""
        with _explained(self.folder), self._lock:
            for opened in self._open.values():
                opened.close()
            self._write_failures()
            if status == "finished":
                lines = functools.partial(read_lines, self.folder / "predictions.jsonl")
                for name in self._extra_formats:
                    self._writer.write_format(name, self.folder, lines)
            atomic_write(
                self.folder / "predict.json", json.dumps(self._made_by | {"status": status} | numbers, indent=1)
            )

    def failures(self):
        """Yield (file, reason) of what could not be read."""
        for file, line in _failures(self.folder / FAILURES):
            yield file, json.loads(line)["reason"]

    def _write_failures(self):
        """Keep the last line of every file that is not done."""
        path = self.folder / FAILURES
        if not path.exists():
            return
        marks = np.array(array.array("Q", (path_hash(file) for file, _ in _failures(path))), np.uint64)
        keep = np.zeros(len(marks), bool)
        keep[len(marks) - 1 - np.unique(marks[::-1], return_index=True)[1]] = True
        with atomic_path(path) as temporary, open(temporary, "wb") as lines:
            for (file, line), newest in zip(_failures(path), keep, strict=True):
                if newest and file not in self:
                    lines.write(line)
        if not path.stat().st_size:
            path.unlink()

    def _refuse_to_mix(self, made_by):
        """Raise UsageError where another model has written; whether who wrote here before did not come to its end."""
        described = self.folder / "predict.json"
        if not described.is_file():
            if (self.folder / "predictions.jsonl").exists():
                raise UsageError(f"{self.folder}: holds a predictions.jsonl but no predict.json; give another --out")
            return False
        try:
            before = dict(json.loads(described.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise RetinueError(
                f"{described}: is damaged, so nothing tells whose predictions these are ({error}); give another --out"
            ) from None
        predicted = self.folder / "predictions.jsonl"
        written = predicted.is_file() and predicted.stat().st_size  # a model that could not be read has written nothing
        for key in self.DEPENDS_ON if written else ():
            if before.get(key) != made_by.get(key):
                was, now = (
                    f"{made.get('model')} at {made.get('precision')}"
                    + (f" in windows of {made['window']:g} s every {made['step']:g} s" if made.get("window") else "")
                    for made in (before, made_by)
                )
                changed = "" if was != now else " (its files have changed since)"
                raise UsageError(
                    f"{self.folder}: holds predictions of {was}, not of {now}{changed}; give another --out"
                )
        return before.get("status") == "running"

    def _remove_half_written(self):
        remove_leftovers(self.folder)
        for name in (*self._writer.file_folders, *FOLDERS):
            for folder, _, _ in os.walk(self.folder / name):
                remove_leftovers(folder)

    def _open_csv(self):
        """Make the CSV from the lines that are there, and open it for more."""
        path = self.folder / "predictions.csv"
        with atomic_path(path) as temporary, open(temporary, "w", **_text()) as table:
            times = ["start", "end"] if self._made_by.get("window") else []
            csv.writer(table, lineterminator="\n").writerow(["file", *times, "width", "height", *self._writer.columns])
            for line in read_lines(self.folder / "predictions.jsonl"):
                self._write_rows(table, line)
        return _open_lines(path)

    def _write_rows(self, table, line):
        """The rows of one file, in one piece."""
        text = io.StringIO(newline="")
        times = [line[name] for name in ("start", "end") if name in line]
        rows = ([line["file"], *times, line["width"], line["height"], *cells] for cells in self._writer.csv_rows(line))
        csv.writer(text, lineterminator="\n").writerows(rows)
        table.write(text.getvalue())


def as_line(result, writer):
    """The dict that a line of `predictions.jsonl` holds; `writer` says what of a prediction goes into it."""
    line = {"file": result.file}
    if result.start is not None:
        line |= {"start": result.start, "end": result.end}
    return line | {"width": result.width, "height": result.height} | writer.entries(result.prediction)


def identity(file, start, end):
    """A name for a window of a clip, as a fragment of its file's (W3C Media Fragments, section 4.2.1)."""
    return f"{file}#t={start:.3f},{end:.3f}"


def read_lines(path):
    """Yield the dicts of a file of JSON lines; nothing when there is no such file."""
    if not Path(path).exists():
        return
    with open(path, "rb") as lines:
        for line in lines:
            yield json.loads(line)


def _done(path):
    """The `Paths` that `path` has lines for. Takes a torn line off its end; one before it is a RetinueError."""
    marks, whole, torn = array.array("Q"), 0, False
    if path.exists():
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if torn:
                    raise RetinueError(
                        f"{path}: line {number - 1} is damaged; delete that line, and its file is done again"
                    )
                file = _file_of(line)
                torn = file is None
                if not torn:
                    marks.append(path_hash(file))
                    if b'"start"' in line:
                        window = json.loads(line)
                        marks.append(path_hash(identity(file, window["start"], window["end"])))
                    whole += len(line)
        if torn:
            os.truncate(path, whole)
    return Paths(marks)


def _failures(path):
    """Yield (file, line) for the whole lines of failures; a file whose line is damaged is tried again anyway."""
    if path.exists():
        with open(path, "rb") as lines:
            for line in lines:
                file = _file_of(line)
                if file is not None:
                    yield file, line


def _file_of(line):
    """The file that a line (bytes) is about, or None where the line is not whole."""
    try:
        file = json.loads(line)["file"]
    except (ValueError, KeyError, TypeError):
        return None
    return file if isinstance(file, str) and line.endswith(b"\n") else None


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
