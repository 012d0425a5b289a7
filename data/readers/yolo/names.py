"""The class names of YOLO data: classes.txt, obj.names and the like; Label Studio's notes.json."""

import json
import os
import re
from collections.abc import Iterable, Sequence

import yaml

from retinue.configs.errors import RetinueError
from retinue.data.readers.file_tree import FileTree, is_below
from retinue.data.readers.text_file import first_lines, read_text
from retinue.data.storage.file_names import looks_like_image

ClassNames = dict[int, str]  # by the number that the labels have, in ascending order

NAMES_FILES = ("classes.txt", "_classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
NOTES = "notes.json"  # which Label Studio writes beside classes.txt
_OTHER_NAME = re.compile(r".*(class|names|label|categor).*\.txt|.*\.(names|labels)", re.IGNORECASE)
_NUMBER_BEFORE = re.compile(r"(?P<number>\d+)\s*[\s:=,;.)]\s*(?P<name>\S.*)")
_NUMBER_BEHIND = re.compile(r"(?P<name>\S.*?)\s*[\s:=,;]\s*(?P<number>\d+)")
MAX_CLASSES = 10_000  # a larger number is no class, where nothing names the classes
MAX_LENGTH = 100  # of a class name, in letters; longer lines are prose


def find_names_files(tree: FileTree) -> list[str]:
    """Return the paths of the files in a tree that name classes, relative to its root, the likeliest first.

    A file that has the name of an image is a label file, whatever it is called.
    """
    stems = {stem for names in tree.images.values() for stem in names}
    paths = [
        os.path.join(folder, name)
        for folder, names in tree.names.items()
        for name in names
        if os.path.splitext(name)[0] not in stems and is_names_file(tree.path(folder, name))
    ]
    return sorted(paths, key=lambda path: (_rank(os.path.basename(path)), path.count(os.sep), path))


def is_names_file(path: str) -> bool:
    """Return whether a file has the name and the content of one that names classes."""
    return _names_classes(os.path.basename(path)) and _holds_names(path)


def governing_names_files(paths: Sequence[str], folders: Sequence[str]) -> list[str]:
    """Return those files that name the classes of label files: the likeliest in the nearest folder.

    Args:
        paths: The files, as `find_names_files` returns them.
        folders: Folders with label files and their images, relative to the root of the tree.

    Returns:
        The files in the innermost folder that has one and holds one of `folders`. Without such a folder, all files.
    """
    above = [path for path in paths if any(is_below(folder, os.path.dirname(path)) for folder in folders)]
    depths = [_depth(os.path.dirname(path)) for path in above]
    return [path for path, depth in zip(above, depths, strict=True) if depth == max(depths)] if above else list(paths)


def read_names_file(path: str) -> ClassNames:
    """Read a file that names the classes, or Label Studio's notes.json.

    A line is a name, also with its number before or behind it. All names may be in one line with commas between them,
    or a list or a dict of JSON or Python.

    Raises:
        RetinueError: The file can't be read, is empty, has an empty line before a name, or names a class twice.
    """
    if path.lower().endswith(".json"):
        return _read_notes(path)
    text = read_text(path)
    if text.lstrip()[:1] in ("[", "{"):
        return _read_collection(text, path)
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise RetinueError(f"{path}: this file is empty; write a class name into each line, or remove the file")
    if "" in lines:
        raise RetinueError(
            f"{path} line {lines.index('') + 1}: this line is empty, so the classes below can't be counted; remove it"
        )
    if len(lines) == 1 and "," in lines[0]:
        lines = [name.strip() for name in lines[0].strip(" ,").split(",")]
    return checked_names(dict(enumerate(_without_numbers(lines))), path)


def checked_names(names: ClassNames, path: str) -> ClassNames:
    """Return class names in the order of their numbers.

    Raises:
        RetinueError: Two classes have the same name.
    """
    number_of: dict[str, int] = {}
    for number, name in sorted(names.items()):
        if name in number_of:
            raise RetinueError(
                f"{path}: the classes {number_of[name]} and {number} are both called {name}; give each its own name"
            )
        number_of[name] = number
    return {number: name for name, number in number_of.items()}


def merged_names(paths: list[str]) -> tuple[ClassNames | None, str]:
    """Read the files that name the classes of the same labels.

    labelImg writes classes.txt into each folder, with the classes that it has met so far: a list that begins like
    another one continues it.

    Returns:
        The longest list, None without files, and the file that it comes from.

    Raises:
        RetinueError: A file can't be read, or two of them disagree.
    """
    usual = [path for path in paths if _rank(os.path.basename(path)) == _rank(os.path.basename(paths[0]))]
    read = [(path, read_names_file(path)) for path in usual]
    if not read:
        return None, ""
    longest_path, longest = max(read, key=lambda entry: len(entry[1]))
    for path, names in read:
        number = next((number for number in names if names[number] != longest.get(number)), None)
        if number is not None:
            raise RetinueError(
                f"{path}: class {number} is {names[number]}, but {longest.get(number, 'nothing')} in {longest_path}; "
                "correct or remove one of these files"
            )
    return longest, longest_path


def number_names(numbers: Iterable[float]) -> ClassNames:
    """Return the numbers from 0 to the largest class number as class names, where nothing names the classes.

    Args:
        numbers: The class numbers as they are written. What can't be one is ignored.
    """
    whole = (int(number) for number in set(numbers) if 0 <= number < MAX_CLASSES and number == int(number))
    return {number: str(number) for number in range(max(whole, default=0) + 1)}


def _without_numbers(lines: list[str]) -> list[str]:
    """Return the names of lines that count from 0 before or behind them, or the lines as they are if they don't."""
    for pattern in (_NUMBER_BEFORE, _NUMBER_BEHIND):
        matches = [pattern.fullmatch(line) for line in lines]
        numbers = [match and int(match["number"]) for match in matches]
        names = [match["name"] for match in matches if match]
        if numbers == list(range(len(lines))) and len(set(names)) == len(names):
            return names
    return lines


def _read_collection(text: str, path: str) -> ClassNames:
    """Read a list of names, or a dict from number to name or from name to number."""
    cure = "write a class name into each line"
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)  # it reads JSON and the literals of Python
        entries = dict(enumerate(content)) if isinstance(content, list) else dict(content)
        if not all(str(number).isdecimal() for number in entries):
            entries = {number: name for name, number in entries.items()}
        names = {int(number): name for number, name in entries.items()}
        is_whole = len(names) == len(content) > 0 and all(isinstance(name, str) for name in names.values())
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        is_whole = False
    if not is_whole:
        raise RetinueError(f"{path}: this is neither a name in each line nor a list of names; {cure}")
    return checked_names(names, path)


def _read_notes(path: str) -> ClassNames:
    try:
        categories = json.loads(read_text(path))["categories"]
        return checked_names({int(category["id"]): str(category["name"]) for category in categories}, path)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RetinueError(f"{path}: its categories have no id and name; correct it, or add a classes.txt") from None


def _names_classes(name: str) -> bool:
    return name.lower() in (*NAMES_FILES, NOTES) or bool(_OTHER_NAME.fullmatch(name))


def _rank(name: str) -> int:
    """Return how likely a file of this name names the classes; 0 is the likeliest."""
    if name.lower() in NAMES_FILES or name.lower().endswith(".names"):
        return 0
    return 2 if name.lower() == NOTES else 1


def _holds_names(path: str) -> bool:
    """Return whether a file looks like a list of names; any file with one of the usual names does, to be reported."""
    rank = _rank(os.path.basename(path))
    lines = first_lines(path)
    if rank == 2:
        return any('"categories"' in line for line in lines)
    if rank == 0:
        return True
    return bool(lines) and all(
        len(line) <= MAX_LENGTH and not looks_like_image(line) and not _is_table_row(line) for line in lines
    )


def _is_table_row(line: str) -> bool:
    """Return whether a line has several words of which one is a number, as labels and tables have."""
    words = line.replace(",", " ").split()
    return len(words) > 1 and any(word.replace(".", "", 1).isdigit() for word in words)


def _depth(folder: str) -> int:
    return len(folder.split(os.sep)) if folder else 0
