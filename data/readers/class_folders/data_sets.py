"""Folders that hold data sets, copies, folds, domains or parts of a collection are no classes: how they are recognized.

Such folders hold folders of their own. Where these are numbered, they are taken for the patients or objects of a class.
"""

import os
import re
import shlex
from collections import Counter
from collections.abc import Collection, Sequence

from retinue.data.readers.class_folders.layout import ClassLayout, filled_classes, is_collection, layout_path
from retinue.data.readers.file_tree import FileTree
from retinue.data.storage.file_names import split_of_name

DIRECT = 0.1  # of the images may lie in the folders themselves
MOST = 0.8  # of the names of folders are numbered alike
ID_DIGITS = 0.3  # of the letters and digits of an id are digits
MAX_NAMED = 4

_DIGITS = re.compile(r"\d+")
_PART = re.compile(
    r"part|fold|batch|chunk|shard|set|images?|imgs?|data|frames?|page|scan|videos?|clips?|seq|sequences?"
)


def problem_with_data_sets(tree: FileTree, layout: ClassLayout) -> str:
    """Return why the folders seem to be data sets, copies, domains or folds instead of classes, or ""."""
    folders = filled_classes(layout)
    copy = _copy_of_siblings(tree, layout)
    if copy:
        return (
            f"{layout_path(tree, layout)}: {os.path.basename(copy)} holds folders of the same names as those beside "
            "it, so it seems to be a copy of the data, or the data of another domain, instead of a class. Move it "
            f"away, or give it: {_commands(tree, [copy])}"
        )
    direct = sum(len(layout.images.get(folder, ())) for folder in folders)
    if len(folders) < 2 or direct > DIRECT * sum(layout.below[folder] for folder in folders):
        return ""
    path = layout_path(tree, layout)
    inner = {folder: names for folder in folders if (names := _names_inside(tree, layout, folder))}
    counts = Counter(name for names in inner.values() for name in names)
    common = [name for name, count in sorted(counts.items()) if count * 2 > len(folders)]
    found = _listing(folders)
    if len(common) > 1:
        return (
            f"{path}: {found} hold the same folders ({', '.join(common[:3])}{', ...' if len(common) > 3 else ''}), so "
            "they seem to be splits, copies, domains or patients instead of classes. Rename them to train, val and "
            f"test if they are splits, or {_one_of_them(tree, layout, folders)}. To use all, list the images in a CSV "
            "with the columns file,label"
        )
    several = [folder for folder, names in inner.items() if len(names) > 1]
    if len(several) < 2 or len(several) * 2 < len(folders) or all(_are_ids(inner[folder]) for folder in several):
        return ""
    shown = " and ".join(f"{os.path.basename(folder)} ({_listing(sorted(inner[folder]))})" for folder in several[:2])
    return (
        f"{path}: its folders hold folders of other names, as {shown}, so it is not clear which of them are the "
        f"classes. If they are several data sets, {_one_of_them(tree, layout, several)}. To use all, list the images "
        "in a CSV with the columns file,label"
    )


def problem_with_parts(path: str, folders: Sequence[str]) -> str:
    """Return why folders in `path` seem to be numbered parts, as images_part_1 and images_part_2, or ""."""
    names = sorted({os.path.basename(folder) for folder in folders})
    if len(names) < 2 or len({_DIGITS.sub("", name.lower()) for name in names}) > 1:
        return ""
    if not _PART.search(names[0].lower()):
        return ""
    return (
        f"{path}: {names[0]} and {names[1]} seem to be parts of one collection instead of "
        "classes; give each class a folder of its own, or list the images in a CSV with the columns file,label"
    )


def _names_inside(tree: FileTree, layout: ClassLayout, folder: str) -> set[str]:
    """Return the names of the folders that could be classes in a folder: of splits and wrappers, those inside them."""
    inner = [name for name in tree.subfolders(folder) if layout.below[name]]
    if len(inner) == 1 and folder not in layout.images and tree.subfolders(inner[0]):
        return _names_inside(tree, layout, inner[0])
    names = set[str]()
    for name in inner:
        base = os.path.basename(name)
        names |= _names_inside(tree, layout, name) if split_of_name(base) or is_collection(base) else {base}
    return names


def _copy_of_siblings(tree: FileTree, layout: ClassLayout) -> str:
    """Return the folder that holds folders of the same names as those beside it, or ""."""
    beside: dict[str, set[str]] = {parent: set() for parent in layout.parents.values()}
    for folder in filled_classes(layout):
        beside[os.path.dirname(folder)].add(os.path.basename(folder))
    for folder in filled_classes(layout):
        common = _names_inside(tree, layout, folder) & (beside[os.path.dirname(folder)] - {os.path.basename(folder)})
        if len(common) > 1 or (common and len(common) == len(beside[os.path.dirname(folder)]) - 1):
            return folder
    return ""


def _are_ids(names: Collection[str]) -> bool:
    """Return whether names are those of patients or objects: they differ in numbers, or mostly consist of digits."""
    patterns = Counter(_DIGITS.sub("#", name) for name in names)
    pattern, count = patterns.most_common(1)[0]
    if "#" in pattern and count >= MOST * len(names):
        return True
    return sum(_is_id(name) for name in names) >= MOST * len(names)


def _is_id(name: str) -> bool:
    letters = sum(letter.isalnum() for letter in name)
    return sum(map(len, _DIGITS.findall(name))) >= ID_DIGITS * letters > 0


def _one_of_them(tree: FileTree, layout: ClassLayout, folders: Sequence[str]) -> str:
    if len(layout.parents) > 1:
        return "move each of them into a folder of its own, with its part of each split"
    return f"give one of them: {_commands(tree, folders)}"


def _commands(tree: FileTree, folders: Sequence[str]) -> str:
    """Return the command for each of the first folders."""
    commands = [f"retinue check {shlex.quote(tree.path(folder))}" for folder in folders[:MAX_NAMED]]
    return " or ".join(commands) + (" or another" if len(folders) > MAX_NAMED else "")


def _listing(folders: Sequence[str]) -> str:
    names = list(dict.fromkeys(os.path.basename(folder) for folder in folders))
    return " and ".join(names) if len(names) < 3 else f"{names[0]}, {names[1]} and others"
