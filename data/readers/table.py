"""Tables of annotations: CSV files with a header line, read with one policy for all of them.

The readers of labels, boxes, masks and clips (`labels_csv`, `boxes_csv`, `masks_csv`, `clips_csv`) read their files
through `Table`. Its policy:

- Encoding: UTF-8, with or without a byte order mark. Anything else is refused.
- Delimiter: comma, semicolon or tab, or the one that a first line `sep=;` names, as Excel writes and honors it.
- Header: the first line. Case and surrounding spaces of the names do not matter. A missing required column and a known
  column that is there twice are refused. An unknown column is a finding and is ignored; it is a warning when its name
  resembles that of an optional column that the table does not have.
- Cells: surrounding spaces are removed. A line whose cells are all empty is skipped. An empty cell means that the value
  is not given.
- Broken lines: a line with too few or too many values, or with an empty cell in a column that must not be empty.
  Labels, masks and clips are refused with the first broken line. In a table of boxes a broken line costs one object
  rather than an image, so it is a finding, and `data.on_invalid` decides, as for every other box that is wrong.
- Splits: train, val and test and their usual spellings (`SPLIT_NAMES`). Another word is refused; an empty cell means no
  split.
- Paths are relative to the folder of the table. A table of which no file exists is refused; single missing files are
  left to the check.
- Every error and every finding about a line names its number, counted as an editor counts.
"""

import csv
import difflib
import io
import itertools
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from retinue.configs.errors import RetinueError
from retinue.configs.suggestions import did_you_mean, suggestion
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.storage.file_names import SPLIT_NAMES

ALIASES = {  # the columns that retinue knows, and other names that people give them
    "file": ("filename", "file_name", "filepath", "path", "image", "image_path", "img", "photo", "name"),
    "label": ("labels", "class", "class_name", "category", "target", "tags", "species", "name"),
    "x1": ("xmin", "left", "x_min"),
    "y1": ("ymin", "top", "y_min"),
    "x2": ("xmax", "right", "x_max"),
    "y2": ("ymax", "bottom", "y_max"),
    "mask": ("masks", "mask_path", "segmentation"),
    "start": ("start_time", "begin"),
    "end": ("end_time", "stop"),
    "split": ("set", "subset", "fold", "partition"),
    "group": ("groups", "group_id", "patient", "subject"),
}
SIMILARITY = 0.75  # of `difflib`, from which on a name counts as a mistyped column
SEPARATOR_HINT = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # a first line that Excel writes and honors
OPEN_QUOTE = "a double quote is opened here and never closed; close it, or write it twice to mean the character itself"
END = "\0"  # a line of this follows the last one, to see whether a quote is still open there


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        line: The number of its first line in the file, from 1.
        values: The cell of each known column, without surrounding spaces, "" where it is empty. `split` is "train",
            "val", "test" or "".
    """

    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """Return the cell of a column, "" when the table does not have this column."""
        return self.values.get(column, "")


@dataclass(frozen=True)
class BrokenLine:
    """A line of a table that can't be used.

    Attributes:
        line: Its number in the file, from 1.
        kind: What broken lines of the same cause share, to count them.
        reason: What is wrong with it.
        cure: What the user can do.
    """

    line: int
    kind: str
    reason: str
    cure: str


class Table:
    """A CSV file with a header, read line by line. It can be iterated over once.

    Attributes:
        path: The file.
        findings: Notes and warnings about unknown columns.
        broken_lines: The lines that can't be used; complete once the table has been iterated over.
    """

    def __init__(
        self,
        path: str,
        required: Sequence[str],
        optional: Sequence[str] = (),
        non_empty: Collection[str] = ("file",),
        header_help: str = "",
    ) -> None:
        """Open a table and read its header.

        Args:
            path: The file.
            required: Columns that the table must have.
            optional: Columns that it may have.
            non_empty: Those columns whose cells must not be empty.
            header_help: For the message about a missing column: what the first line must be. By default the required
                columns.

        Raises:
            RetinueError: The file can't be read or is not a table, a required column is missing, or a known column is
                there twice.
        """
        self.path = path
        self.broken_lines: list[BrokenLine] = []
        self._records = _records(path)
        line, header = next(self._records, (1, []))
        self._header = [name.strip() for name in header]
        self._non_empty = non_empty
        self._index = self._find_columns(line, required, optional, header_help or ",".join(required))
        self.findings = self._unknown_columns(optional)

    def __iter__(self) -> Iterator[Row]:
        """Yield the usable lines below the header; broken lines go into `broken_lines`.

        Raises:
            RetinueError: The file is not a table from some line on, or a split has an unknown name.
        """
        unknown_splits = []
        for line, cells in self._records:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(self._header):
                self.broken_lines.append(self._wrong_width(line, cells))
                continue
            values = {name: cells[index].strip() for name, index in self._index.items()}
            empty = next((name for name in values if name in self._non_empty and not values[name]), None)
            if empty:
                cure = "write the label, or remove the line" if empty == "label" else "write the path"
                self.broken_lines.append(BrokenLine(line, f"no {empty}", f"the {empty} is empty", cure))
                continue
            split = values.get("split", "")
            if split and split.lower() not in SPLIT_NAMES:
                unknown_splits.append(_unknown_split(line, split))
                continue
            if split:
                values["split"] = SPLIT_NAMES[split.lower()]
            yield Row(line, values)
        refuse_broken_lines(self.path, unknown_splits)

    def _find_columns(
        self, line: int, required: Sequence[str], optional: Sequence[str], header_help: str
    ) -> dict[str, int]:
        """Return the index of each known column that the header names."""
        lower = [name.lower() for name in self._header]
        for name in (*required, *optional):
            if lower.count(name) > 1:
                raise RetinueError(f"{self.path} line {line}: the column {name} is there twice; rename one of them")
            if name in required and name not in lower:
                similar = [alias for alias in ALIASES[name] if alias in lower]
                similar = similar or difflib.get_close_matches(name, lower, 1, SIMILARITY)
                cure = f"the first line must be {header_help}"
                if similar:
                    cure = f"rename the column {self._header[lower.index(similar[0])]} to {name}"
                found = ", ".join(self._header) or "nothing"
                raise RetinueError(
                    f"{self.path} line {line}: the column {name} is missing (the header names {found}); {cure}"
                )
        return {name: lower.index(name) for name in (*required, *optional) if name in lower}

    def _unknown_columns(self, optional: Sequence[str]) -> list[Finding]:
        findings = []
        for index, name in enumerate(self._header):
            if index in self._index.values():
                continue
            similar = [known for known in optional if known not in self._index and _resembles(name.lower(), known)]
            severity, action = WARNING if similar else NOTE, f"ignored{suggestion(similar[:1])}"
            reason = f"the column {name} is not used"
            findings.append(Finding(severity, "unused column", self.path, name, reason, action))
        return findings

    def _wrong_width(self, line: int, cells: Sequence[str]) -> BrokenLine:
        count, expected = len(cells), len(self._header)
        cure = "put a value that holds the separator in double quotes"
        if any("\n" in cell for cell in cells):
            cure = (
                "a double quote in it is closed only in a later line; close it, or write it twice to mean the character"
            )
        elif count < expected:
            cure = "add the missing values"
        values = "1 value" if count == 1 else f"{count} values"
        return BrokenLine(
            line, "wrong number of values", f"it has {values}, but the header names {expected} columns", cure
        )


def read_header(path: str) -> tuple[list[str], list[str]]:
    """Read the first two lines of a table, to see what it holds.

    Args:
        path: A CSV file.

    Returns:
        The names of the columns in lower case, and the cells of the first line below them; empty lists where the file
        has no such line.

    Raises:
        RetinueError: The file can't be read or is not a table.
    """
    records = _records(path)
    _, header = next(records, (1, []))
    _, first = next(records, (2, []))
    return [name.strip().lower() for name in header], [cell.strip() for cell in first]


def refuse_broken_lines(path: str, broken_lines: Sequence[BrokenLine]) -> None:
    """Raise RetinueError for the first of `broken_lines`, with the number of further lines of its kind, if any."""
    if not broken_lines:
        return
    first = min(broken_lines, key=lambda broken: broken.line)
    more = sum(broken.kind == first.kind for broken in broken_lines) - 1
    like_it = f" (and {more:,} more {'line' if more == 1 else 'lines'} like it)" if more else ""
    raise RetinueError(f"{path} line {first.line}: {first.reason}{like_it}; {first.cure}")


def refuse_empty_table(path: str, rows: Collection[object]) -> None:
    """Raise RetinueError for a table without a line below its header."""
    if not rows:
        raise RetinueError(f"{path}: there are no lines below the header; add a line for each file")


def refuse_missing_files(path: str, files: Sequence[str]) -> None:
    """Raise RetinueError when none of the files that a table lists exists."""
    if not any(os.path.exists(file) for file in files):
        raise RetinueError(
            f"{path}: none of its {len(files):,} files exists, the first would be {files[0]}; correct the paths, which "
            "are relative to the folder of the CSV"
        )


def refuse_other_split_or_group(path: str, file: str, row: Row, first: Row) -> None:
    """Raise RetinueError when two lines of one file give different splits or groups."""
    for column in ("split", "group"):
        if row[column] != first[column]:
            raise RetinueError(
                f"{path} line {row.line}: {file} has the {column} {row[column] or 'none'} here, "
                f"but {first[column] or 'none'} in line {first.line}; make them the same"
            )


def resolve_path(table: str, name: str) -> str:
    """Return the path of a file that a table names.

    Args:
        table: The path of the table.
        name: The file, relative to the folder of the table, or absolute. Backslashes separate folders, except in the
            name of a file that really has them.
    """
    folder = os.path.dirname(table)
    if "\\" in name and os.sep == "/" and not os.path.exists(os.path.join(folder, name)):
        name = name.replace("\\", "/")
    return os.path.normpath(os.path.join(folder, name))


def _records(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line and the cells of every record; raise RetinueError for what is not a table."""
    lines = io.StringIO(_read_text(path), newline="")
    first = lines.readline()
    hint = SEPARATOR_HINT.fullmatch(first)
    if not hint:
        lines.seek(0)
    reader = csv.reader(itertools.chain(lines, [END]), delimiter=hint[1] if hint else _delimiter(first))
    above = 1 if hint else 0
    while True:
        line = above + reader.line_num + 1
        try:
            cells = next(reader)
        except csv.Error:  # a value of more than 128 KB
            if above + reader.line_num > line:
                raise RetinueError(f"{path} line {line}: {OPEN_QUOTE}") from None
            raise RetinueError(
                f"{path} line {line}: it has a value of more than 128 KB; is this a table of annotations?"
            ) from None
        if cells == [END]:
            return
        if cells and cells[-1].endswith(END):
            raise RetinueError(f"{path} line {line}: {OPEN_QUOTE}")
        yield line, cells


def _read_text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise RetinueError(f"{path}: this file can't be read ({error.strerror})") from None
    if b"\0" in content:
        raise RetinueError(f'{path}: this is not a plain UTF-8 table; save it as "CSV UTF-8"')
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RetinueError(
            f'{path} line {line}: it has a character that is not UTF-8; save the table as "CSV UTF-8"'
        ) from None


def _delimiter(header: str) -> str:
    """Return the separator with which the header names the most known columns, or else the most frequent one."""

    def score(delimiter: str) -> tuple[int, int]:
        names = [name.strip().strip('"').lower() for name in header.split(delimiter)]
        return sum(name in ALIASES for name in names), header.count(delimiter)

    return max(",;\t", key=score)


def _resembles(name: str, column: str) -> bool:
    return name in ALIASES[column] or bool(difflib.get_close_matches(name, [column], 1, SIMILARITY))


def _unknown_split(line: int, split: str) -> BrokenLine:
    hint = did_you_mean(split.lower(), SPLIT_NAMES, limit=1, cutoff=0.6).removeprefix("; ")
    return BrokenLine(
        line, "unknown split", f"{split!r} is not a split", hint or "write train, val or test, or leave it empty"
    )
