"""The lines of tables of annotations, read with one policy for all of them.

The readers of labels, boxes, masks and clips (`labels_csv`, `boxes_csv`, `masks_csv`, `clips_csv`) read their files
through `TableGroup`. The policy, besides that of `table_text` (encoding, delimiter), `table_layout` (columns) and
`table_files` (where the files are):

- Cells: surrounding spaces are removed. A line whose cells are all empty is skipped. An empty cell means that the value
  is not given.
- Broken lines: a line with too few or too many values (empty ones behind the last column don't count), or with an empty
  cell in a column that must not be empty. Labels, masks and clips are refused with the first broken line. In a table of
  boxes a broken line costs one object rather than an image, so it is a finding, and `data.on_invalid` decides, as for
  every other box that is wrong.
- Splits: train, val and test and their usual spellings (`SPLIT_NAMES`). Another word is refused; an empty cell means no
  split. In tables that are named after splits, it means the split of the table. Without a column, the folders of the
  files decide if each of them is named after a split.
- A table of which no file exists is refused; single missing files are left to the check.
- Every error and every finding about a line names its number, counted as an editor counts.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from retinue.configs.errors import RetinueError
from retinue.configs.suggestions import did_you_mean
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.file_tree import split_in_path
from retinue.data.readers.tables.files import FileFinder
from retinue.data.readers.tables.layout import MASKS, NOT_SPLITS, TableLayout
from retinue.data.storage.file_names import SPLIT_NAMES


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table.

    Attributes:
        table: The path of the table.
        line: The number of its first line in the file, from 1.
        file: The path of the file that it is about.
        cells: The cells of the line.
        values: The cell of each known column, without surrounding spaces, "" where it is empty. `split` is "train",
            "val", "test" or "".
    """

    table: str
    line: int
    file: str
    cells: Sequence[str]
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """Return the cell of a column, "" when the table does not have this column."""
        return self.values.get(column, "")

    @property
    def location(self) -> str:
        """The line, for messages."""
        return f"line {self.line}"


@dataclass(frozen=True)
class BrokenLine:
    """A line of a table that can't be used.

    Attributes:
        table: The path of the table.
        line: Its number in the file, from 1.
        kind: What broken lines of the same cause share, to count them.
        reason: What is wrong with it.
        cure: What the user can do.
    """

    table: str
    line: int
    kind: str
    reason: str
    cure: str


class Table:
    """A table whose columns are known, read line by line.

    Attributes:
        path: The file.
        layout: Where its columns are.
        findings: Notes and warnings about the table, and about where its files are.
        broken_lines: The lines that can't be used; complete once the table has been iterated over.
        paths: The path of each file that the table names.
        mask_paths: The path of each mask that the table names.
    """

    def __init__(self, layout: TableLayout, finder: FileFinder, split: str = "") -> None:
        """Find the files of a table.

        Args:
            layout: Where its columns are.
            finder: Finds the files.
            split: The split of its files, unless it has a column of splits; "" for none.

        Raises:
            RetinueError: The layout has a problem, the file is not a table from some line on, or none of its files can
                be found.
        """
        if layout.problem:
            raise RetinueError(layout.problem)
        self.path = layout.path
        self.layout = layout
        self.broken_lines: list[BrokenLine] = []
        self._split = split
        self._non_empty = {"file", "label"} if layout.kind == "clips" else {"file"}
        self.findings = [*layout.text.findings, *layout.findings]
        self.mask_paths: Mapping[str, str] = {}
        if layout.kind == MASKS:
            self.mask_paths = finder.find(self.path, self._names("mask")).paths
        found = finder.find(self.path, self._names("file"))
        if found.problem:
            raise RetinueError(found.problem)
        self.paths = found.paths
        self.findings += found.findings
        self._folder_splits = {} if split or "split" in layout.columns else self._splits_of_folders()
        if self._folder_splits:
            reason = "it has no column of splits, and its files lie in folders that are named after splits"
            self.findings.append(Finding(NOTE, "splits of folders", self.path, "", reason, "used"))

    def __iter__(self) -> Iterator[Row]:
        """Yield the usable lines; broken lines go into `broken_lines`.

        Raises:
            RetinueError: The file is not a table from some line on, or a split has an unknown name.
        """
        self.broken_lines = []
        unknown_splits = []
        width, columns, paths = len(self.layout.header), list(self.layout.columns.items()), self.paths
        has_splits = "split" in self.layout.columns
        for line, cells in self._records():
            if len(cells) != width:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) < width or any(cell.strip() for cell in cells[width:]):
                    self.broken_lines.append(self._wrong_width(line, cells))
                    continue
            values = {name: cells[index].strip() for name, index in columns}
            file = values["file"]
            if not file and not any(cell.strip() for cell in cells):
                continue
            empty = next((name for name in self._non_empty if not values[name]), None)
            if empty:
                cure = "write the label, or remove the line" if empty == "label" else "write the path"
                self.broken_lines.append(BrokenLine(self.path, line, f"no {empty}", f"the {empty} is empty", cure))
                continue
            split = values["split"].lower() if has_splits else ""
            if split in SPLIT_NAMES:
                values["split"] = SPLIT_NAMES[split]
            elif split in NOT_SPLITS:
                values["split"] = self._split
                if self._folder_splits:
                    values["split"] = self._folder_splits[os.path.dirname(paths[file])]
            else:
                unknown_splits.append(self._unknown_split(line, values["split"]))
                continue
            yield Row(self.path, line, paths[file], cells, values)
        refuse_broken_lines(unknown_splits)

    def _splits_of_folders(self) -> dict[str, str]:
        """Return the split of each folder of files; empty unless each is named after one, and there are several."""
        above = os.path.dirname(self.path) or "."
        folders = {os.path.dirname(path) for path in self.paths.values()}
        splits = {folder: split_in_path(os.path.relpath(folder, above)) for folder in folders}
        found = set(splits.values())
        return splits if len(found) > 1 and "train" in found and "" not in found else {}

    def _names(self, column: str) -> dict[str, str]:
        """Return the split of each name in a column of files or masks."""
        index, split_index = self.layout.columns[column], self.layout.columns.get("split")
        names, width = dict[str, str](), len(self.layout.header)
        for _, cells in self._records():
            if len(cells) >= width and (name := cells[index].strip()) and name not in names:
                split = "" if split_index is None else cells[split_index].strip()
                names[name] = SPLIT_NAMES.get(split.lower(), self._split)
        return names

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        records = self.layout.text.records()
        if self.layout.has_header:
            next(records, None)
        return records

    def _wrong_width(self, line: int, cells: Sequence[str]) -> BrokenLine:
        count, expected = len(cells), len(self.layout.header)
        cure = "put a value that holds the separator in double quotes"
        if any("\n" in cell for cell in cells):
            cure = (
                "a double quote in it is closed only in a later line; close it, or write it twice to mean the character"
            )
        elif count < expected:
            cure = "add the missing values"
        values = "1 value" if count == 1 else f"{count} values"
        names = f"the header names {expected}" if self.layout.has_header else f"the first line has {expected}"
        return BrokenLine(self.path, line, "wrong number of values", f"it has {values}, but {names} columns", cure)

    def _unknown_split(self, line: int, split: str) -> BrokenLine:
        hint = did_you_mean(split.lower(), SPLIT_NAMES, limit=1, cutoff=0.6).removeprefix("; ")
        cure = hint or "write train, val or test, or leave it empty"
        return BrokenLine(self.path, line, "unknown split", f"{split!r} is not a split", cure)


@dataclass
class TableGroup:
    """The tables of one dataset: one table, or several that are named after splits or list different files.

    Attributes:
        source: What the dataset is read from.
        tables: The tables.
        findings: What was noticed about the choice of the tables.
    """

    source: str
    tables: Sequence[Table]
    findings: list[Finding] = field(default_factory=list)

    def __iter__(self) -> Iterator[Row]:
        """Yield the usable lines of all tables."""
        for table in self.tables:
            yield from table

    @property
    def broken_lines(self) -> list[BrokenLine]:
        """The broken lines of all tables; complete once the group has been iterated over."""
        return [broken for table in self.tables for broken in table.broken_lines]

    def all_findings(self) -> list[Finding]:
        """Return the findings about all tables."""
        return [*self.findings, *(finding for table in self.tables for finding in table.findings)]

    def refuse_empty(self, rows: Collection[object]) -> None:
        """Raise RetinueError for tables without a line below their headers."""
        if not rows:
            raise RetinueError(f"{self.source}: there are no lines below the header; add a line for each file")

    def refuse_unannotated(self, rows: Sequence[Row], what: str) -> None:
        """Raise RetinueError for a table of which no line has a label or a mask."""
        cure = f"write the {what}, or remove the line"
        refuse_broken_lines(
            [BrokenLine(row.table, row.line, f"no {what}", f"the {what} is empty", cure) for row in rows]
        )

    def without_annotation(self, rows: Sequence[Row], what: str) -> list[Finding]:
        """Return a finding for the lines without a label or a mask, as a table may have them for the test images."""
        if not rows:
            return []
        first, count = rows[0], len(rows)
        noun = "line has" if count == 1 else "lines have"
        reason = f"{count:,} {noun} no {what}, the first is {self.location(first)}"
        action = f"not read; write the {what} to use them"
        return [Finding(WARNING, f"no {what}", first.table, first.location, reason, action)]

    def location(self, row: Row) -> str:
        """Return where a line is, for messages: with the name of its table, if there are several."""
        return row.location if len(self.tables) == 1 else f"{row.location} of {os.path.basename(row.table)}"


def refuse_broken_lines(broken_lines: Sequence[BrokenLine]) -> None:
    """Raise RetinueError for the first of `broken_lines`, with the number of further lines of its kind, if any."""
    if not broken_lines:
        return
    table = broken_lines[0].table
    first = min((broken for broken in broken_lines if broken.table == table), key=lambda broken: broken.line)
    more = sum(broken.kind == first.kind for broken in broken_lines) - 1
    like_it = f" (and {more:,} more {'line' if more == 1 else 'lines'} like it)" if more else ""
    raise RetinueError(f"{table} line {first.line}: {first.reason}{like_it}; {first.cure}")


def refuse_other_split_or_group(row: Row, first: Row) -> None:
    """Raise RetinueError when two lines of one file give different splits or groups."""
    for column in ("split", "group"):
        if row[column] != first[column]:
            other = "" if row.table == first.table else f" of {first.table}"
            raise RetinueError(
                f"{row.table} line {row.line}: {row.file} has the {column} {row[column] or 'none'} here, "
                f"but {first[column] or 'none'} in line {first.line}{other}; make them the same"
            )
