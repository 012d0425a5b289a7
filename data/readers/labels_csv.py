"""A table of labels: a CSV with the columns `file` and `label`, and optionally `split` and `group`."""

import os
import unicodedata

import numpy as np

from retinue.data.dataset import Columns, Dataset, Ragged
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.table import (
    BrokenLine,
    Row,
    Table,
    refuse_broken_lines,
    refuse_empty_table,
    refuse_missing_files,
    refuse_other_split_or_group,
    resolve_path,
)

LABEL_SEPARATORS = ";|"
HEADER_HELP = "file,label; or, for boxes, file,x1,y1,x2,y2,label"


def read_labels_csv(path: str | os.PathLike[str]) -> Dataset:
    """Read a CSV of labels into a `Dataset` for classification, in the order of its lines.

    Several labels of a file, written as `a;b`, as `a|b` or in several lines, make the dataset multi-label. Then an
    empty label means that none of the classes is there.

    Args:
        path: The table; see `data.readers.table` for how it may be written.

    Returns:
        The dataset, with the column `label` or, for several labels, `labels`.

    Raises:
        RetinueError: The table can't be understood. The message names the line.
    """
    path = os.fspath(path)
    table = Table(path, ("file", "label"), ("split", "group"), header_help=HEADER_HELP)
    first_rows: dict[str, Row] = {}
    labels_of: dict[str, list[str]] = {}
    findings = list(table.findings)
    for row in table:
        file, labels = resolve_path(path, row["file"]), _split_labels(row["label"])
        first = first_rows.setdefault(file, row)
        if first is row:
            labels_of[file] = labels
            continue
        refuse_other_split_or_group(path, file, row, first)
        new = [label for label in labels if label not in labels_of[file]]
        if not new:
            reason = f"line {row.line} repeats line {first.line}"
            findings.append(Finding(NOTE, "repeated line", file, f"line {row.line}", reason, "counted once"))
        labels_of[file] += new
    refuse_broken_lines(path, table.broken_lines)
    refuse_empty_table(path, first_rows)
    num_multiple = sum(len(labels) > 1 for labels in labels_of.values())
    if num_multiple:
        reason = f"{num_multiple:,} of {len(labels_of):,} files have more than one"
        findings.append(Finding(NOTE, "several labels", path, "", reason, "read as multi-label"))
    else:
        _refuse_empty_labels(path, first_rows, labels_of)
    files = list(first_rows)
    refuse_missing_files(path, files)
    classes = sorted({label for labels in labels_of.values() for label in labels})
    index_of = {name: index for index, name in enumerate(classes)}
    indices = [[index_of[label] for label in labels_of[file]] for file in files]
    columns: Columns
    if num_multiple:
        columns = {"labels": Ragged.from_rows(indices, np.int64)}
    else:
        columns = {"label": np.array(indices, np.int64)[:, 0]}
    groups = [row["group"] for row in first_rows.values()]
    return Dataset(
        task="classification",
        files=np.array(files, dtype=object),
        classes=tuple(classes),
        columns=columns,
        splits=np.array([row["split"] for row in first_rows.values()], dtype=object),
        groups=np.array(groups, dtype=object) if any(groups) else None,
        source=path,
        format="labels csv",
        findings=tuple(findings),
    )


def _split_labels(cell: str) -> list[str]:
    """Return the labels in a cell, each once, with one spelling for accented letters."""
    for separator in LABEL_SEPARATORS:
        cell = cell.replace(separator, "\n")
    labels = (unicodedata.normalize("NFC", label.strip()) for label in cell.split("\n"))
    return [label for label in dict.fromkeys(labels) if label]


def _refuse_empty_labels(path: str, first_rows: dict[str, Row], labels_of: dict[str, list[str]]) -> None:
    """Raise RetinueError for files without a label in a table that is not multi-label."""
    cure = "write the label, or remove the line"
    refuse_broken_lines(
        path,
        [
            BrokenLine(row.line, "no label", "the label is empty", cure)
            for file, row in first_rows.items()
            if not labels_of[file]
        ],
    )
