"""A table of boxes: a CSV with the columns `file,x1,y1,x2,y2,label`, and optionally `split` and `group`."""

import os
import unicodedata

import numpy as np

from retinue.configs.errors import UsageError
from retinue.data.dataset import Dataset
from retinue.data.finding import INVALID, Finding
from retinue.data.readers.objects import object_columns
from retinue.data.readers.table import (
    ALIASES,
    Row,
    Table,
    read_header,
    refuse_broken_lines,
    refuse_empty_table,
    refuse_missing_files,
    refuse_other_split_or_group,
    resolve_path,
)

CORNERS = ("x1", "y1", "x2", "y2")
REQUIRED = ("file", *CORNERS, "label")


def is_boxes_csv(path: str) -> bool:
    """Return whether the header of a table names the corners of boxes, by our names or by other usual ones."""
    header, _ = read_header(path)
    return all({corner, *ALIASES[corner]} & set(header) for corner in CORNERS)


def refuse_sides(path: str) -> None:
    """Raise UsageError for a table that gives boxes as x, y, width and height, which retinue does not read."""
    header = set(read_header(path)[0])
    if {"x", "y"} <= header and ({"w", "h"} <= header or {"width", "height"} <= header):
        raise UsageError(
            f"{path}: its columns seem to be boxes as x, y, width, height; write their corners: "
            "file,x1,y1,x2,y2,label, where x2 is x + width"
        )


def read_boxes_csv(path: str | os.PathLike[str]) -> Dataset:
    """Read a CSV of boxes into a `Dataset` for detection, with the images in the order of their first lines.

    Each line is an object. x1, y1, x2, y2 are pixels of the upright image; x2 and y2 are exclusive. A line with a file
    and empty corners and label lists an image, which has no objects unless other lines give it some. A broken line, a
    line without a label and a corner that is not a number are findings.

    Args:
        path: The table; see `data.readers.table` for how it may be written.

    Returns:
        The dataset, with the columns of `data.readers.objects`.

    Raises:
        RetinueError: The table can't be understood, or every line of it is broken. The message names the line.
    """
    path = os.fspath(path)
    table = Table(path, REQUIRED, ("split", "group"))
    first_rows: dict[str, Row] = {}
    index_of: dict[str, int] = {}
    objects: list[tuple[int, list[float | None], str, int]] = []  # row of the image, corners, class, line
    findings: list[Finding] = []
    for row in table:
        file = resolve_path(path, row["file"])
        first = first_rows.setdefault(file, row)
        refuse_other_split_or_group(path, file, row, first)
        index = index_of.setdefault(file, len(index_of))
        if not any(row[name] for name in (*CORNERS, "label")):
            continue
        corners = [_parse_number(row[name]) for name in CORNERS]
        if None in corners or not row["label"]:
            problem = "its corners are not four numbers" if row["label"] else "it has no label"
            item = f"line {row.line}"
            findings.append(Finding(INVALID, "not a box", file, item, f"{item}: {problem}", "skipped; correct it"))
            continue
        objects.append((index, corners, unicodedata.normalize("NFC", row["label"]), row.line))
    if not first_rows:
        refuse_broken_lines(path, table.broken_lines)
    refuse_empty_table(path, first_rows)
    refuse_missing_files(path, list(first_rows))
    for broken in table.broken_lines:
        item = f"line {broken.line}"
        findings.append(
            Finding(INVALID, "broken line", path, item, f"{item}: {broken.reason}", f"skipped; {broken.cure}")
        )
    rows, boxes, names, lines = zip(*objects, strict=True) if objects else ((),) * 4
    classes = sorted(set(names))
    label_of = {name: index for index, name in enumerate(classes)}
    labels = [label_of[name] for name in names]
    locations = [f"line {row.line}" for row in first_rows.values()]
    groups = [row["group"] for row in first_rows.values()]
    return Dataset(
        task="detection",
        files=np.array(list(first_rows), dtype=object),
        classes=tuple(classes),
        columns=object_columns(rows, boxes, labels, lines, list(first_rows), location=locations),
        splits=np.array([row["split"] for row in first_rows.values()], dtype=object),
        groups=np.array(groups, dtype=object) if any(groups) else None,
        source=path,
        format="boxes csv",
        findings=tuple(findings + table.findings),
    )


def _parse_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
