"""What the pixels of masks mean: names and values from a file beside them, or from the masks themselves."""

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.decoding.mask_file import COLOR_FLAG, MAX_CLASSES, color_value, describe_value
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.masks.class_files import (
    ClassFile,
    find_class_files,
    read_class_file,
    refuse_different_files,
)
from retinue.data.readers.masks.content import MAX_VALUES
from retinue.data.readers.masks.known_classes import KnownClasses, is_coco_stuff
from retinue.data.readers.masks.numbered_objects import refuse_numbered_objects
from retinue.data.readers.masks.values import MaskValues, refuse_blurred, sample_values, values_of_masks
from retinue.data.void_label import VOID

ADD_CLASS_FILE = "write one name per line into classes.txt to name them"
NAME_IDS = "write a line 'id name' for each id into classes.txt to name them; an id with the name void is void"
MAX_COLORS = 100  # without a file that names them; more are blurred, or one for each object
SHOWN_COLORS = 8
MIN_AVERAGE_LEVELS = 5  # evenly spaced gray levels of averages; fewer are classes
MAX_AVERAGE_FRACTION = 0.25  # of the pixels of 255; averages have fewer pixels of levels between 0 and 255
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
        known: The classes of a public data set that the names of the files tell. They are used if some masks hold no
            other values.

    Returns:
        The class names, and int64 `[k]` with the value of each class, then those that mean void.

    Raises:
        RetinueError: A file of classes can't be understood or does not fit the masks, no mask can be read, there are
            too many classes, or the masks are blurred.
    """
    paths = find_class_files(folders)
    if paths:
        refuse_different_files(folders[0], paths, masks)
        found = read_class_file(paths[0])
        sample = sample_values(masks)
        if not _names_folders(found, sample, masks, findings):
            return _classes_from_file(source, found, sample, findings, known)
    if known and sample_values(masks) <= known.all_values:
        void = f", and {', '.join(map(str, known.void))} as void" if known.void else ""
        reason = f"the classes are assumed to be the {len(known.names)} of {known.data_set}{void}"
        findings.append(Finding(NOTE, "class names", source, "", reason, ADD_CLASS_FILE))
        return known.names, np.array([*known.values, *known.void], np.int64)
    return _classes_from_values(source, masks, findings)


def _names_folders(found: ClassFile, sample: set[int], masks: Sequence[str], findings: list[Finding]) -> bool:
    """Return whether a file names the folders of the masks, and not their values, as for images of one class each."""
    parts = {part for mask in masks for part in os.path.dirname(mask).split(os.sep)}
    is_named = sum(name in parts for name in found.names) * 2 > len(found.names)
    if not is_named or sample <= found.known_values:
        return False
    reason = "its classes are names of folders, and the masks have other values"
    findings.append(Finding(WARNING, "classes of images", found.path, "", reason, "ignored for the masks"))
    return True


def _classes_from_file(
    source: str, found: ClassFile, sample: set[int], findings: list[Finding], known: KnownClasses | None
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the classes of a file, and their values in the masks.

    Args:
        source: Where the masks were read from, for messages.
        found: What the file says.
        sample: The values of some masks.
        findings: Receives what was assumed.
        known: The data set that the names of the files tell, or None.
    """
    path, values, void = found.path, list(found.values), list(found.void.values())
    if not values:
        raise RetinueError(f"{path}: it names no class, but only {', '.join(found.void)}; add the names of the classes")
    if not found.has_values:
        _refuse_unclear_first_line(found, sample)
    grays = {color_value(value, value, value) for value in sample if value <= VOID}
    has_colors, has_ids = max(values) >= COLOR_FLAG, max(sample, default=COLOR_FLAG) < COLOR_FLAG
    if has_colors and has_ids and not grays <= found.known_values:
        raise RetinueError(
            f"{path}: it gives the colors of classes, but the masks hold ids such as "
            f"{', '.join(map(str, sorted(sample)[:5]))}; write a line 'id name' for each id into classes.txt, or keep "
            "only the masks with these colors in this folder"
        )
    if is_coco_stuff(found.names, found.void) and VOID in sample:
        values, void = [value - 1 for value in values], []
        reason = "it is COCO-Stuff's list, whose masks hold the ids minus 1, and 255 for unlabeled"
        findings.append(Finding(NOTE, "class ids", path, "", reason, "1 is subtracted from each id"))
    elif VOID in sample and sample <= {0, VOID} and VOID not in values + void and max(values) < COLOR_FLAG:
        if values != [0, 1]:
            raise RetinueError(
                f"{path}: the masks only hold 0 and 255, and it names {len(values)} classes, none of which is 255; "
                "write a line '255 name' for the class of 255, and '0 name' for that of 0"
            )
        values = [0, VOID]
        reason = f"the masks only hold 0 and 255: 255 is taken as {found.names[1]}, not as void"
        findings.append(Finding(NOTE, "class ids", path, found.names[1], reason, "write 'id name' lines to change it"))
    for name in found.void:
        reason = f"{name} counts as void: it is neither trained on nor scored"
        findings.append(Finding(NOTE, "void", path, name, reason, "rename it there to make it a class"))
    for value in known.no_label if known else ():
        if value not in values + void and max(values) < COLOR_FLAG:
            void.append(value)
            reason = f"{value} means no label in {known.data_set if known else source}: it counts as void"
            findings.append(Finding(NOTE, "void", path, str(value), reason, f"add '{value} name' to make it a class"))
    return _check_values(path, found.names, values, void)


def _refuse_unclear_first_line(found: ClassFile, sample: set[int]) -> None:
    """Raise RetinueError if void is the first of names without ids, and may be 0 or 255 in the masks."""
    num_names = len(found.names) + len(found.void)
    first = next((name for name, value in found.void.items() if value == 0), None)
    if first is not None and VOID in sample and num_names - 1 not in sample:
        raise RetinueError(
            f"{found.path}: {first} is its first name, so it is 0, but the masks also hold 255; is this {first}, and "
            "does the next name have the id 0? Write 'id name' in each line"
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
    _refuse_gray_levels(source, clear)
    _refuse_averages(source, clear)
    refuse_numbered_objects(source, clear)
    names, values, reason = _classes_from_ids(source, clear)
    action = ADD_CLASS_FILE if len(names) <= 2 else NAME_IDS
    findings.append(Finding(NOTE, "no class names", source, "", reason, action))
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
    if 0 in values:
        reason += "; 0 is taken as a class, the background"
    if has_void:
        reason += "; 255 counts as void"
    elif VOID in unique:
        reason += "; 255 is taken as a class, since the ids are evenly spaced gray levels"
    return ["background" if value == 0 else f"class {value}" for value in values], values, reason


def _refuse_gray_levels(source: str, masks: Sequence[MaskValues]) -> None:
    """Raise RetinueError when most masks hold so many values that they are gray levels, and no ids of classes."""
    gray = [mask for mask in masks if len(mask.counts) > MAX_VALUES and max(mask.counts) <= VOID]
    if len(gray) * 2 > len(masks):
        raise RetinueError(
            f"{source}: {len(gray):,} of its {len(masks):,} masks hold many gray levels, for example {gray[0].path} "
            f"with {len(gray[0].counts):,}: are they alpha mattes, probabilities or depths? Save masks with one value "
            "for each class, for example with a threshold; or, if these are ids, write a line 'id name' for each of "
            "them into classes.txt"
        )


def _refuse_averages(source: str, masks: Sequence[MaskValues]) -> None:
    """Raise RetinueError when masks hold few pixels of evenly spaced levels between 0 and 255: averages."""
    pixels = Counter[int]()
    for mask in masks:
        pixels.update(mask.counts)
    levels = sorted(pixels)
    num_between = pixels.total() - pixels[0] - pixels[VOID]
    is_average = len(levels) >= MIN_AVERAGE_LEVELS and levels[0] == 0 and _is_evenly_spaced(levels)
    if is_average and num_between <= MAX_AVERAGE_FRACTION * pixels[VOID]:
        raise RetinueError(
            f"{source}: its masks hold the levels {', '.join(map(str, levels))}, and only "
            f"{num_between / pixels.total():.1%} of the pixels are between 0 and 255: are they averages of several "
            "annotators, as in CUB-200-2011? Save them with a threshold at 128; or, if these are ids of classes, write "
            "a line 'id name' for each of them into classes.txt"
        )


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
