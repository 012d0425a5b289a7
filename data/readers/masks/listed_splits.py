"""Lists of images such as train.txt and val.txt, or a table with a column of splits, which give a source's splits."""

import csv
import os
import re
from collections.abc import Collection
from dataclasses import dataclass

from retinue.data.readers.file_tree import FileTree
from retinue.data.storage.file_names import IMAGE_SUFFIXES, split_of_name

TABLE_SUFFIXES = (".csv",)
SPLIT_COLUMNS = ("split", "subset", "set", "usage")
LIST_SUFFIXES = (".txt", ".lst")
MAX_BYTES = 50_000_000
ALL_IMAGES = "trainval"  # a list of this name only adds what is in none of the others

_IMAGE_NAME = re.compile(rf"(?:{'|'.join(map(re.escape, IMAGE_SUFFIXES))})\b", re.IGNORECASE)
_SEPARATOR = re.compile(r"[\t,;]|\s+(?=\S*[/\\])|(?<=\.png)\s+|(?<=\.jpg)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class SplitLists:
    """What the lists of a source say.

    Attributes:
        split_of: The split of each listed image, by its name without folder and suffix; "" for one that only a list of
            all images names.
        paths: The paths of the lists.
        text: The beginning of the first list.
    """

    split_of: dict[str, str]
    paths: tuple[str, ...] = ()
    text: str = ""

    @property
    def rest_is_train(self) -> bool:
        """Whether images in none of the lists are the training set, since there is no list of it."""
        return bool(self.split_of) and not {"train", ""} & set(self.split_of.values())


def read_split_lists_of(tree: FileTree, stems: Collection[str]) -> SplitLists:
    """Return the splits of the lists that name images of a source.

    A line begins with the name or the path of an image, of any machine, with or without suffix; the rest of the line,
    such as the path of the mask, is ignored. A file is a list if most of its lines name images that are there, or some
    do and its lines are names of image files. Lists in a folder Segmentation, as of Pascal VOC's ImageSets, win over
    others.

    Args:
        tree: The files of the source.
        stems: The names of the images without suffix.
    """
    stems = set(stems)
    lists = list[tuple[str, str, dict[str, None]]]()  # path, split, stems
    text = ""
    for folder, name in tree.files(LIST_SUFFIXES):
        stem = os.path.splitext(name)[0]
        split = split_of_name(stem)
        if not split and stem.lower() != ALL_IMAGES:
            continue
        path = tree.path(folder, name)
        content = _read(path)
        listed = {_stem_of_line(line, stems): None for line in content.splitlines() if line.strip()}
        num_found = sum(stem in stems for stem in listed)
        names_images = bool(_IMAGE_NAME.search(content.partition("\n")[0]))
        if num_found * 2 > len(listed) or (num_found and names_images):
            lists.append((path, split, listed))
            text = text or content[:2000]
    for folder, name in tree.files(TABLE_SUFFIXES):
        lists += [(tree.path(folder, name), split, listed) for split, listed in _read_table(tree, folder, name, stems)]
    of_segmentation = [entry for entry in lists if os.path.basename(os.path.dirname(entry[0])) == "Segmentation"]
    lists = of_segmentation or lists
    split_of: dict[str, str] = {}
    for _, split, listed in sorted(lists, key=lambda entry: not entry[1]):
        for stem in listed:
            split_of.setdefault(stem, split)
    return SplitLists(split_of, tuple(path for path, _, _ in lists), text)


def _read_table(tree: FileTree, folder: str, name: str, stems: Collection[str]) -> list[tuple[str, dict[str, None]]]:
    """Return each split and its images of a table whose first column names images and which has a column of splits."""
    lines = _read(tree.path(folder, name)).splitlines()
    header = [column.strip().lower() for column in lines[0].split(",")] if lines else []
    index = next((header.index(column) for column in SPLIT_COLUMNS if column in header[1:]), None)
    if index is None:
        return []
    try:
        rows = [row for row in csv.reader(lines[1:]) if len(row) > index]
    except csv.Error:
        return []
    listed: dict[str, dict[str, None]] = {}
    for row in rows:
        split = split_of_name(row[index])
        if split and row[0].strip():
            listed.setdefault(split, {})[_stem_of_line(row[0], stems)] = None
    num_found = sum(stem in stems for names in listed.values() for stem in names)
    return list(listed.items()) if num_found * 2 > len(rows) else []


def _read(path: str) -> str:
    try:
        if os.path.getsize(path) > MAX_BYTES:
            return ""
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _stem_of_line(line: str, stems: Collection[str]) -> str:
    """Return the name, without folder and suffix, of the image that a line begins with."""
    line = line.strip().strip('"')
    for text in (line, _SEPARATOR.split(line)[0], line.split()[0]):
        name = re.split(r"[/\\]", text.strip().strip('"'))[-1]
        stem, suffix = os.path.splitext(name)
        stem = stem if suffix.lower() in IMAGE_SUFFIXES else name
        if stem in stems:
            return stem
    return stem
