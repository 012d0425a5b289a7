"""What the pixels of masks mean: names and values from a file beside them, or from the masks themselves."""

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.decoding.mask_file import COLOR_FLAG, MAX_CLASSES, color_value, has_colors, read_mask_values
from retinue.data.finding import NOTE, Finding
from retinue.data.void_label import VOID

CLASS_FILES = (
    *("classes.txt", "class_names.txt", "class_colors.txt", "colors.txt", "label_colors.txt", "labels.txt"),
    *("classes.csv", "class_dict.csv"),
)
VOID_NAMES = ("void", "ignore", "ignored", "unlabelled", "unlabeled", "__ignore__")
VOC_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
ADD_CLASS_FILE = "write one name per line into classes.txt to name them"


def classes_of(
    source: str, folders: Sequence[str], masks: Sequence[str], findings: list[Finding], is_voc: bool = False
) -> tuple[tuple[str, ...], np.ndarray]:
    """Find out the classes of the masks of a source.

    A line of a file of `CLASS_FILES` is a name (its id is the index of the line, from 0), an id and a name, or a name
    and the three numbers of a color, in either order. A name such as "void" is not a class. Without such a file VOC has
    its 21 names, and other masks have the values that they hold: 0 is background, and 255 is void unless the masks hold
    only 0 and 255.

    Args:
        source: Where the masks were read from, for messages.
        folders: The folders in which a file of `CLASS_FILES` is looked for, in this order.
        masks: The paths of the masks.
        findings: Receives what was assumed.
        is_voc: Whether the masks are those of Pascal VOC.

    Returns:
        The class names, and int64 `[k]` with the value of each class, then those that mean void.

    Raises:
        RetinueError: A file of classes can't be understood, no mask can be read, there are too many classes, or masks
            are colored and no file names their classes.
    """
    for path in (os.path.join(folder, name) for folder in folders for name in CLASS_FILES):
        if os.path.isfile(path):
            return _read_class_file(path, findings)
    if is_voc:
        reason = "the classes are assumed to be the 21 of Pascal VOC"
        findings.append(Finding(NOTE, "class names", source, "", reason, ADD_CLASS_FILE))
        return VOC_NAMES, np.arange(len(VOC_NAMES))
    return _classes_from_values(source, masks, findings)


def _read_class_file(path: str, findings: list[Finding]) -> tuple[tuple[str, ...], np.ndarray]:
    with open(path, encoding="utf-8-sig") as lines:
        parsed = [_parse_line(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    entries = [entry for entry in parsed if entry]
    if not entries:
        raise RetinueError(f"{path}: this file names no class; write one name per line")
    with_value = [(name, value) for name, value in entries if value is not None]
    if not with_value:
        # The first line of labelme's file is what is written as 255.
        first_id = -1 if entries[0][0].lower() in VOID_NAMES else 0
        ids = [index if index >= 0 else VOID for index in range(first_id, first_id + len(entries))]
        with_value = [(name, value) for (name, _), value in zip(entries, ids, strict=True)]
    elif len(with_value) < len(entries):
        raise RetinueError(
            f"{path}: some lines have an id or a color and others have none; give one to every line, or to none"
        )
    names: list[str] = []
    values: list[int] = []
    void: list[int] = []
    for name, value in with_value:
        if value in values + void:
            raise RetinueError(f"{path}: {name} has the value of another class; give each class its own")
        if name in names:
            raise RetinueError(f"{path}: the class {name} is there twice; rename one of them")
        if name.lower() in VOID_NAMES:
            void.append(value)
            reason = f"{name} counts as void: it is neither trained on nor scored"
            findings.append(Finding(NOTE, "void", path, name, reason, "rename it there to make it a class"))
        else:
            names.append(name)
            values.append(value)
    return _check_values(path, names, values, void)


def _parse_line(path: str, number: int, line: str) -> tuple[str, int | None] | None:
    """Return the name and the value, if any, of a line, or None for a heading."""
    parts = [part for part in re.split(r"[,;\t]|(?<=\d)[ :]+|[ :]+(?=\d)", line.strip().strip('"')) if part.strip()]
    parts = [part.strip().strip('"') for part in parts]
    numbers = [int(part) for part in parts if re.fullmatch(r"\d+", part)]
    words = [part for part in parts if not re.fullmatch(r"\d+", part)]
    if number == 1 and {word.lower() for word in words} & {"r", "red", "id"}:
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


def _classes_from_values(
    source: str, masks: Sequence[str], findings: list[Finding]
) -> tuple[tuple[str, ...], np.ndarray]:
    if masks and has_colors(masks[0]):
        read_mask_values(masks[0])  # raises the error that tells what colored masks need
    unique: set[int] = set()
    with ThreadPoolExecutor(usable_cores()) as pool:
        for mask in pool.map(_values_in, masks):
            unique.update(mask)
    if not unique:
        raise RetinueError(
            f"{source}: none of its {len(masks):,} masks can be read; run `retinue check` on a few of them"
        )
    values = [0, VOID]
    names = ["background", "foreground"]
    if unique == {0, VOID}:
        reason = "its masks only hold 0 and 255: 255 is taken as the foreground, not as void"
    elif unique - {VOID} == {0, 1}:
        reason = "its masks hold 0 and 1: background and foreground"
        values = [0, 1]
    else:
        values = sorted(unique - {VOID}) or [0]
        names = ["background" if value == 0 else f"class {value}" for value in values]
        first = ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
        reason = f"its masks hold {len(values)} ids: {first}"
    findings.append(Finding(NOTE, "no class names", source, "", reason, ADD_CLASS_FILE))
    return _check_values(source, names, values, [])


def _values_in(path: str) -> list[int]:
    try:
        return np.unique(read_mask_values(path)).tolist()
    except RetinueError:
        return []  # the check reports it


def _check_values(
    source: str, names: Sequence[str], values: list[int], void: list[int]
) -> tuple[tuple[str, ...], np.ndarray]:
    if len(names) > MAX_CLASSES:
        raise RetinueError(
            f"{source}: {len(names):,} classes, but at most {MAX_CLASSES} fit into a mask of 8 bits; are these masks "
            "of objects, each with its own id?"
        )
    kinds = {value >= COLOR_FLAG for value in values + void}
    if len(kinds) > 1:
        raise RetinueError(f"{source}: some classes have ids and others colors; give every class the same")
    return tuple(names), np.array(values + void, np.int64)
