"""A table of clips: a CSV with the columns `file,label`, and, if wanted, `start,end` in seconds, `split`, `group`."""

import os

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.class_folders import class_name
from retinue.data.readers.clip_folders import clip_dataset
from retinue.data.readers.labels_csv import and_more, file_path, records
from retinue.data.storage.file_names import SPLIT_NAMES, looks_like_video

COLUMNS = ("file", "label", "start", "end", "split", "group")


def is_clips_csv(path):
    """Whether a table names `start` or `end`, or its first file is a video."""
    rows = records(path)
    _, header = next(rows, (1, []))
    lower = [name.strip().lower() for name in header]
    if not {"file", "label"} <= set(lower):
        return False
    _, first = next(rows, (2, []))
    place = lower.index("file")
    named = bool({"start", "end"} & set(lower)) and "x1" not in lower
    return named or (len(first) > place and looks_like_video(first[place].strip()))


def read_clips_csv(path):
    """Read a CSV of clips into a `Dataset` for video, in the order of its lines.

    Paths are relative to the CSV's folder; a file may come several times with other parts, which then are one group.
    An empty `start` is the clip's beginning, an empty `end` its end. Raises RetinueError with the line for what can't
    be understood.
    """
    path = os.fspath(path)
    lines = records(path)
    _, header = next(lines, (1, []))
    lower = [name.strip().lower() for name in header]
    place = {name: lower.index(name) for name in COLUMNS if name in lower}
    rows, wrong = [], []
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        row, reason = _row(os.path.dirname(path), header, place, cells)
        if reason:
            wrong.append((line, reason))
        else:
            rows.append(row | {"line": line})
    if wrong:
        raise RetinueError(f"{path} line {wrong[0][0]}: {wrong[0][1]}{and_more(wrong)}; correct it")
    if not rows:
        raise RetinueError(f"{path}: no lines below the header")
    findings = list(_in_two_splits(path, rows))
    unique = dict.fromkeys((row["file"], row["label"], row["start"], row["end"]) for row in rows)
    if len(unique) < len(rows):
        reason = f"{len(rows) - len(unique)} lines say again what an earlier one says"
        findings.append(Finding(NOTE, "repeated line", path, "", reason, "counted once"))
        rows = list({(row["file"], row["label"], row["start"], row["end"]): row for row in reversed(rows)}.values())[
            ::-1
        ]
    files = [row["file"] for row in rows]
    if not any(os.path.exists(file) for file in files):
        raise RetinueError(
            f"{path}: none of its {len(files):,} files exists, the first would be {files[0]}; "
            "paths are relative to the folder of the CSV"
        )
    classes = sorted({row["label"] for row in rows})
    groups = [row["group"] for row in rows]
    if len(set(files)) < len(files):  # parts of one video must not be learned from and tested on
        groups = [row["group"] or row["file"] for row in rows]
    return clip_dataset(
        path,
        "clips csv",
        files,
        [classes.index(row["label"]) for row in rows],
        classes,
        [row["split"] for row in rows],
        findings,
        groups if any(groups) else None,
        ([row["start"] for row in rows], [row["end"] for row in rows]),
    )


def _in_two_splits(path, rows):
    """A `Finding` for each line that puts a clip into another split than an earlier one."""
    first = {}
    for row in rows:
        before = first.setdefault((row["file"], row["start"], row["end"]), row)
        if before["split"] != row["split"]:
            reason = f"line {row['line']} puts it into {row['split'] or 'no split'}, line {before['line']} into "
            reason += before["split"] or "no split"
            yield Finding(WARNING, "in two splits", row["file"], f"line {row['line']}", reason, "correct the table")


def _row(folder, header, place, cells):
    """(a dict, None), or (None, what is wrong)."""
    if len(cells) != len(header):
        return None, f"{len(cells)} values, but the header names {len(header)} columns"
    value = {name: cells[index].strip() for name, index in place.items()}
    split = value.get("split", "").lower()
    for name in ("file", "label"):
        if not value[name]:
            return None, f"the {name} is empty"
    if split and split not in SPLIT_NAMES:
        return None, f"unknown split {value['split']!r}, not train, val or test"
    times = {}
    for name in ("start", "end"):
        try:
            times[name] = float(value.get(name) or 0)
        except ValueError:
            return None, f"{name} {value[name]!r} is not a number of seconds"
        if not np.isfinite(times[name]) or times[name] < 0:
            return None, f"{name} {value[name]!r} is not a number of seconds from 0 on"
    if times["end"] and times["end"] <= times["start"]:
        return None, f"the end, {times['end']:g}, is not after the start, {times['start']:g}"
    return {
        "file": file_path(folder, value["file"]),
        "label": class_name(value["label"]),
        "split": SPLIT_NAMES.get(split, ""),
        "group": value.get("group", ""),
        **times,
    }, None
