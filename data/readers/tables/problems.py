"""What is wrong with the header of a table: all of it in one message, with the command that answers it."""

import difflib
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from retinue.configs.suggestions import suggestion
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.tables.columns import OTHER_COLUMNS, SYNONYMS, is_known, plain
from retinue.data.readers.tables.layout import BOXES, LABELS
from retinue.data.storage.file_names import looks_like_image, looks_like_video

Works = Callable[[Mapping[str, str]], bool]
FEW_LINES = 4  # of a table don't tell whether values recur
SIMILARITY = 0.8  # of `difflib`, from which on a name counts as a mistyped column
HINTED = ("split", "group", "start", "end", "mask", "crowd", "difficult")  # a mistyped one of these gets a warning
NAMES_OF_SPLITS = ("partition", "subset", "set", "fold", "datasplit", "mlusage")  # of columns with unknown values
INDEX_NAMES = ("", "unnamed0", "index")  # of the column of line numbers that pandas writes
RUN_LENGTHS = ("encodedpixels", "runlength", "runlengths")
MASKS = ("encoding", "segmentation", "annotation", "mask", "masks")  # columns that may hold run lengths
RUN_LENGTHS_CURE = "run lengths in a table are not read; write each mask as a PNG file, and a table with file,mask"
RUN_LENGTH = re.compile(r"\d+ \d+( \d+ \d+)*")
BOX_COLUMNS = {"x1", "xc", "x", "bbox", "xyxy", "xywh"}
FURTHER_CORNERS = ("x3", "y3", "x4", "y4")
ANGLES = ("angle", "theta", "rotation")
SHAPES = (
    "bbox",
    "box",
    "boundingbox",
    "bndbox",
    "polygon",
    "polygons",
    "points",
    "segmentation",
    "vertices",
    "contour",
)
MIN_COORDINATES = 6  # of a polygon
ONLY_NUMBERS = re.compile(r"[\d\s.,;\[\](){}]+")
NUMBERS = re.compile(r"\d+(?:\.\d+)?")
PIXELS = ("pixels", "pixel0", "pixel1", "1x1")


def header_problem(
    path: str,
    line: int,
    header: Sequence[str],
    columns: Mapping[str, int],
    missing: Sequence[str],
    problems: Sequence[str],
    sample: Sequence[Sequence[str]],
    works: Works,
) -> str:
    """Return the message about a table whose columns are not all recognized.

    Args:
        path: The table.
        line: The number of the line of the header.
        header: The names of the columns.
        columns: The index of each column that was recognized.
        missing: The columns that were not.
        problems: What else is wrong.
        sample: The cells of the first lines.
        works: Returns whether the table can be read with these columns named.
    """
    parts = list(problems)
    if missing:
        names = ", ".join(name for name in header if name) or "nothing"
        noun = f"column {missing[0]} is" if len(missing) == 1 else f"columns {_listed(missing)} are"
        parts.append(
            f"the {noun} missing (the header names {names[:300]}); "
            f"{_cure(path, header, columns, missing, sample, works)}"
        )
    return f"{path} line {line}: {'; '.join(parts)}"


def shape_problems(
    kind: str,
    header: Sequence[str],
    sample: Sequence[Sequence[str]],
    unused: Sequence[int],
    columns: Mapping[str, int],
) -> Iterator[str]:
    """Yield what says that a table holds other shapes than those that are read: they must not be taken for less.

    Args:
        kind: What the table seems to hold, of `data.readers.tables.layout`.
        header: The names of the columns.
        sample: The cells of the first lines.
        unused: The indices of the columns that have no known meaning.
        columns: The index of each column that was recognized.
    """
    for index in unused:
        key, cells = plain(header[index]), [cells[index] for cells in sample]
        if kind == BOXES and key in FURTHER_CORNERS:
            yield f"its column {header[index]} is a third corner; shapes of four corners are not read"
            return
        if kind == BOXES and key in ANGLES and any(cell not in ("", "0", "0.0") for cell in cells):
            yield f"its column {header[index]} turns the boxes; turned boxes are not read"
        elif kind == LABELS and holds_run_lengths(header[index], cells):
            if "label" in columns:  # else the message about the missing column has it
                yield RUN_LENGTHS_CURE
        elif kind == LABELS and any(map(_is_shape if key not in SHAPES else NUMBERS.search, cells)):
            yield f"its column {header[index]} seems to hold shapes, which are not read; write boxes as x1,y1,x2,y2"
    labels = [cells[columns["label"]] for cells in sample] if "label" in columns else []
    if any(label.startswith(("[", "{")) and label.endswith(("]", "}")) for label in labels):
        name = header[columns["label"]]
        yield f"its column {name} holds lists or JSON; write several labels as a;b, and boxes as x1,y1,x2,y2"
    if "mask" in columns and any(RUN_LENGTH.fullmatch(cells[columns["mask"]]) for cells in sample):
        yield RUN_LENGTHS_CURE


def unused_columns(
    path: str, header: Sequence[str], used: Collection[int], columns: Collection[str]
) -> Iterator[Finding]:
    """Yield a finding for each column that is not used, a warning for one that resembles a column that is not there."""
    for index, name in enumerate(header):
        if index in used or plain(name) in INDEX_NAMES:
            continue
        absent = [column for column in HINTED if column not in columns]
        similar = difflib.get_close_matches(plain(name), absent, 1, SIMILARITY)
        severity, action = (WARNING, f"ignored{suggestion(similar)}") if similar else (NOTE, "ignored")
        if plain(name) in NAMES_OF_SPLITS and "split" not in columns:
            severity, action = WARNING, "ignored; if these are the splits, write train, val and test instead"
        yield Finding(severity, "unused column", path, name, f"the column {name} is not used", action)


def _cure(
    path: str,
    header: Sequence[str],
    columns: Mapping[str, int],
    missing: Sequence[str],
    sample: Sequence[Sequence[str]],
    works: Works,
) -> str:
    """Return what the user can do about missing columns: a command with `--columns` of which it is known to work."""
    keys = [plain(name) for name in header]
    if any(holds_run_lengths(name, [cells[index] for cells in sample]) for index, name in enumerate(header)):
        return RUN_LENGTHS_CURE
    if "file" in missing and any(key in PIXELS for key in keys):
        return "the images seem to be in the table itself; write each as a file, and a table with file,label"
    free = [index for index in range(len(header)) if index not in columns.values() and keys[index] not in INDEX_NAMES]
    guesses: dict[str, str] = {}
    for column in missing:
        index = _guess(column, header, [index for index in free if header[index] not in guesses.values()], sample)
        if index is not None:
            guesses[column] = header[index]
    if len(guesses) == len(missing) and works(guesses):
        others = []
        if "label" in missing:
            rest = [index for index in free if header[index] not in guesses.values()]
            others = [header[index] for index in rest if _may_be_labels([cells[index] for cells in sample])]
        example = ", for example" if len(free) > len(missing) else ""
        option = ",".join(f"{column}={name}" for column, name in guesses.items())
        what = "it" if len(missing) == 1 else "them"
        only = (
            " (label= if all objects are of one class)" if missing == ["label"] and set(columns) & BOX_COLUMNS else ""
        )
        also = f" (others that may be labels: {', '.join(others[:6])})" if others and not only else ""
        command = f"retinue check {shlex.quote(path)} --columns {shlex.quote(option)}"
        return f"name what holds {what}{example}: {command}{only}{also}"
    needed = "file,label" if set(missing) <= {"file", "label"} and "x1" not in columns else ",".join(missing)
    if "file" in missing and sample:
        return f"none of its columns names files that are there; write a table with the columns {needed}"
    if "label" in missing and "label" not in guesses and sample:
        return f"none of its columns has labels that recur; write a table with the columns {needed}"
    return (
        f"add what is missing, or name what holds it with --columns; the first line must name {needed}, "
        "or, for boxes, file,x1,y1,x2,y2,label"
    )


def _guess(column: str, header: Sequence[str], free: Sequence[int], sample: Sequence[Sequence[str]]) -> int | None:
    """Return the index of the column that the user may mean, for the command that a message shows."""
    names = {plain(header[index]): index for index in reversed(free)}
    close = difflib.get_close_matches(column, list(names), 1, SIMILARITY)
    close = close or [
        match
        for synonym in SYNONYMS.get(column, ())
        for match in difflib.get_close_matches(synonym, list(names), 1, SIMILARITY)
    ]
    if close:
        return names[close[0]]
    if column == "file":
        holding = [index for index in free if _holds_files([cells[index] for cells in sample])]
        return next(iter([*holding, *free]), None)
    if column in ("label", "mask"):
        unknown = [index for index in free if not is_known(header[index]) and plain(header[index]) not in OTHER_COLUMNS]
        unknown = [index for index in unknown or free if _may_be_labels([cells[index] for cells in sample])]
        words = [index for index in unknown if not all(_is_number(cells[index]) for cells in sample)]
        return next(reversed(words or unknown), None)
    return None


def _may_be_labels(cells: Sequence[str]) -> bool:
    """Return whether values may be labels: in several lines, these are not all the same, and not all different."""
    different = set(cells) - {""}
    if len(cells) < FEW_LINES:
        return bool(different)
    return 1 < len(different) < len(cells)


def holds_run_lengths(name: str, cells: Sequence[str]) -> bool:
    """Return whether a column holds the starts and lengths of the runs of masks, by its name and its values."""
    key, filled = plain(name), [cell for cell in cells if cell]
    if not filled or not all(map(RUN_LENGTH.fullmatch, filled)):
        return False
    return "rle" in key or key in RUN_LENGTHS or (key in MASKS and all(map(_are_runs, filled)))


def _are_runs(cell: str) -> bool:
    """Return whether numbers are starts and lengths of runs that don't overlap."""
    numbers = [int(number) for number in cell.split()]
    starts, lengths = numbers[::2], numbers[1::2]
    ends = [start + length for start, length in zip(starts, lengths, strict=True)]
    return all(end <= start for end, start in zip(ends, starts[1:], strict=False))


def _holds_files(cells: Sequence[str]) -> bool:
    return bool(cells) and all(looks_like_image(cell) or looks_like_video(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True


def _is_shape(cell: str) -> bool:
    """Return whether a cell only holds numbers, so many that they are coordinates."""
    return bool(ONLY_NUMBERS.fullmatch(cell)) and len(NUMBERS.findall(cell)) >= MIN_COORDINATES


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
