"""A table of clips: files and labels, and optionally starts and ends in seconds, splits and groups."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.clips.clip_folders import clip_dataset
from retinue.data.readers.tables.table import BrokenLine, Row, TableGroup, refuse_broken_lines

FORMAT = "clips csv"


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


def read_clips_csv(group: TableGroup) -> Dataset:
    """Read tables of clips into a `Dataset` for video, in the order of their lines.

    A file may be listed several times with different parts, which then are one group. An empty `start` is the beginning
    of the video, an empty `end` is its end.

    Args:
        group: The tables; see `data.readers.tables.table` for how they may be written.

    Returns:
        The dataset, with the columns `label`, `start` and `end`.

    Raises:
        RetinueError: The tables can't be understood. The message names the line.
    """
    rows: list[_ClipRow] = []
    wrong_times: list[BrokenLine] = []
    for row in group:
        parsed = _parse_row(row)
        if isinstance(parsed, BrokenLine):
            wrong_times.append(parsed)
        else:
            rows.append(parsed)
    refuse_broken_lines(group.broken_lines + wrong_times)
    group.refuse_empty(rows)
    findings = [*group.all_findings(), *_clips_in_two_splits(rows)]
    unique: dict[tuple[str, str, float, float], _ClipRow] = {}
    for parsed_row in rows:
        unique.setdefault((parsed_row.file, parsed_row.label, parsed_row.start, parsed_row.end), parsed_row)
    if len(unique) < len(rows):
        reason = f"{len(rows) - len(unique)} lines repeat an earlier line"
        findings.append(Finding(NOTE, "repeated line", group.source, "", reason, "counted once"))
        rows = list(unique.values())
    files = [row.file for row in rows]
    classes = sorted({row.label for row in rows})
    groups = [row.group for row in rows]
    if len(set(files)) < len(files):  # parts of one video must not be in two splits
        groups = [row.group or row.file for row in rows]
    return clip_dataset(
        group.source,
        FORMAT,
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


def _parse_row(row: Row) -> _ClipRow | BrokenLine:
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
        file=row.file,
        label=unicodedata.normalize("NFC", row["label"]),
        start=times["start"],
        end=times["end"],
        split=row["split"],
        group=row["group"],
        line=row.line,
    )


def _wrong_time(row: Row, reason: str) -> BrokenLine:
    return BrokenLine(row.table, row.line, "wrong time", reason, "correct it")
