"""A table of clips: a CSV with the columns `file,label`, and optionally `start,end` in seconds, `split` and `group`."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.clip_folders import clip_dataset
from retinue.data.readers.table import (
    BrokenLine,
    Row,
    Table,
    read_header,
    refuse_broken_lines,
    refuse_empty_table,
    refuse_missing_files,
    resolve_path,
)
from retinue.data.storage.file_names import looks_like_video


@dataclass(frozen=True)
class _ClipRow:
    """A line of the table.

    Attributes:
        file: The path of the video.
        label: The class name.
        start: Start of the clip in seconds.
        end: End of the clip in seconds; 0 is the end of the video.
        split: "train", "val", "test" or "".
        group: The group, or "".
        line: The number of the line.
    """

    file: str
    label: str
    start: float
    end: float
    split: str
    group: str
    line: int

    @property
    def clip(self) -> tuple[str, float, float]:
        """The part of a video that the line describes."""
        return self.file, self.start, self.end


def is_clips_csv(path: str) -> bool:
    """Return whether a table of files and labels has a column `start` or `end`, or names a video in its first line."""
    header, first = read_header(path)
    if not {"file", "label"} <= set(header):
        return False
    if {"start", "end"} & set(header) and "x1" not in header:
        return True
    index = header.index("file")
    return len(first) > index and looks_like_video(first[index])


def read_clips_csv(path: str | os.PathLike[str]) -> Dataset:
    """Read a CSV of clips into a `Dataset` for video, in the order of its lines.

    A file may be listed several times with different parts, which then are one group. An empty `start` is the beginning
    of the video, an empty `end` is its end.

    Args:
        path: The table; see `data.readers.table` for how it may be written.

    Returns:
        The dataset, with the columns `label`, `start` and `end`.

    Raises:
        RetinueError: The table can't be understood. The message names the line.
    """
    path = os.fspath(path)
    table = Table(path, ("file", "label"), ("start", "end", "split", "group"), non_empty=("file", "label"))
    rows: list[_ClipRow] = []
    wrong_times: list[BrokenLine] = []
    for row in table:
        parsed = _parse_row(path, row)
        if isinstance(parsed, BrokenLine):
            wrong_times.append(parsed)
        else:
            rows.append(parsed)
    refuse_broken_lines(path, table.broken_lines + wrong_times)
    refuse_empty_table(path, rows)
    findings = [*table.findings, *_clips_in_two_splits(rows)]
    unique: dict[tuple[str, str, float, float], _ClipRow] = {}
    for parsed_row in rows:
        unique.setdefault((parsed_row.file, parsed_row.label, parsed_row.start, parsed_row.end), parsed_row)
    if len(unique) < len(rows):
        reason = f"{len(rows) - len(unique)} lines repeat an earlier line"
        findings.append(Finding(NOTE, "repeated line", path, "", reason, "counted once"))
        rows = list(unique.values())
    files = [row.file for row in rows]
    refuse_missing_files(path, files)
    classes = sorted({row.label for row in rows})
    groups = [row.group for row in rows]
    if len(set(files)) < len(files):  # parts of one video must not be in two splits
        groups = [row.group or row.file for row in rows]
    return clip_dataset(
        path,
        "clips csv",
        files,
        [classes.index(row.label) for row in rows],
        classes,
        [row.split for row in rows],
        findings,
        groups if any(groups) else None,
        ([row.start for row in rows], [row.end for row in rows]),
    )


def _clips_in_two_splits(rows: Sequence[_ClipRow]) -> Iterator[Finding]:
    """Yield a finding for each line that puts a clip into another split than an earlier line."""
    first_of: dict[tuple[str, float, float], _ClipRow] = {}
    for row in rows:
        first = first_of.setdefault(row.clip, row)
        if first.split != row.split:
            reason = (
                f"line {row.line} puts it into {row.split or 'no split'}, "
                f"line {first.line} into {first.split or 'no split'}"
            )
            yield Finding(WARNING, "in two splits", row.file, f"line {row.line}", reason, "correct the table")


def _parse_row(path: str, row: Row) -> _ClipRow | BrokenLine:
    times = {}
    for name in ("start", "end"):
        try:
            times[name] = float(row[name] or 0)
        except ValueError:
            return _wrong_time(row, f"{name} {row[name]!r} is not a number of seconds")
        if not np.isfinite(times[name]) or times[name] < 0:
            return _wrong_time(row, f"{name} {row[name]!r} is not a number of seconds from 0 on")
    if times["end"] and times["end"] <= times["start"]:
        return _wrong_time(row, f"the end, {times['end']:g}, is not after the start, {times['start']:g}")
    return _ClipRow(
        file=resolve_path(path, row["file"]),
        label=unicodedata.normalize("NFC", row["label"]),
        start=times["start"],
        end=times["end"],
        split=row["split"],
        group=row["group"],
        line=row.line,
    )


def _wrong_time(row: Row, reason: str) -> BrokenLine:
    return BrokenLine(row.line, "wrong time", reason, "correct it")
