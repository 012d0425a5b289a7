"""Files that name the classes of masks, with their ids or colors."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from retinue.configs.errors import RetinueError
from retinue.data.decoding.mask_file import COLOR_FLAG, color_value
from retinue.data.readers.folders import files_in
from retinue.data.void_label import VOID

CLASS_FILES = (
    *("classes.txt", "class_names.txt", "class_colors.txt", "colors.txt", "label_colors.txt", "labels.txt"),
    *("classes.csv", "class_dict.csv", "_classes.csv", "labelmap.txt", "label_names.txt", "codes.txt"),
    *("objectinfo150.txt", "object150_info.csv"),  # ADE20K
)
HEADING_WORDS = ("r", "red", "id", "pixel value", "value", "index")  # in the first line of a file of classes
# Names of what is not a class, without blanks, hyphens and underscores.
VOID_NAMES = (
    *("void", "ignore", "ignored", "unlabelled", "unlabeled", "notlabeled", "nolabel", "nodata", "unknown"),
    *("unannotated", "notannotated", "dontcare"),
)
# The columns of a table of classes with more columns than these.
NAME_COLUMNS = ("name", "class_name", "class name", "label_name", "class")
ID_COLUMNS = ("id", "idx", "index", "pixel value", "pixel_value", "value", "class_id", "label_id")
COLOR_COLUMNS = (("r", "g", "b"), ("red", "green", "blue"))
LABELME_VOID = "__ignore__"  # the first line of labelme's file, which is written as 255
MAX_COLOR_FILE_BYTES = 100_000
_CVAT_LINE = re.compile(r"^([^:]*:\d+,\d+,\d+):.*$")  # name, color, then parts and actions

_ID_LINE = re.compile(r"^\s*(\d+)\s*:\s*([^\W\d].*)$")  # an id and a name, which may hold numbers, such as 2: lane 1


@dataclass
class ClassFile:
    """What a file says about the classes of masks.

    Attributes:
        path: The file.
        names: The class names.
        values: The pixel value of each class.
        void: The pixel value of each name that means void, by name.
        has_values: Whether the file gives ids or colors; otherwise they are the indices of the lines.
    """

    path: str
    names: list[str]
    values: list[int]
    void: dict[str, int]
    has_values: bool

    @property
    def known_values(self) -> set[int]:
        """All pixel values that it names, and 255."""
        return {*self.values, *self.void.values(), VOID}


def find_class_files(folders: Sequence[str]) -> list[str]:
    """Return the files of classes in folders, else one of any name whose lines all are names with colors."""
    found = []
    for folder in folders:
        name_of = {name.lower(): name for name in files_in(folder)} if os.path.isdir(folder) else {}
        found += [os.path.join(folder, name_of[name]) for name in CLASS_FILES if name in name_of]
    return found or _color_files(folders)


def _is_void_name(name: str) -> bool:
    """Return whether a name says that pixels have no class."""
    return re.sub("[ _-]", "", name.lower()) in VOID_NAMES


def refuse_different_files(root: str, paths: Sequence[str], masks: Sequence[str]) -> None:
    """Raise RetinueError when files of one name in several folders give other classes, or only for some of the masks.

    Args:
        root: The folder whose file of classes holds for all masks.
        paths: The files of classes that were found. The first one is read.
        masks: The paths of the masks.
    """
    first = _read_text(paths[0])
    for path in paths[1:]:
        if os.path.basename(path) == os.path.basename(paths[0]) and _read_text(path) != first:
            raise RetinueError(
                f"{path}: its classes are not those of {paths[0]}; export the masks with one list of labels, and write "
                "it into classes.txt"
            )

    same_name = [path for path in paths if os.path.basename(path) == os.path.basename(paths[0])]
    folders = tuple(os.path.join(os.path.dirname(path), "") for path in same_name)
    others = [mask for mask in masks if not mask.startswith(folders)]
    if os.path.dirname(paths[0]) != root and 0 < len(others) < len(masks):
        raise RetinueError(
            f"{paths[0]}: it names the classes of {len(masks) - len(others):,} masks, and {len(others):,} are "
            f"elsewhere, the first is {others[0]}; are these several data sets? Give one of them, or move the file up "
            "if it holds for all masks"
        )


def read_class_file(path: str) -> ClassFile:
    """Read a file of classes.

    Raises:
        RetinueError: A line can't be understood, or two classes have one value or one name.
    """
    entries = _parse_file(path)
    if not entries:
        raise RetinueError(f"{path}: this file names no class; write one name per line")
    with_value = [(name, value) for name, value in entries if value is not None]
    if with_value and len(with_value) < len(entries):
        raise RetinueError(
            f"{path}: some lines have an id or a color and others have none; give one to every line, or to none"
        )
    has_values = bool(with_value)
    if not has_values:
        first_id = -1 if entries[0][0] == LABELME_VOID else 0
        ids = [index if index >= 0 else VOID for index in range(first_id, first_id + len(entries))]
        with_value = [(name, value) for (name, _), value in zip(entries, ids, strict=True)]
    found = ClassFile(path, [], [], {}, has_values)
    for name, value in with_value:
        if value in found.values or value in found.void.values():
            raise RetinueError(f"{path}: {name} has the value of another class; give each class its own")
        if name in found.names or name in found.void:
            raise RetinueError(f"{path}: the class {name} is there twice; rename one of them")
        if _is_void_name(name):
            found.void[name] = value
        else:
            found.names.append(name)
            found.values.append(value)
    return found


def _color_files(folders: Sequence[str]) -> list[str]:
    """Return the first file of any name whose lines all are names with colors, each once."""
    for folder in folders:
        for name in files_in(folder) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            if name.lower().endswith((".txt", ".csv")) and os.path.getsize(path) <= MAX_COLOR_FILE_BYTES:
                try:
                    found = read_class_file(path)
                except (RetinueError, OSError, UnicodeDecodeError):
                    continue
                values = [*found.values, *found.void.values()]
                if len(values) > 1 and all(value >= COLOR_FLAG for value in values):
                    return [path]
    return []


def _read_text(path: str) -> str:
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        return file.read()


def _parse_file(path: str) -> list[tuple[str, int | None]]:
    lines = [(number, line) for number, line in enumerate(_read_text(path).splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not line.startswith("#")]
    columns = _columns_of(lines[0][1]) if lines else None
    if columns:
        return [_parse_row(path, number, line, columns) for number, line in lines[1:]]
    parsed = [_parse_line(path, number, line) for number, line in lines]
    return [entry for entry in parsed if entry]


def _split_row(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split("\t" if "\t" in line else ",")]


def _columns_of(heading: str) -> tuple[int, ...] | None:
    """Return the columns of the name and of the id or the color, if a table has these and others."""
    cells = [cell.lower() for cell in _split_row(heading)]
    name = next((cells.index(column) for column in NAME_COLUMNS if column in cells), None)
    if name is None:
        return None
    color = next((colors for colors in COLOR_COLUMNS if set(colors) <= set(cells)), None)
    if color:
        return (name, *map(cells.index, color)) if len(cells) > 4 else None
    index = next((cells.index(column) for column in ID_COLUMNS if column in cells), None)
    return (name, index) if index is not None and len(cells) > 2 else None


def _parse_row(path: str, number: int, line: str, columns: tuple[int, ...]) -> tuple[str, int | None]:
    """Return the name and the value of a row of a table of classes."""
    cells = _split_row(line)
    try:
        values = [int(cells[column]) for column in columns[1:]]
        name = cells[columns[0]]
    except (IndexError, ValueError):
        raise RetinueError(f"{path} line {number}: {line.strip()!r} has no id or color; correct it") from None
    if not name:
        raise RetinueError(f"{path} line {number}: {line.strip()!r} has no name; correct it")
    return name, values[0] if len(values) == 1 else color_value(*values)


def _parse_line(path: str, number: int, line: str) -> tuple[str, int | None] | None:
    """Return the name and the value, if any, of a line, or None for a heading."""
    if match := _ID_LINE.match(line):
        return match[2].strip(), int(match[1])
    line = _CVAT_LINE.sub(r"\1", line)
    parts = [part for part in re.split(r"[,;\t]|(?<=\d)[ :]+|[ :]+(?=\d)", line.strip().strip('"')) if part.strip()]
    parts = [part.strip().strip('"') for part in parts]
    numbers = [int(part) for part in parts if re.fullmatch(r"\d+", part)]
    words = [part for part in parts if not re.fullmatch(r"\d+", part)]
    if number == 1 and {word.lower() for word in words} & set(HEADING_WORDS):
        return None
    if len(words) == 1 and len(numbers) == 3 and max(numbers) <= 255:
        return words[0], color_value(*numbers)
    if len(words) == 1 and len(numbers) == 1:
        return words[0], numbers[0]
    if not numbers and words:
        return line.strip(), None
    raise RetinueError(
        f"{path} line {number}: {line.strip()!r} is neither a name, nor an id and a name, nor a name with a color; "
        "correct it"
    )
