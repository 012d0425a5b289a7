"""Writes predictions as JSON Lines into a resumable output folder.

    predictions.jsonl        one line for each file, written as soon as it is predicted
    failures.jsonl           one line for each file that could not be read
    predictions.csv          on request
    predictions.coco.json    on request, for a detector
    predict.json             the model and the settings, and what the run did

`predictions.jsonl` alone decides which files are predicted. If a job was killed while it wrote the last line, that line
is removed and its file is predicted again. The other files are written again from `predictions.jsonl`. The memory holds
8 bytes for each file.
"""

import array
import contextlib
import csv
import functools
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.storage.atomic_files import atomic_path, atomic_write, remove_leftovers
from retinue.pipeline.inputs.path_names import output_path
from retinue.pipeline.inputs.sources import PathSet, path_hash
from retinue.pipeline.prediction.predictor import Result
from retinue.tasks.result_writer import Line, ResultWriter

PREDICTIONS, FAILURES, DESCRIPTION = "predictions.jsonl", "failures.jsonl", "predict.json"
IMAGE_FOLDERS = ("overlays", "crops")  # with images of each file
DEPENDS_ON = ("fingerprint", "precision", "window", "stride")  # entries of the description that change predictions


class Results:
    """The output folder of one prediction, which one process writes.

    Args:
        folder: the folder. It is created if it is missing.
        description: what made the predictions ("model", "fingerprint", "precision", ...). It is the start of
            `predict.json`.
        formats: "jsonl", which is always written, "csv", and further formats of the task, written at the end.
        writer: the writer of the task, which makes lines, rows and further files of a prediction.

    Raises:
        UsageError: another model, or the same at another precision, wrote into the folder before; another process
            writes into it now; it is a file; or a format is unknown.
        RetinueError: the content of the folder is damaged, or it can't be written.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        description: Mapping[str, Any],
        formats: Sequence[str] = ("jsonl",),
        writer: ResultWriter | None = None,
    ) -> None:
        self._writer = writer or ResultWriter()
        offered = ("jsonl", "csv", *self._writer.extra_formats)
        for name in formats:
            if name not in offered:
                hint = "coco is for detection; " if name == "coco" else ""
                raise UsageError(f"--format {name}: {hint}use {' or '.join(offered)}, or jsonl,csv")
        self._extra_formats = [name for name in formats if name in self._writer.extra_formats]
        self.folder = Path(folder)
        if os.path.lexists(folder) and not self.folder.is_dir():
            raise UsageError(f"{folder}: this is a file; use a folder as --out")
        with _report_write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.folder)
            if self._is_unfinished(description):
                self._remove_half_written()
            self._predicted = _read_predicted(self.folder / PREDICTIONS)
            self._description = dict(description)
            self._write_description({"status": "running"})
            self._rewrite_failures()
            self._open_files = {"predictions": _open_for_appending(self.folder / PREDICTIONS)}
            if "csv" in formats:
                self._open_files["csv"] = self._open_csv()

    def __contains__(self, key: str) -> bool:
        """Return whether the folder holds a prediction of a file (its path) or of a window (its `window_key`)."""
        return key in self._predicted

    def write(self, result: Result) -> None:
        """Write a result at once, so that nothing that was predicted is lost.

        Raises:
            RetinueError: the disk is full.
        """
        with _report_write_errors(self.folder):
            if result.reason:
                if "failures" not in self._open_files:
                    self._open_files["failures"] = _open_for_appending(self.folder / FAILURES)
                self._open_files["failures"].write(_to_json({"file": result.file, "reason": result.reason}) + "\n")
                return
            line = as_line(result, self._writer)
            line |= self._writer.write_files(
                result.prediction or {},
                self.folder,
                lambda name, suffix: Path(name, output_path(result.file, suffix)),
            )
            self._open_files["predictions"].write(_to_json(line) + "\n")
            for key in _keys(line):
                self._predicted.add(key)
            if "csv" in self._open_files:
                self._write_rows(self._open_files["csv"], line)

    def close(self, status: str = "finished", **numbers: Any) -> None:
        """Close the files, keep only the current failures in `failures.jsonl`, and complete `predict.json`.

        Args:
            status: "finished", "interrupted" or "failed".
            **numbers: further entries of `predict.json`.
        """
        with _report_write_errors(self.folder), self._lock:
            for opened in self._open_files.values():
                opened.close()
            self._rewrite_failures()
            if status == "finished":
                lines = functools.partial(read_lines, self.folder / PREDICTIONS)
                for name in self._extra_formats:
                    self._writer.write_format(name, self.folder, lines)
            self._write_description({"status": status} | numbers)

    def failures(self) -> Iterator[tuple[str, str]]:
        """Yield (file, reason) for each file that could not be read."""
        for file, line in _read_failures(self.folder / FAILURES):
            yield file, json.loads(line)["reason"]

    def _write_description(self, entries: Mapping[str, Any]) -> None:
        atomic_write(self.folder / DESCRIPTION, json.dumps({**self._description, **entries}, indent=1))

    def _rewrite_failures(self) -> None:
        """Keep the last line of every file that is not predicted."""
        path = self.folder / FAILURES
        if not path.exists():
            return
        hashes = np.array(array.array("Q", (path_hash(file) for file, _ in _read_failures(path))), np.uint64)
        is_last = np.zeros(len(hashes), bool)
        is_last[len(hashes) - 1 - np.unique(hashes[::-1], return_index=True)[1]] = True
        with atomic_path(path) as temporary, open(temporary, "wb") as lines:
            for (file, line), last in zip(_read_failures(path), is_last, strict=True):
                if last and file not in self:
                    lines.write(line)
        if not path.stat().st_size:
            path.unlink()

    def _is_unfinished(self, description: Mapping[str, Any]) -> bool:
        """Return whether an earlier run was killed. Raises UsageError if another model wrote into the folder."""
        path, predictions = self.folder / DESCRIPTION, self.folder / PREDICTIONS
        if not path.is_file():
            if predictions.exists():
                raise UsageError(
                    f"{self.folder}: the folder holds a {PREDICTIONS} but no {DESCRIPTION}; use another --out"
                )
            return False
        try:
            before = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise RetinueError(
                f"{path}: the file is damaged, so the model of these predictions is unknown ({error}); "
                "use another --out"
            ) from None
        # A model that could not be loaded has written no predictions.
        has_predictions = predictions.is_file() and predictions.stat().st_size
        if has_predictions and any(before.get(key) != description.get(key) for key in DEPENDS_ON):
            old, new = _describe(before), _describe(description)
            changed = "" if old != new else " (its files have changed since)"
            raise UsageError(
                f"{self.folder}: the folder holds predictions of {old}, not of {new}{changed}; use another --out"
            )
        return before.get("status") == "running"

    def _remove_half_written(self) -> None:
        remove_leftovers(self.folder)
        for name in (*self._writer.file_folders, *IMAGE_FOLDERS):
            for folder, _, _ in os.walk(self.folder / name):
                remove_leftovers(folder)

    def _open_csv(self) -> IO[str]:
        """Write the CSV file from the existing lines, and open it for more."""
        path = self.folder / "predictions.csv"
        with atomic_path(path) as temporary, open(temporary, "w", **_text_options()) as table:
            times = ["start", "end"] if self._description.get("window") else []
            csv.writer(table, lineterminator="\n").writerow(["file", *times, "width", "height", *self._writer.columns])
            for line in read_lines(self.folder / PREDICTIONS):
                self._write_rows(table, line)
        return _open_for_appending(path)

    def _write_rows(self, table: IO[str], line: Line) -> None:
        """Write the rows of one file in one call."""
        text = io.StringIO(newline="")
        times = [line[name] for name in ("start", "end") if name in line]
        rows = ([line["file"], *times, line["width"], line["height"], *cells] for cells in self._writer.csv_rows(line))
        csv.writer(text, lineterminator="\n").writerows(rows)
        table.write(text.getvalue())


def as_line(result: Result, writer: ResultWriter) -> dict[str, Any]:
    """Return the content of a line of `predictions.jsonl`.

    Args:
        result: a result with a prediction.
        writer: the writer of the task, which chooses the entries of the prediction.
    """
    line: dict[str, Any] = {"file": result.file}
    if result.start is not None:
        line |= {"start": result.start, "end": result.end}
    return line | {"width": result.width, "height": result.height} | writer.entries(result.prediction or {})


def window_key(file: str, start: float, end: float) -> str:
    """Return a name for a window of a clip, as a fragment of its file's (W3C Media Fragments, section 4.2.1)."""
    return f"{file}#t={start:.3f},{end:.3f}"


def read_lines(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the dicts of a file of JSON Lines. A missing file has none."""
    if not Path(path).exists():
        return
    with open(path, "rb") as lines:
        for line in lines:
            yield json.loads(line)


def _keys(line: Line) -> list[str]:
    """Return what a line is about: its file and, if it is a window of a clip, that window.

    Only entries of the line itself count. A class may have the name "start".
    """
    if "start" not in line:
        return [line["file"]]
    return [line["file"], window_key(line["file"], line["start"], line["end"])]


def _read_predicted(path: Path) -> PathSet:
    """Return the files and windows that have a line, and remove an incomplete last line.

    Raises:
        RetinueError: a line before the last is damaged.
    """
    hashes, complete_bytes, is_damaged = array.array("Q"), 0, False
    if path.exists():
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if is_damaged:
                    raise RetinueError(
                        f"{path}: line {number - 1} is damaged; delete that line, and its file is predicted again"
                    )
                content = _parse(line)
                is_damaged = content is None
                if content is not None:
                    hashes.extend(path_hash(key) for key in _keys(content))
                    complete_bytes += len(line)
        if is_damaged:
            os.truncate(path, complete_bytes)
    return PathSet(np.asarray(hashes, np.uint64))


def _read_failures(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (file, line) for the complete lines of failures. A file whose line is damaged is tried again anyway."""
    if path.exists():
        with open(path, "rb") as lines:
            for line in lines:
                content = _parse(line)
                if content is not None:
                    yield content["file"], line


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the content of a line, or None if the line is incomplete."""
    try:
        content = json.loads(line)
        file, is_window = content["file"], "start" in content
        is_valid = isinstance(file, str) and (not is_window or float(content["end"]) >= float(content["start"]))
    except (ValueError, KeyError, TypeError):
        return None
    return content if is_valid and line.endswith(b"\n") else None


def _describe(description: Mapping[str, Any]) -> str:
    """Return the model and the settings of a `predict.json` in words."""
    text = f"{description.get('model')} at {description.get('precision')}"
    if description.get("window"):
        text += f" in windows of {description['window']:g} s"
        if "stride" in description:
            text += f" every {description['stride']:g} s"
    return text


def _to_json(line: Mapping[str, Any]) -> str:
    text = json.dumps(line, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # the name of a file is not UTF-8
        return json.dumps(line)
    return text


def _open_for_appending(path: Path) -> IO[str]:
    """Open a file such that every line reaches the operating system as it is written."""
    return open(path, "a", buffering=1, **_text_options())


def _text_options() -> dict[str, Any]:
    return {"encoding": "utf-8", "errors": "surrogateescape", "newline": "\n"}


def _lock(folder: Path) -> IO[str]:
    """Lock the folder for this process. The operating system unlocks it when the process ends, however it ends."""
    lock = open(folder / ".lock", "w")
    try:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UsageError(f"{folder}: another process writes predictions into it; use another --out") from None
    except (ImportError, OSError):  # the operating system or a network disk has no locks
        pass
    return lock


@contextlib.contextmanager
def _report_write_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RetinueError(
            f"{folder}: the folder can't be written ({error.strerror}); free disk space or change the permissions, "
            "then run the same command again to continue"
        ) from error
