"""The lines of YOLO's label files: `class cx cy width height`, polygons, poses, tracks, in fractions of the image."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from retinue.data.readers.text_file import decode_text, first_lines, is_filled

MAX_FRACTION = 1.5  # above it a number is not a fraction of an image; a box may reach out a little, the check sees it
MIN_POLYGON = 7  # numbers of a line: the class and three points
NUM_SAMPLED_LINES = 5  # of a file, to find out whether it is a label file
NUM_OF_VISDRONE = 8  # numbers in a line of VisDrone
KINDS = ("labels", "commas", "words", "corners of DOTA", "corners", "VisDrone")

Line = tuple[float, ...]  # the numbers of a line, () for an empty line
NOT_NUMBERS: Line = (math.nan,)  # a line that is not numbers


@dataclass(frozen=True)
class LineForm:
    """What the numbers of the lines of a data set mean. The first one is always the class.

    Attributes:
        box_first: Whether the next four are always the box, and what follows is no part of it. Otherwise five numbers
            are a box, and seven or more are a polygon, whose points follow the class.
        num_ignored: The number of numbers behind a polygon: the confidence, and the number of the track.
        lengths: For lines that begin with the box: the numbers of numbers that a line can have; empty for any.
    """

    box_first: bool = False
    num_ignored: int = 0
    lengths: frozenset[int] = frozenset()


def read_label_file(path: str) -> list[Line] | None:
    """Return the lines of a label file, None where there is no such file; `NOT_NUMBERS` if it can't be read."""
    try:
        with open(path, "rb") as file:
            content = file.read()
        return [_parse_line(line) for line in decode_text(content).split("\n")]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError):
        return [NOT_NUMBERS]


def line_problem(line: Line, form: LineForm, label_of: Mapping[int, int]) -> tuple[str, str, str] | None:
    """Return the kind, the reason and the cure of a line that is not an object, else None.

    Args:
        line: The numbers, at least one.
        form: What they mean.
        label_of: The index of the class by its number.
    """
    count = len(line)
    if form.box_first:
        has_length = count in form.lengths if form.lengths else count >= 5
    else:
        points = count - 1 - form.num_ignored
        has_length = count == 5 or (points >= 6 and points % 2 == 0)
    if not has_length or not all(map(math.isfinite, line)):
        reason = "it does not have five numbers"
        if has_length:
            reason = "one of its numbers is not finite"
        elif form.lengths and count > 5:
            reason = f"it has {count} numbers, not {' or '.join(map(str, sorted(form.lengths)))}"
        return "not a box", reason, "write class, center x, center y, width, height"
    if line[0] not in label_of:
        cure = "name it in data.yaml, or correct the number"
        if line[0] == len(label_of) and 0 in label_of:
            cure = "classes are counted from 0; subtract 1 from all numbers if they start at 1, or name it in data.yaml"
        return "unknown class", f"unknown class {line[0]:g}", cure
    largest = max(_shape_numbers(line, form))
    if largest > MAX_FRACTION:
        reason = f"{largest:g} is not a fraction of the image; are these pixels?"
        return "pixels where fractions are expected", reason, "divide by the width and height of the image"
    return None


def corners(line: Line, form: LineForm) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 as fractions of a center and a size or of a polygon."""
    numbers = _shape_numbers(line, form)
    if len(numbers) == 4:
        x, y, width, height = numbers
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])


def outline(line: Line, form: LineForm) -> np.ndarray | None:
    """Return the points of a polygon as fractions of the image, float64 `[k, 2]`; None for a line with a box."""
    numbers = _shape_numbers(line, form)
    return None if len(numbers) == 4 else np.array(numbers, np.float64).reshape(-1, 2)


def has_polygon_line(path: str) -> bool:
    """Return whether one of the first lines of a label file may be a polygon: at least three points behind a class."""
    lines = [_parse_line(line) for line in first_lines(path)[:NUM_SAMPLED_LINES]]
    return any(len(line) >= MIN_POLYGON for line in lines)


def sample_label_file(path: str) -> str:
    """Find out from the first lines of a text file whether it is a label file.

    Returns:
        "labels" for lines of five or more numbers; "empty"; "commas" and "words" for lines that only differ from labels
        by commas between the numbers or by a class name in place of the class number; "corners of DOTA" for eight
        coordinates before a class name; "corners" for four of them before it; "VisDrone" for eight numbers in
        pixels with commas between them; "" for any other file.
    """
    lines = first_lines(path)[:NUM_SAMPLED_LINES]
    if not lines:
        return "" if is_filled(path) else "empty"
    kinds = [_kind_of_line(line) for line in lines]
    kind = max(KINDS, key=kinds.count)
    return kind if kinds.count(kind) * 2 >= len(kinds) else ""


def _shape_numbers(line: Line, form: LineForm) -> Line:
    """Return the numbers of the box or of the polygon."""
    return line[1:5] if form.box_first or len(line) == 5 else line[1 : len(line) - form.num_ignored]


def _parse_line(line: str) -> Line:
    try:
        return tuple(map(float, line.split()))
    except ValueError:
        return NOT_NUMBERS


def _kind_of_line(line: str) -> str:
    words = line.split()
    if _are_numbers(words):
        return "labels" if _look_like_a_label([float(word) for word in words]) else ""
    split_at_commas = line.replace(",", " ").split()
    if line.count(",") >= 4 and _are_numbers(split_at_commas):
        numbers = [float(word) for word in split_at_commas]
        if _look_like_a_label(numbers) and max(numbers[1:5]) <= MAX_FRACTION:
            return "commas"
        return "VisDrone" if len(numbers) == NUM_OF_VISDRONE and min(numbers[4:]) in (-1, 0) else ""
    if len(words) == 5 and _are_numbers(words[1:]):
        return "words"
    if len(words) == 5 and _are_numbers(words[:4]):
        return "corners"
    if len(words) in (9, 10) and _are_numbers(words[:8]) and not _are_numbers(words[8:9]):
        return "corners of DOTA"
    return ""


def _look_like_a_label(numbers: list[float]) -> bool:
    """Return whether the first of five or more numbers can be a class, and the others aren't a row of a table."""
    if len(numbers) < 5 or numbers[0] != int(numbers[0]):
        return False
    return len(numbers) == 5 or 2 * sum(0 <= number <= MAX_FRACTION for number in numbers[1:]) >= len(numbers) - 1


def _are_numbers(words: list[str]) -> bool:
    try:
        return bool(words) and all(math.isfinite(float(word)) for word in words)
    except ValueError:
        return False
