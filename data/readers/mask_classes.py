"""What the pixels of masks mean: names and values from a file beside them, or from the masks themselves."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.decoding.mask_file import COLOR, MOST_CLASSES, color_value, has_colors, mask_values
from retinue.data.finding import NOTE, Finding
from retinue.data.void_label import VOID

FILES = (
    *("classes.txt", "class_names.txt", "class_colors.txt", "colors.txt", "label_colors.txt", "labels.txt"),
    *("classes.csv", "class_dict.csv"),
)
VOID_NAMES = ("void", "ignore", "ignored", "unlabelled", "unlabeled", "__ignore__")
VOC_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def classes_of(source, folders, masks, findings, is_voc=False):
    """(names, values int64 `[k]` of them and then of void) of the masks of a source.

    folders: where a file of `FILES` is looked for, in order. masks: paths. findings: gets what was taken for granted.
    A line of such a file is a name (its id is its place, from 0), an id and a name, or a name and three numbers of a
    colour, in either order; a name as "void" is no class. Without a file VOC has its 21 names, and other masks the
    values that they hold: 0 is background, and 255 is void unless the masks hold nothing but 0 and 255.
    Raises RetinueError for a file that can't be understood, and for coloured masks without one.
    """
    for path in (os.path.join(folder, name) for folder in folders for name in FILES):
        if os.path.isfile(path):
            return _from_file(path, findings)
    if is_voc:
        reason = "the classes are taken to be the 21 of Pascal VOC"
        findings.append(Finding(NOTE, "class names", source, "", reason, "write a name a line into classes.txt"))
        return VOC_NAMES, np.arange(len(VOC_NAMES))
    return _from_masks(source, masks, findings)


def _from_file(path, findings):
    with open(path, encoding="utf-8-sig") as lines:
        parsed = [_parse(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    parsed = [entry for entry in parsed if entry]
    given = [value for _, value in parsed]
    if not parsed:
        raise RetinueError(f"{path}: names no class; write a name a line")
    if any(value is None for value in given):
        if any(value is not None for value in given):
            raise RetinueError(f"{path}: some lines have an id or a colour and others have not; give all one, or none")
        first = VOID if parsed[0][0].lower() in VOID_NAMES else 0  # labelme's first line, for what is written as 255
        parsed = [(name, place - (first == VOID)) for place, (name, _) in enumerate(parsed)]
        parsed = [(name, VOID if value < 0 else value) for name, value in parsed]
    names, values, void = [], [], []
    for name, value in parsed:
        if value in values + void:
            raise RetinueError(f"{path}: {name} has the value of another class; give each its own")
        if name in names:
            raise RetinueError(f"{path}: the class {name} is there twice; rename one")
        if name.lower() in VOID_NAMES:
            void.append(value)
            reason = f"{name} counts as void: it is neither learnt nor scored"
            findings.append(Finding(NOTE, "void", path, name, reason, "rename it there to make it a class"))
        else:
            names.append(name)
            values.append(value)
    return _checked(path, names, values, void)


def _parse(path, number, line):
    """(name, value or None) of a line, or None for a heading."""
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
        f"{path} line {number}: {line.strip()!r} is no name, no id and name, and no name with a colour; correct it"
    )


def _from_masks(source, masks, findings):
    if masks and has_colors(masks[0]):
        mask_values(masks[0])  # raises, and says what is needed
    found = set()
    with ThreadPoolExecutor(usable_cores()) as pool:
        for values in pool.map(_values_in, masks):
            found.update(values)
    if not found:
        raise RetinueError(f"{source}: none of its {len(masks):,} masks can be read; run the check on a few of them")
    if found == {0, VOID}:
        reason = "its masks hold 0 and 255 alone: 255 is taken as the foreground, not as void"
        names, values = ["background", "foreground"], [0, VOID]
    elif found - {VOID} == {0, 1}:
        reason = "its masks hold 0 and 1: background and foreground"
        names, values = ["background", "foreground"], [0, 1]
    else:
        values = sorted(found - {VOID}) or [0]
        names = ["background" if value == 0 else f"class {value}" for value in values]
        reason = f"its masks hold {len(values)} ids: {', '.join(map(str, values[:12]))}" + (
            ", ..." if len(values) > 12 else ""
        )
    findings.append(Finding(NOTE, "no class names", source, "", reason, "write a name a line into classes.txt"))
    return _checked(source, names, values, [])


def _values_in(path):
    try:
        return np.unique(mask_values(path)).tolist()
    except RetinueError:
        return ()  # the check names it


def _checked(source, names, values, void):
    if len(names) > MOST_CLASSES:
        raise RetinueError(
            f"{source}: {len(names):,} classes, but at most {MOST_CLASSES} fit into a mask of 8 bits; are these masks "
            "of objects, each with its own id?"
        )
    kinds = {value >= COLOR for value in values + void}
    if len(kinds) > 1:
        raise RetinueError(f"{source}: some classes have ids and others colours; give all the same")
    return tuple(names), np.array(values + void, np.int64)
