"""Tables of labels: a label or several for each file, in one column or in a column for each class."""

import os
import unicodedata
from collections import defaultdict

import numpy as np

from retinue.data.dataset import Columns, Dataset, Ragged
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.folders import class_name
from retinue.data.readers.tables.class_table import ClassNames, class_names
from retinue.data.readers.tables.joined_labels import find_separator, split_joined
from retinue.data.readers.tables.layout import ONE_HOT
from retinue.data.readers.tables.table import (
    BrokenLine,
    Row,
    Table,
    TableGroup,
    refuse_broken_lines,
    refuse_other_split_or_group,
)

FORMAT = "labels csv"
LABEL_SEPARATORS = ";|"
PRESENT, ABSENT = ("1", "true", "yes"), ("0", "-1", "false", "no", "")  # in a column for each class


def read_labels_csv(group: TableGroup) -> Dataset:
    """Read tables of labels into a `Dataset` for classification, in the order of their lines.

    Several labels of a file, written as `a;b`, as `a|b`, in several lines or as a column of 0 and 1 for each class,
    make the dataset multi-label. Then an empty label means that none of the classes is there.

    Args:
        group: The tables; see `data.readers.tables.table` for how they may be written.

    Returns:
        The dataset, with the column `label` or, for several labels, `labels`.

    Raises:
        RetinueError: The tables can't be understood. The message names the line.
    """
    first_rows: dict[str, Row] = {}
    labels_of: dict[str, list[str]] = {}
    findings = group.all_findings()
    not_binary: list[BrokenLine] = []
    is_one_hot = group.tables[0].layout.kind == ONE_HOT
    for table in group.tables:
        for row in table:
            file = row.file
            labels = _present_classes(table, row, not_binary) if is_one_hot else _split_labels(row["label"])
            first = first_rows.setdefault(file, row)
            if first is row:
                labels_of[file] = labels
                continue
            refuse_other_split_or_group(row, first)
            new = [label for label in labels if label not in labels_of[file]]
            if not new:
                reason = f"{group.location(row)} repeats {group.location(first)}"
                findings.append(Finding(NOTE, "repeated line", file, row.location, reason, "counted once"))
            labels_of[file] += new
    refuse_broken_lines(group.broken_lines + not_binary)
    group.refuse_empty(first_rows)
    if not is_one_hot:
        labels_of = _separated(group, labels_of, findings)
    num_multiple = sum(len(labels) > 1 for labels in labels_of.values())
    is_multi_label = bool(num_multiple)
    if num_multiple:
        reason = f"{num_multiple:,} of {len(labels_of):,} files have more than one"
        findings.append(Finding(NOTE, "several labels", group.source, "", reason, "read as multi-label"))
    elif is_one_hot and not all(labels_of.values()):
        is_multi_label = True
        num_empty = sum(not labels for labels in labels_of.values())
        reason = f"{num_empty:,} of {len(labels_of):,} files have none of the classes"
        findings.append(Finding(NOTE, "no label", group.source, "", reason, "read as multi-label"))
    else:
        _remove_unlabeled(group, first_rows, labels_of, findings)
    names = _class_names(group, labels_of, is_one_hot, findings)
    indices = [[names.index_of[label] for label in labels] for labels in labels_of.values()]
    columns: Columns
    if is_multi_label:
        columns = {"labels": Ragged.from_rows(indices, np.int64)}
    else:
        columns = {"label": np.array(indices, np.int64)[:, 0]}
    groups = [row["group"] for row in first_rows.values()]
    return Dataset(
        task="classification",
        files=np.array(list(first_rows), dtype=object),
        classes=names.classes,
        class_ids=names.ids,
        columns=columns,
        splits=np.array([row["split"] for row in first_rows.values()], dtype=object),
        groups=np.array(groups, dtype=object) if any(groups) else None,
        source=group.source,
        format=FORMAT,
        findings=tuple(findings),
    )


def _separated(group: TableGroup, labels_of: dict[str, list[str]], findings: list[Finding]) -> dict[str, list[str]]:
    """Return the labels of each file, also where blanks or commas separate them in one cell."""
    layout = group.tables[0].layout
    cells = {label for labels in labels_of.values() for label in labels}
    name = layout.header[layout.columns["label"]]
    separator = find_separator(layout.path, name, cells, layout.has_several_labels)
    if not separator:
        return labels_of
    what = "blanks" if separator == " " else "commas"
    reason = f"{what} separate several labels in one cell of the column {name}"
    action = "read as multi-label; if each cell is one label, write it without them"
    findings.append(Finding(NOTE, "joined labels", group.source, name, reason, action))
    return {
        file: list(dict.fromkeys(part for label in labels for part in split_joined(label, separator)))
        for file, labels in labels_of.items()
    }


def _class_names(
    group: TableGroup, labels_of: dict[str, list[str]], is_one_hot: bool, findings: list[Finding]
) -> ClassNames:
    """Return the names of the classes: of the columns, or of the labels."""
    if is_one_hot:
        layout = group.tables[0].layout
        present = {label for labels in labels_of.values() for label in labels}
        columns = [unicodedata.normalize("NFC", layout.header[index]) for index in layout.class_columns]
        empty = [name for name in columns if name not in present]
        if present and empty:
            reason = f"no file has a 1 in the {'column' if len(empty) == 1 else 'columns'} {', '.join(empty[:12])}"
            findings.append(
                Finding(WARNING, "class without files", group.source, "", reason, "left out of the classes")
            )
            columns = [name for name in columns if name in present]
        reason = f"each of {len(columns)} columns is taken for a class: {', '.join(columns[:12])}"
        findings.append(Finding(NOTE, "a column for each class", group.source, "", reason, "read as labels"))
        return ClassNames.of_labels(columns)
    by_folder = _folder_names(labels_of)
    if by_folder:
        reason = "its labels are numbers, and the files of each lie in one folder of its own"
        findings.append(Finding(NOTE, "class names", group.source, "", reason, "named after the folders"))
        return by_folder
    labels = {label for labels in labels_of.values() for label in labels}
    return class_names([table.path for table in group.tables], labels, findings)


def _folder_names(labels_of: dict[str, list[str]]) -> ClassNames | None:
    """Return the classes named after the folders of their files, if labels are numbers and each has its own folder."""
    if not all(len(labels) == 1 and labels[0].isdecimal() for labels in labels_of.values()):
        return None
    files_in = defaultdict[str, dict[str, str]](dict)  # of each folder, one file for each label
    for file, labels in labels_of.items():
        files_in[os.path.dirname(file)].setdefault(labels[0], file)
    name_of: dict[str, str] = {}
    for folder, file_of in files_in.items():
        existing = [label for label, file in file_of.items() if os.path.exists(file)]
        if len(existing) > 1 or any(
            name_of.setdefault(label, os.path.basename(folder)) != os.path.basename(folder) for label in existing
        ):
            return None
    numbers = {labels[0] for labels in labels_of.values()}
    if len(numbers) < 2 or set(name_of) != numbers or len(set(name_of.values())) < len(numbers):
        return None
    return ClassNames.of_ids({number: (class_name(name_of[number]), number) for number in numbers})


def _present_classes(table: Table, row: Row, not_binary: list[BrokenLine]) -> list[str]:
    """Return the classes whose column has a 1; other values than 0 and 1 go into `not_binary`."""
    present = []
    for index in table.layout.class_columns:
        cell = row.cells[index].strip().lower().removesuffix(".0")
        if cell in PRESENT:
            present.append(unicodedata.normalize("NFC", table.layout.header[index]))
        elif cell not in ABSENT:
            reason = f"the column {table.layout.header[index]} has {row.cells[index].strip()!r}, which is not 0 or 1"
            not_binary.append(BrokenLine(row.table, row.line, "not 0 or 1", reason, "correct it"))
    return present


def _split_labels(cell: str) -> list[str]:
    """Return the labels in a cell, each once, with one spelling for accented letters."""
    for separator in LABEL_SEPARATORS:
        cell = cell.replace(separator, "\n")
    labels = (unicodedata.normalize("NFC", label.strip()) for label in cell.split("\n"))
    return [label for label in dict.fromkeys(labels) if label]


def _remove_unlabeled(
    group: TableGroup, first_rows: dict[str, Row], labels_of: dict[str, list[str]], findings: list[Finding]
) -> None:
    """Remove the files without a label of a table that is not multi-label, which is a finding."""
    unlabeled = [row for file, row in first_rows.items() if not labels_of[file]]
    if len(unlabeled) == len(first_rows):
        cure = "write the label, or remove the line"
        refuse_broken_lines(
            [BrokenLine(row.table, row.line, "no label", "the label is empty", cure) for row in unlabeled]
        )
    findings += group.without_annotation(unlabeled, "label")
    for row in unlabeled:
        del first_rows[row.file], labels_of[row.file]
