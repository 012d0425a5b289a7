"""Tables of boxes: a line for each object, with its file, its box and its label."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from retinue.data.dataset import Dataset
from retinue.data.finding import INVALID, NOTE, Finding
from retinue.data.readers.objects import object_columns
from retinue.data.readers.tables.boxes import to_corners
from retinue.data.readers.tables.cells import NOT_GIVEN, parse_box_cell, parse_number
from retinue.data.readers.tables.class_table import class_names
from retinue.data.readers.tables.layout import OBJECTS
from retinue.data.readers.tables.objects import parse_objects
from retinue.data.readers.tables.table import Row, Table, TableGroup, refuse_broken_lines, refuse_other_split_or_group

FORMAT = "boxes csv"
SIZE = re.compile(r"[0-9]{1,6}")  # of an image in pixels
ONLY_CLASS = "object"  # of a table without labels
TRUE = ("1", "true", "yes", "t", "1.0")


@dataclass
class _Boxes:
    """What the lines of tables say.

    Attributes:
        first_rows: The first line about each file.
        index_of: The index of each file.
        rows: The index of the file of each object.
        numbers: The four numbers of each object's box.
        labels: The label of each object.
        lines: The number of the line of each object.
        crowd: Whether the box of each object surrounds many.
        difficult: Whether each object is difficult.
        empty_labels: The labels of lines without a box, with the line, to see what they mean.
    """

    first_rows: dict[str, Row] = field(default_factory=dict)
    index_of: dict[str, int] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    numbers: list[Sequence[float]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    difficult: list[bool] = field(default_factory=list)
    empty_labels: list[tuple[str, Row]] = field(default_factory=list)

    def add(self, index: int, numbers: Sequence[float], label: str, row: Row) -> None:
        """Add an object."""
        self.rows.append(index)
        self.numbers.append(numbers)
        self.labels.append(label if label.isascii() else unicodedata.normalize("NFC", label))
        self.lines.append(row.line)
        self.crowd.append("crowd" in row.values and row["crowd"].lower() in TRUE)
        self.difficult.append("difficult" in row.values and row["difficult"].lower() in TRUE)


def read_boxes_csv(group: TableGroup) -> Dataset:
    """Read tables of boxes into a `Dataset` for detection, with the images in the order of their first lines.

    Each line is an object. Boxes are pixels of the upright image, with exclusive ends, or fractions of it. A line with
    a file, without a box and without a label lists an image, which has no objects unless other lines give it some. A
    broken line, a line without a label and a box that is not four numbers are findings.

    Args:
        group: The tables; see `data.readers.tables.table` for how they may be written.

    Returns:
        The dataset, with the columns of `data.readers.objects`.

    Raises:
        RetinueError: The tables can't be understood, or every line of them is broken. The message names the line.
    """
    boxes, findings = _Boxes(), list[Finding]()
    for table in group.tables:
        _read_table(table, boxes, findings)
    if not boxes.first_rows:
        refuse_broken_lines(group.broken_lines)
    group.refuse_empty(boxes.first_rows)
    for broken in group.broken_lines:
        item = f"line {broken.line}"
        reason, action = f"{item}: {broken.reason}", f"skipped; {broken.cure}"
        findings.append(Finding(INVALID, "broken line", broken.table, item, reason, action))
    findings += _lines_without_box(boxes)
    layout = group.tables[0].layout
    files = list(boxes.first_rows)
    rows = np.array(boxes.rows, np.int64)
    numbers = np.array(boxes.numbers, np.float64).reshape(-1, 4)
    names = [layout.header[layout.columns[column]] for column in layout.box if column in layout.columns]
    corners = to_corners(group.source, layout.box, numbers, rows, files, names, findings)
    findings += group.all_findings()
    if "label" not in layout.columns and layout.kind != OBJECTS:
        reason = "there is no column of labels, so all objects are of one class"
        findings.append(Finding(NOTE, "one class", group.source, "", reason, f"called {ONLY_CLASS}"))
    classes = class_names([table.path for table in group.tables], set(boxes.labels), findings)
    groups = [row["group"] for row in boxes.first_rows.values()]
    return Dataset(
        task="detection",
        files=np.array(files, dtype=object),
        classes=classes.classes,
        class_ids=classes.ids,
        columns=object_columns(
            rows,
            corners,
            [classes.index_of[label] for label in boxes.labels],
            boxes.lines,
            _image_ids(boxes.first_rows),
            location=[group.location(row) for row in boxes.first_rows.values()],
            crowd=boxes.crowd,
            difficult=boxes.difficult,
            size=[_size(row) for row in boxes.first_rows.values()],
        ),
        splits=np.array([row["split"] for row in boxes.first_rows.values()], dtype=object),
        groups=np.array(groups, dtype=object) if any(groups) else None,
        source=group.source,
        format=FORMAT,
        findings=tuple(findings),
    )


def _read_table(table: Table, boxes: _Boxes, findings: list[Finding]) -> None:
    """Add the objects of a table."""
    layout = table.layout
    form, has_labels = layout.box, "label" in layout.columns
    decimal_comma = layout.text.delimiter != ","
    for row in table:
        first = boxes.first_rows.setdefault(row.file, row)
        if first is not row:
            refuse_other_split_or_group(row, first)
        index = boxes.index_of.setdefault(row.file, len(boxes.index_of))
        if layout.kind == OBJECTS:
            problem = _add_objects(boxes, index, row)
        else:
            label = row["label"] if has_labels else ONLY_CLASS
            values = row.values
            if values[form[0]].lower() in NOT_GIVEN and all(values[name].lower() in NOT_GIVEN for name in form):
                if has_labels and label.lower() not in NOT_GIVEN:
                    boxes.empty_labels.append((label, row))
                continue
            several = _parse_boxes(values, form, decimal_comma)
            problem = ""
            if not label:
                problem = "it has no label"
            elif several is None:
                problem = "its corners are not four numbers"
            else:
                for numbers in several:
                    boxes.add(index, numbers, label, row)
        if problem:
            item = row.location
            findings.append(Finding(INVALID, "not a box", row.file, item, f"{item}: {problem}", "skipped; correct it"))


def _parse_boxes(values: Mapping[str, str], form: tuple[str, ...], decimal_comma: bool) -> list[list[float]] | None:
    """Return the four numbers of the box, or the boxes, in the columns `form`, or None if they are not numbers."""
    if len(form) == 1:
        return parse_box_cell(values[form[0]])
    try:
        return [[float(values[name]) for name in form]]
    except ValueError:
        parsed = [parse_number(values[name], decimal_comma) for name in form]
        numbers = [number for number in parsed if number is not None]
        return [numbers] if len(numbers) == len(form) else None


def _add_objects(boxes: _Boxes, index: int, row: Row) -> str:
    """Add the objects of a cell of JSON, and return what is wrong with it, "" for nothing."""
    objects = parse_objects(row["objects"])
    if objects is None:
        return "its objects are not boxes with categories"
    for numbers, label in objects:
        boxes.add(index, numbers, label or ONLY_CLASS, row)
    return ""


def _lines_without_box(boxes: _Boxes) -> list[Finding]:
    """Return findings about lines that have a label, but no box.

    A label that never has a box, such as "No finding", says that there is no object. Another one is a missing box.
    """
    with_box, findings = set(boxes.labels), []
    negative = {label for label, _ in boxes.empty_labels} - with_box
    if len(negative) == 1 and with_box:
        (label,) = negative
        count = sum(other == label for other, _ in boxes.empty_labels)
        table = boxes.empty_labels[0][1].table
        reason = f"{count:,} lines have the label {label} and no box, and no other line has this label"
        findings.append(Finding(NOTE, "no objects", table, label, reason, "read as images without objects"))
    else:
        negative = set()
    for label, row in boxes.empty_labels:
        if label not in negative:
            reason = f"{row.location}: its corners are not four numbers"
            findings.append(Finding(INVALID, "not a box", row.file, row.location, reason, "skipped; correct it"))
    return findings


def _image_ids(first_rows: dict[str, Row]) -> list[str]:
    """Return the id of each image: what the table calls it, else its path where tables call two images the same."""
    named = [row["file"] for row in first_rows.values()]
    return named if len(set(named)) == len(named) else list(first_rows)


def _size(row: Row) -> tuple[int, int]:
    """Return height and width of the image that a line gives, (0, 0) if it gives none."""
    height, width = row["height"], row["width"]
    return (int(height), int(width)) if SIZE.fullmatch(height) and SIZE.fullmatch(width) else (0, 0)
