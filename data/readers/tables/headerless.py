"""Tables without a header, as some tools write them. They are recognized by files that exist."""

import re
from collections.abc import Callable, Sequence

from retinue.data.readers.tables.layout import BOXES, CLIPS, CORNERS, LABELS, MASKS, NOT_SPLITS, SIDES, TableLayout
from retinue.data.readers.tables.text import TableText
from retinue.data.storage.file_names import SPLIT_NAMES, looks_like_image, looks_like_video

NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?|nan|", re.IGNORECASE)

CountFound = Callable[[Sequence[str]], int]  # how many of these names are files that exist


def without_header(
    text: TableText, first: list[str], lines: Sequence[Sequence[str]], count_found: CountFound
) -> TableLayout:
    """Return what a table without a header holds. Its lines prove it: one of the columns holds files that exist."""
    width = len(first)
    names = tuple(f"column {number}" for number in range(1, width + 1))
    sample = [[cell.strip() for cell in cells] for cells in lines if len(cells) == width]
    files = [
        index
        for index, cell in enumerate(first)
        if looks_like_file(cell) and count_found([cells[index] for cells in sample])
    ]
    if not files:
        files = _files_without_suffix(sample, count_found)
    empty = TableLayout(text, LABELS, names, {}, has_header=False)
    if not files:
        cure = "add a first line that names the columns, such as file,label, and correct the paths"
        return _with_problem(
            empty, f"it begins with {', '.join(first)[:80]}: no header, and no file that exists; {cure}"
        )
    if len(files) == 2 and width == 2:
        return TableLayout(text, MASKS, names, {"file": files[0], "mask": files[1]}, has_header=False)
    file = files[0]
    found = _headerless_columns(first, sample, file)
    if not found:
        cure = "add a first line that names them, such as file,label or file,x1,y1,x2,y2,label"
        return _with_problem(empty, f"it has no header, and what its {width} columns mean is not clear; {cure}")
    box, columns = found
    kind = BOXES if box else CLIPS if looks_like_video(first[file]) else LABELS
    return TableLayout(text, kind, names, columns, box, has_header=False)


def _files_without_suffix(sample: Sequence[Sequence[str]], count_found: CountFound) -> list[int]:
    """Return the only column whose different values all are names of existing files without suffix, if there is one."""
    columns = [list(column) for column in zip(*sample, strict=True)]
    different = [index for index, cells in enumerate(columns) if len(set(cells)) == len(cells) > 1]
    found = [index for index in different if count_found(columns[index]) == len(columns[index])]
    return found if len(found) == 1 else []


def _headerless_columns(
    first: Sequence[str], sample: Sequence[Sequence[str]], file: int
) -> tuple[tuple[str, ...], dict[str, int]] | None:
    """Return the form of the boxes and the columns of a table without a header, or None where they are not clear."""
    width = len(first)
    numeric = [all(NUMBER.fullmatch(cells[index]) for cells in sample) for index in range(width)]
    split = {"split": 0} if file == 1 and all(is_split(cells[0]) for cells in sample) else {}
    after = width - file - 1  # columns behind that of the files
    if width == 2:
        return (), {"file": file, "label": 1 - file}
    if file == 0 and width == 6 and all(numeric[1:5]):  # keras-retinanet
        return CORNERS, {"file": 0, "x1": 1, "y1": 2, "x2": 3, "y2": 4, "label": 5}
    if file == 5 and width == 8 and all(numeric[1:5] + numeric[6:]):  # makesense.ai
        return SIDES, {"label": 0, "x": 1, "y": 2, "w": 3, "h": 4, "file": 5, "width": 6, "height": 7}
    if (
        (split or file == 0) and after == 9 and all(numeric[file + 2 :])
    ):  # AutoML Vision: four corners, two of them given
        start = file + 2
        corners = {"x1": start, "y1": start + 1, "x2": start + 4, "y2": start + 5}
        return CORNERS, {"file": file, "label": file + 1, **corners, **split}
    if split and width == 3:
        return (), {"file": 1, "label": 2, **split}
    return None


def _with_problem(layout: TableLayout, problem: str) -> TableLayout:
    return TableLayout(
        layout.text, layout.kind, layout.header, {}, has_header=False, problem=f"{layout.path} line 1: {problem}"
    )


def looks_like_file(cell: str) -> bool:
    return looks_like_image(cell) or looks_like_video(cell)


def is_number(cell: str) -> bool:
    return bool(cell) and bool(NUMBER.fullmatch(cell))


def is_split(cell: str) -> bool:
    return cell.lower() in SPLIT_NAMES or cell.lower() in NOT_SPLITS
