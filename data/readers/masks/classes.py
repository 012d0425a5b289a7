"""What the pixels of masks mean: names and values from a file beside them, or from the masks themselves."""

import os
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.decoding.mask_file import COLOR_FLAG, MAX_CLASSES, color_value, describe_value
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.folders import files_in
from retinue.data.readers.masks.known_classes import KnownClasses
from retinue.data.readers.masks.values import MaskValues, refuse_blurred, values_of_masks
from retinue.data.void_label import VOID

CLASS_FILES = (
    *("classes.txt", "class_names.txt", "class_colors.txt", "colors.txt", "label_colors.txt", "labels.txt"),
    *("classes.csv", "class_dict.csv", "_classes.csv", "labelmap.txt", "label_names.txt", "codes.txt"),
)
HEADING_WORDS = ("r", "red", "id", "pixel value", "value", "index")  # in the first line of a file of classes
VOID_NAMES = ("void", "ignore", "ignored", "unlabelled", "unlabeled", "__ignore__")
ADD_CLASS_FILE = "write one name per line into classes.txt to name them"
MAX_COLORS = 100  # without a file that names them; more are blurred, or one for each object
MAX_COLOR_FILE_BYTES = 100_000
SHOWN_COLORS = 8
_CVAT_LINE = re.compile(r"^([^:]*:\d+,\d+,\d+):.*$")  # name, color, then parts and actions
EVEN_STEP = 20  # ids up to 255 that are evenly spaced by at least so much are gray levels of classes


def classes_of(
    source: str,
    folders: Sequence[str],
    masks: Sequence[str],
    findings: list[Finding],
    known: KnownClasses | None = None,
) -> tuple[tuple[str, ...], np.ndarray]:
    """Find out the classes of the masks of a source.

    A line of a file of `CLASS_FILES` is a name (its id is the index of the line, from 0), an id and a name, or a name
    and the three numbers of a color, in either order. A file of any name whose lines all are names with colors is read
    as well. A name such as "void" is not a class. Without such a file a known data set has its names, and other masks
    have the values that they hold: 0 is background, and 255 is void unless it is clearly an object; colors are named by
    their hexadecimal digits.

    Args:
        source: Where the masks were read from, for messages.
        folders: The folders in which a file of classes is looked for, in this order.
        masks: The paths of the masks.
        findings: Receives what was assumed.
        known: The classes of a public data set that the names of the files tell.

    Returns:
        The class names, and int64 `[k]` with the value of each class, then those that mean void.

    Raises:
        RetinueError: A file of classes can't be understood, no mask can be read, there are too many classes, or the
            masks are blurred.
    """
    paths = [os.path.join(folder, name) for folder in folders for name in CLASS_FILES]
    paths = [path for path in paths if os.path.isfile(path)] or _color_files(folders)
    if paths:
        _refuse_different_files(folders[0], paths, masks)
        return _read_class_file(paths[0], findings)
    if known:
        void = f", and {', '.join(map(str, known.void))} as void" if known.void else ""
        reason = f"the classes are assumed to be the {len(known.names)} of {known.data_set}{void}"
        findings.append(Finding(NOTE, "class names", source, "", reason, ADD_CLASS_FILE))
        return known.names, np.array([*known.values, *known.void], np.int64)
    return _classes_from_values(source, masks, findings)


def _color_files(folders: Sequence[str]) -> list[str]:
    """Return the files of any name whose lines all are names with colors."""
    found = []
    for folder in folders:
        for name in files_in(folder) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            if name.lower().endswith((".txt", ".csv")) and os.path.getsize(path) <= MAX_COLOR_FILE_BYTES:
                try:
                    entries = _parse_file(path)
                except (RetinueError, OSError, UnicodeDecodeError):
                    continue
                if len(entries) > 1 and all(value is not None and value >= COLOR_FLAG for _, value in entries):
                    found.append(path)
    return found[:1]


def _refuse_different_files(root: str, paths: Sequence[str], masks: Sequence[str]) -> None:
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


def _read_text(path: str) -> str:
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        return file.read()


def _parse_file(path: str) -> list[tuple[str, int | None]]:
    lines = [(number, line) for number, line in enumerate(_read_text(path).splitlines(), 1) if line.strip()]
    parsed = [_parse_line(path, number, line) for number, line in lines if not line.startswith("#")]
    return [entry for entry in parsed if entry]


def _read_class_file(path: str, findings: list[Finding]) -> tuple[tuple[str, ...], np.ndarray]:
    entries = _parse_file(path)
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


def _classes_from_values(
    source: str, masks: Sequence[str], findings: list[Finding]
) -> tuple[tuple[str, ...], np.ndarray]:
    found = values_of_masks(masks)
    if not found:
        raise RetinueError(
            f"{source}: none of its {len(masks):,} masks can be read; run `retinue check` on a few of them"
        )
    refuse_blurred(source, found)
    clear = [mask for mask in found if not mask.odd and not mask.is_jpeg]
    if any(mask.is_colored for mask in clear):
        return _classes_from_colors(source, clear, findings)
    names, values, reason = _classes_from_ids(source, clear)
    findings.append(Finding(NOTE, "no class names", source, "", reason, ADD_CLASS_FILE))
    return _check_values(source, names, values, [])


def _classes_from_ids(source: str, masks: Sequence[MaskValues]) -> tuple[list[str], list[int], str]:
    """Return names and values of the classes, and what was assumed."""
    unique = set[int]().union(*(mask.counts for mask in masks))
    if unique == {0, VOID}:
        reason = "its masks only hold 0 and 255: 255 is taken as the foreground, not as void"
        return ["background", "foreground"], [0, VOID], reason
    has_void = VOID in unique and not _is_evenly_spaced(sorted(unique))
    if has_void:
        _refuse_unlike_objects(source, masks)
    if unique - {VOID} == {0, 1} and (has_void or VOID not in unique):
        return ["background", "foreground"], [0, 1], "its masks hold 0 and 1: background and foreground"
    values = sorted(unique - {VOID} if has_void else unique) or [0]
    first = ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
    reason = f"its masks hold {len(values)} ids: {first}"
    if has_void:
        reason += "; 255 counts as void"
    elif VOID in unique:
        reason += "; 255 is taken as a class, since the ids are evenly spaced gray levels"
    return ["background" if value == 0 else f"class {value}" for value in values], values, reason


def _is_evenly_spaced(values: Sequence[int]) -> bool:
    """Return whether ids up to 255 are gray levels that were spread evenly, such as 0, 127 and 255."""
    steps = np.diff(values)
    return len(values) > 2 and values[-1] == VOID and steps.min() >= EVEN_STEP and steps.max() - steps.min() <= 2


def _refuse_unlike_objects(source: str, masks: Sequence[MaskValues]) -> None:
    """Raise RetinueError when some masks have objects of the value 255 and others of other values."""
    only_255 = [mask for mask in masks if set(mask.counts) == {0, VOID}]
    others = [mask for mask in masks if set(mask.counts) - {0, VOID}]
    if only_255 and others and not any(VOID in mask.counts for mask in others):
        example = sorted(set(others[0].counts) - {0})[0]
        raise RetinueError(
            f"{source}: {len(only_255):,} of its masks hold only 0 and 255, as {only_255[0].path}, and "
            f"{len(others):,} hold other ids without 255, as {others[0].path} with {example}, so it is unclear whether "
            "255 is an object or void; write all masks with the same values, or name the classes in classes.txt, one "
            "'id name' per line"
        )


def _classes_from_colors(
    source: str, masks: Sequence[MaskValues], findings: list[Finding]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return a class for each color. Gray levels in files without colors count as colors, too."""
    pixels = Counter[int]()
    for mask in masks:
        for value, count in mask.counts.items():
            pixels[value if mask.is_colored else color_value(*[min(value, 255)] * 3)] += count
    total = pixels.total()
    shown = [f"{describe_value(value)} ({count / total:.1%})" for value, count in pixels.most_common(SHOWN_COLORS)]
    text = ", ".join(shown) + (", ..." if len(pixels) > SHOWN_COLORS else "")
    if len(pixels) > MAX_COLORS:
        raise RetinueError(
            f"{source}: its masks hold {len(pixels):,} colors and no file names them: {text}. They are blurred, or "
            "each object has its own color; export masks with one color for each class as PNG, or name the colors in "
            "class_colors.txt with a line 'name red green blue' for each class"
        )
    values = sorted(pixels)
    names = [f"#{value - COLOR_FLAG:06x}" for value in values]
    reason = f"its masks hold {len(values)} colors, each of which is a class named by its hexadecimal digits: {text}"
    action = "name them in class_colors.txt with a line 'name red green blue' for each class"
    findings.append(Finding(NOTE, "no class names", source, "", reason, action))
    return _check_values(source, names, values, [])


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
