"""The lists of Pascal VOC's ImageSets, which name the images of each split."""

import os
import re
from collections.abc import Collection, Mapping

from retinue.data.storage.file_names import looks_like_image, split_of_name

SPLITS = ("train", "val", "test", "trainval")  # trainval last: it only adds what is in none of the others
FLAGS = ("1", "0", "-1")  # the second column of a list of one class: the class is there, difficult, or not

_NO_LETTER = re.compile("[^a-z]")


def read_split_lists(folder: str, known: Collection[str] = ()) -> dict[str, str]:
    """Return the split of each image that the lists in a folder, such as `ImageSets/Main`, name.

    A line is the name of an image with or without its suffix, which may contain blanks, or the paths of an image and of
    its annotation. In a list of one class, 1, 0 or -1 follows the name.

    Args:
        folder: The folder of `train.txt`, `val.txt`, `test.txt` and `trainval.txt`, each optional.
        known: The names of images, without suffixes. A line is one of them, if it can be.

    Returns:
        {file name without suffix: split}; the split is "" for images that only trainval lists.
    """
    split_of: dict[str, str] = {}
    lists = _lists_in(folder)
    for split in SPLITS:
        if split not in lists:
            continue
        with open(lists[split], encoding="utf-8-sig", errors="replace") as lines:
            for line in lines:
                if line.strip():
                    split_of.setdefault(_stem_of_line(line.strip(), known), "" if split == "trainval" else split)
    return split_of


def _lists_in(folder: str) -> Mapping[str, str]:
    """Return the path of the list of each split."""
    lists: dict[str, str] = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        stem, suffix = os.path.splitext(name)
        letters = _NO_LETTER.sub("", stem.lower().removesuffix("_list"))
        split = letters if letters in SPLITS else split_of_name(stem)
        if suffix.lower() == ".txt" and split:
            lists.setdefault(split, os.path.join(folder, name))
    return lists


def _stem_of_line(line: str, known: Collection[str]) -> str:
    """Return the name of the image of a line, without suffix."""
    candidates = [line, *(line.rsplit(maxsplit=1)[:1] if line.split()[-1] in FLAGS else ()), line.split()[0]]
    stems = [_stem(candidate) for candidate in candidates]
    found = next((stem for stem in stems if stem in known), None)
    if found is not None:
        return found
    return stems[1] if len(stems) == 3 else stems[0] if not _has_paths(line) else stems[-1]


def _stem(name: str) -> str:
    """Return the name of an image without folders and suffix; names may contain dots."""
    base = os.path.basename(name.replace("\\", "/"))
    stem, suffix = os.path.splitext(base)
    return stem if looks_like_image(base) or suffix.lower() == ".xml" else base


def _has_paths(line: str) -> bool:
    """Return whether a line is a path of an image and one of its annotation."""
    parts = line.split()
    return len(parts) == 2 and all(os.path.splitext(part)[1] for part in parts)
