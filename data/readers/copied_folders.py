"""The same data set twice in one source, as in `archive` and `archive (1)`, or `data` and `data_old`."""

import filecmp
import os
import re
import shlex
from collections.abc import Sequence

from retinue.data.readers.file_tree import FileTree, is_below

NUM_COMPARED = 10  # images of a copy whose contents are compared

# What systems and people append to the name of a copy.
_COPY = re.compile(r"(?:[ _-]+(?:copy|kopie|old|backup|bak)|\s*\(\d+\))+$", re.IGNORECASE)


def describe_copy(tree: FileTree) -> str:
    """Return that a source holds the same data set twice, with the command for each; "" if it does not.

    Two folders are copies if their names tell it, and the images of one of them are in the other one, too.
    """
    beside: dict[tuple[str, str], list[str]] = {}
    for folder in tree.names:
        if folder:
            parent, name = os.path.split(folder)
            beside.setdefault((parent, _COPY.sub("", name)), []).append(folder)
    for folders in beside.values():
        for copy in folders[1:] if len(folders) > 1 else ():
            first = folders[0]
            if _are_copies(tree, first, copy):
                commands = [f"retinue check {shlex.quote(tree.path(folder))}" for folder in (first, copy)]
                return (
                    f"{tree.root}: {first} and {copy} hold the same images, so one seems to be a copy of the other; "
                    f"give one of them: {' or '.join(commands)}"
                )
    return ""


def _are_copies(tree: FileTree, first: str, second: str) -> bool:
    """Return whether all images of one of two folders are in the other one, too; the contents of some are compared."""
    names, others = _images_below(tree, first), _images_below(tree, second)
    smaller = min(names, others, key=len)
    common = sorted(set(names) & set(others))
    if not smaller or len(common) < len(smaller):
        return False
    compared = common[:: max(1, len(common) // NUM_COMPARED)]
    return all(_is_equal(tree.path(first, name), tree.path(second, name)) for name in compared)


def _images_below(tree: FileTree, folder: str) -> Sequence[str]:
    """Return the paths of the images below a folder, relative to it."""
    return [
        os.path.relpath(os.path.join(inner, name), folder)
        for inner, stems in tree.images.items()
        if is_below(inner, folder)
        for name in stems.values()
    ]


def _is_equal(path: str, other: str) -> bool:
    try:
        return filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False
