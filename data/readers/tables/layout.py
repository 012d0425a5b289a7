"""What a table holds: where its files, labels, boxes, masks or times are."""

from collections.abc import Mapping
from dataclasses import dataclass

from retinue.configs.errors import UsageError
from retinue.configs.suggestions import did_you_mean
from retinue.data.finding import Finding
from retinue.data.readers.tables.columns import SYNONYMS
from retinue.data.readers.tables.text import TableText

LABELS, ONE_HOT, BOXES, OBJECTS, MASKS, CLIPS = "labels", "one-hot", "boxes", "objects", "masks", "clips"
# The forms in which a table gives a box, the first that fits is taken.
CORNERS, ZERO_CORNERS, CENTER = ("x1", "y1", "x2", "y2"), ("x0", "y0", "x1", "y1"), ("xc", "yc", "w", "h")
SIDES, LEFT_SIDES = ("x", "y", "w", "h"), ("x1", "y1", "w", "h")
FORMS = (CORNERS, ZERO_CORNERS, CENTER, SIDES, LEFT_SIDES)
CELL_FORMS = ("xyxy", "xywh")  # a box in one cell: two corners, or a corner and the sides
SEVERAL = "labels"  # what the user calls a column of labels with several in one cell
NAMEABLE = (*SYNONYMS, *CELL_FORMS, SEVERAL)
NOT_SPLITS = ("", "unassigned")  # in a column of splits


@dataclass(frozen=True)
class TableLayout:
    """Where things are in a table.

    Attributes:
        text: The text of the table.
        kind: What it holds: `LABELS`, `ONE_HOT`, `BOXES`, `OBJECTS`, `MASKS` or `CLIPS`.
        header: The names of the columns, as they are written; "column 1" and so on where there is no header.
        columns: The index of each known column.
        box: The columns of a box: one of `FORMS`, or a single one.
        class_columns: For `ONE_HOT`: the indices of the columns that stand for a class.
        has_header: Whether the first line names the columns.
        findings: Notes and warnings about columns that are not used.
        problem: Why the table can't be read, with the cure; "" if it can be read.
        has_several_labels: Whether a cell holds several labels, as the user named its column; None if nobody did.
    """

    text: TableText
    kind: str
    header: tuple[str, ...]
    columns: Mapping[str, int]
    box: tuple[str, ...] = ()
    class_columns: tuple[int, ...] = ()
    has_header: bool = True
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    has_several_labels: bool | None = None

    @property
    def path(self) -> str:
        """The file."""
        return self.text.path


def parse_columns(text: str) -> dict[str, str]:
    """Return the header's name of each column in a text such as "file=image,label=emotion".

    Raises:
        UsageError: The text is written in another way, or names a column that no table has.
    """
    named: dict[str, str] = {}
    column = ""
    for part in text.split(",") if text else []:
        name, equals, value = part.partition("=")
        if equals and not (column and name.strip() not in NAMEABLE):
            column = name.strip()
            named[column] = value.strip()
        elif column:  # a name in the header with a comma
            named[column] += f",{part}"
        else:
            raise UsageError(f"--columns {text}: write it as COLUMN=NAME, for example file=image,label=emotion")
    check_column_names(named)
    return named


def check_column_names(named: Mapping[str, str]) -> None:
    """Raise UsageError if the option `--columns` names a column that no table has."""
    for name in named:
        if name not in NAMEABLE:
            hint = did_you_mean(name, NAMEABLE, limit=1, cutoff=0.6)
            known = (
                "file, label, labels, x1, y1, x2, y2, x, y, w, h, xc, yc, xyxy, xywh, mask, start, end, split and group"
            )
            raise UsageError(f"--columns {name}={named[name]}: there is no column {name}{hint}; name {known}")
