"""What a table holds, by its header and its first lines.

Names decide where they can, and the first lines confirm it: a column of files is one whose cells are the names of
files that exist. What can't be recognized is one problem, whose message has everything that is wrong and the option
`--columns` that answers it.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from retinue.data.readers.tables.cells import NOT_GIVEN, parse_box_cell
from retinue.data.readers.tables.columns import (
    IDS_OF_LABELS,
    OTHER_COLUMNS,
    WEAK_FILES,
    WORD_RANK,
    is_known,
    meanings,
    plain,
)
from retinue.data.readers.tables.headerless import CountFound, is_split, looks_like_file, without_header
from retinue.data.readers.tables.layout import (
    BOXES,
    CELL_FORMS,
    CENTER,
    CLIPS,
    CORNERS,
    FORMS,
    LABELS,
    MASKS,
    OBJECTS,
    ONE_HOT,
    SEVERAL,
    SIDES,
    TableLayout,
)
from retinue.data.readers.tables.problems import header_problem, shape_problems, unused_columns
from retinue.data.readers.tables.text import Record, TableText
from retinue.data.storage.file_names import looks_like_image, looks_like_video

MAX_SAMPLE = 300  # lines that are looked at to find out what a table holds
EXTRA = ("width", "height", "split", "group", "crowd", "difficult", "start", "end")
BINARY = ("0", "1", "0.0", "1.0", "-1", "true", "false")  # values of a column that stands for a class


def understand(text: TableText, named: Mapping[str, str], count_found: CountFound) -> TableLayout:
    """Find out what a table holds.

    Args:
        text: The table.
        named: The header's name of columns, by our own names, as the user gave them; "" for a column that is not there.
        count_found: Counts the existing files among names.

    Raises:
        RetinueError: It is not a table. That its columns are not recognized is a `problem` of the layout instead.
    """
    records = text.records()
    first: Record = next(records, (1, []))
    lines = [cells for _, cells in itertools.islice(records, MAX_SAMPLE) if any(cell.strip() for cell in cells)]
    header = [name.strip() for name in first[1]]
    if not named and not count_meanings(header) and any(map(looks_like_file, header)):
        return without_header(text, header, [header, *lines], count_found)
    sample = [[cell.strip() for cell in cells] for cells in lines if len(cells) >= len(header)]
    return _Understanding(text, first[0], header, sample, named, count_found).layout()


def count_meanings(header: Sequence[str]) -> int:
    """Return how many names of a header have a meaning."""
    return sum(bool(meanings(name)) for name in header)


@dataclass
class _Understanding:
    """The columns of a table with a header, found one after the other."""

    text: TableText
    line: int
    header: list[str]
    sample: list[list[str]]
    named: Mapping[str, str]
    count_found: CountFound
    columns: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def layout(self) -> TableLayout:
        """Return what the table holds."""
        self.candidates = self._candidates()
        self._take_named()
        box = self._find_box()
        self._find_file()
        self._find_mask()
        self._find_extra()
        self._find_label(bool(box))
        kind, classes = self._kind(box)
        self.problems += shape_problems(kind, self.header, self.sample, self._unused(), self.columns)
        self._find_missing(kind, box)
        problem = ""
        if self.missing or self.problems:
            problem = header_problem(
                self.text.path, self.line, self.header, self.columns, self.missing, self.problems, self.sample
            )
        return TableLayout(
            self.text,
            kind,
            tuple(self.header),
            self.columns,
            box,
            classes,
            findings=tuple(
                unused_columns(self.text.path, self.header, {*self.columns.values(), *classes}, self.columns)
            ),
            problem=problem,
            has_several_labels=True if SEVERAL in self.named else False if self.named.get("label") else None,
        )

    def _candidates(self) -> dict[str, list[tuple[int, int]]]:
        """Return the rank and the index of the names that can mean each column, the plainest first."""
        found: dict[str, list[tuple[int, int]]] = {}
        for index, name in enumerate(self.header):
            for column, rank in meanings(name).items():
                found.setdefault(column, []).append((rank, index))
        return {column: sorted(ranked) for column, ranked in found.items()}

    def _take_named(self) -> None:
        """Take the columns that the user named."""
        lower = [name.lower() for name in self.header]
        for given, name in self.named.items():
            column = "label" if given == SEVERAL else given
            self.candidates.pop(column, None)
            if not name:
                continue
            if name.strip().lower() in lower:
                self.columns[column] = lower.index(name.strip().lower())
            else:
                self.problems.append(f"--columns names {name} as {column}, which is not there")

    def _free(self, column: str) -> list[tuple[int, int]]:
        """Return the candidates of a column that no other column has taken."""
        taken = set(self.columns.values())
        return [(rank, index) for rank, index in self.candidates.get(column, []) if index not in taken]

    def _take(self, column: str) -> bool:
        """Take the plainest candidate of a column, and return whether there is one."""
        if column in self.columns:
            return True
        free = self._free(column)
        if not free:
            return False
        self.columns[column] = free[0][1]
        if len(free) > 1 and free[0][0] == free[1][0]:
            self.problems.append(f"the column {column} is there twice; rename one of them")
        return True

    def _find_box(self) -> tuple[str, ...]:
        """Take the columns of a box, and return them."""
        for cell_form in CELL_FORMS:
            if cell_form in self.columns:
                return (cell_form,)
        if self._take("objects"):
            return ("objects",)
        ends = bool(self._free("x2") or self._free("y2"))
        for form in FORMS:
            if ends and "w" in form:  # width and height are those of the image, and a corner is mistyped
                continue
            if all(column in self.columns or self._free(column) for column in form):
                for column in form:
                    self._take(column)
                return form
        return ("bbox",) if self._cells_match("bbox", _is_box_cell) and self._take("bbox") else ()

    def _find_file(self) -> None:
        """Take the column of files: the plainest name of which files exist, or the only column of existing images."""
        if "file" in self.columns:
            return
        free = self._free("file")
        if free and free[0][0] == 0:
            self._take("file")
            return
        for _, index in free:
            if self.count_found(self._cells(index)):
                self.columns["file"] = index
                return
        strong = [index for _, index in free if plain(self.header[index]) not in WEAK_FILES]
        if strong:
            self.columns["file"] = strong[0]
            return
        holding = [index for index in self._unused() if self._holds_images(index) and not meanings(self.header[index])]
        proven = [index for index in holding if self.count_found(self._cells(index))]
        if len(proven) == 1:
            self.columns["file"] = proven[0]
        elif free and not proven:
            self.columns["file"] = free[0][1]

    def _find_mask(self) -> None:
        """Take the column of masks, also one that is called label but holds names of images."""
        if "mask" in self.columns:
            return
        free = self._free("mask")
        holding = [index for rank, index in free if rank == 0 or self._holds_images(index)]
        holding += [index for _, index in self._free("label") if self._holds_images(index)]
        if holding:
            self.columns["mask"] = holding[0]

    def _find_extra(self) -> None:
        """Take the columns that a table may have besides."""
        for column in EXTRA:
            free = self._free(column)
            if column in self.columns or not free:
                continue
            if column == "split" and free[0][0] and not all(map(is_split, self._cells(free[0][1]))):
                continue
            self._take(column)
        if not {"width", "height"} <= set(self.columns):
            self.columns.pop("width", None)
            self.columns.pop("height", None)

    def _find_label(self, has_boxes: bool) -> None:
        """Take the column of labels; two that could be it are a problem."""
        if "label" in self.columns or self.named.get("label") == "" or "objects" in self.columns:
            return
        free = self._free("label")
        names = [(rank, index) for rank, index in free if plain(self.header[index]) not in (*IDS_OF_LABELS, "name")]
        fallbacks = [pair for pair in free if pair not in names]
        best = [pair for pair in names if pair[0] < WORD_RANK] or self._only_unknown(names) or fallbacks[:1]
        if not best:
            return
        if len(best) > 1 and best[0][0] > 0 and "mask" not in self.columns:
            shown = " and ".join(self.header[index] for _, index in best)
            choice = self.header[best[0][1]]
            self.problems.append(
                f"{shown} could {'both' if len(best) == 2 else 'all'} be the labels; name one: --columns label={choice}"
            )
        self.columns["label"] = best[0][1]

    def _only_unknown(self, names: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return columns whose names only end like one of labels, unless others are unknown, which could be it as well.

        The column dx_type beside dx tells how a diagnosis was made.
        """
        others = set(self._unused()) - {index for _, index in names}
        return [] if any(not is_known(self.header[index]) for index in others) else names

    def _kind(self, box: tuple[str, ...]) -> tuple[str, tuple[int, ...]]:
        """Return what the table holds, and the columns that stand for classes."""
        if box:
            return (OBJECTS if box == ("objects",) else BOXES), ()
        if "mask" in self.columns:
            return MASKS, ()
        if sum(bool(self._free(column)) for column in CORNERS) > 1:
            return BOXES, ()
        if any(self._free(x) and self._free(y) for x, y in (("x", "y"), ("xc", "yc"))):
            return BOXES, ()
        cells = self._cells(self.columns["file"]) if "file" in self.columns else []
        if {"start", "end"} & set(self.columns) or any(map(looks_like_video, cells[:1])):
            return CLIPS, ()
        if "label" in self.columns:
            return LABELS, ()
        classes = [index for index in self._unused() if plain(self.header[index]) not in ("", *OTHER_COLUMNS)]
        if "file" in self.columns and len(classes) > 1 and self.sample and all(map(self._is_binary, classes)):
            return ONE_HOT, tuple(classes)
        return LABELS, ()

    def _find_missing(self, kind: str, box: tuple[str, ...]) -> None:
        """Collect the columns that this kind of table needs and this one does not have."""
        needed = {MASKS: ("file", "mask"), ONE_HOT: ("file",), OBJECTS: ("file",), BOXES: ("file",)}
        for column in needed.get(kind, ("file", "label")):
            if column not in self.columns:
                self.missing.append(column)
        if kind == BOXES and not box:
            form = next((form for form in (CENTER, SIDES) if self._free(form[0]) and self._free(form[1])), CORNERS)
            self.missing += [column for column in form if not self._take(column)]
        if kind == BOXES and "label" not in self.columns and self.named.get("label") != "":
            if not box or any(not is_known(self.header[index]) for index in self._unused()):
                self.missing.append("label")

    def _unused(self) -> list[int]:
        taken = set(self.columns.values())
        return [index for index in range(len(self.header)) if index not in taken]

    def _cells(self, index: int) -> list[str]:
        return [cells[index] for cells in self.sample]

    def _cells_match(self, column: str, matches: Callable[[str], bool]) -> bool:
        free = self._free(column)
        return bool(free) and all(matches(cell) for cell in self._cells(free[0][1]) if cell)

    def _holds_images(self, index: int) -> bool:
        cells = [cell for cell in self._cells(index) if cell]
        return bool(cells) and all(map(looks_like_image, cells))

    def _is_binary(self, index: int) -> bool:
        return all(cell.lower() in BINARY for cell in self._cells(index))


def _is_box_cell(cell: str) -> bool:
    return cell.lower() in NOT_GIVEN or parse_box_cell(cell) is not None
