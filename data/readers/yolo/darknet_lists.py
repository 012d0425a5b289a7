"""Darknet's lists: text files with the path of an image a line, and the .data file that names them."""

import os
from collections import Counter
from dataclasses import dataclass

from retinue.configs.errors import RetinueError
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.text_file import first_lines, read_text
from retinue.data.readers.yolo.image_by_path import ImageByPath, count_images, path_parts
from retinue.data.storage.file_names import looks_like_image, split_in_words, split_of_name

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ImageLists:
    """The lists of a source.

    Attributes:
        split_of: The split of each listed image, by its path.
        names_file: The file of class names that the .data file gives, or "".
        findings: What the lists name and is not there.
    """

    split_of: dict[str, str]
    names_file: str
    findings: list[Finding]


def is_image_list(path: str) -> bool:
    """Return whether a text file has the path of an image in each of its first lines, and nothing else."""
    lines = first_lines(path)
    return path.lower().endswith(".txt") and bool(lines) and all(looks_like_image(line) for line in lines)


def is_data_file(path: str) -> bool:
    """Return whether a file is Darknet's: lines `key = value` with the lists and the file of class names."""
    if not path.lower().endswith(".data"):
        return False
    keys = {line.split("=")[0].strip().lower() for line in first_lines(path) if "=" in line}
    return "names" in keys or any(split_of_name(key) for key in keys)


def find_lists(tree: FileTree) -> tuple[list[str], list[str]]:
    """Return the paths of the .data files of a tree, and of the lists in it that are named after a split."""
    stems = {stem for names in tree.images.values() for stem in names}
    data_files = [tree.path(folder, name) for folder, name in tree.files(".data")]
    lists = [
        tree.path(folder, name)
        for folder, name in tree.files(".txt")
        if os.path.splitext(name)[0] not in stems and split_in_words(os.path.splitext(name)[0])
    ]
    return [path for path in data_files if is_data_file(path)], [path for path in lists if is_image_list(path)]


def read_lists(tree: FileTree, images: frozenset[str], data_file: str = "") -> ImageLists:
    """Read the lists of a tree that name some of its images.

    The .data file that names most of the images decides; without one, the lists that are named after a split.

    Args:
        tree: The files.
        images: The paths of the images.
        data_file: The only .data file that counts, "" for any.

    Raises:
        RetinueError: A list can't be read.
    """
    data_files, lists = find_lists(tree)
    data_files = [data_file] if data_file else data_files
    finder = ImageByPath(tree)
    best = ImageLists({}, "", [])
    for path in data_files:
        names_file, split_lists = _read_data_file(path, tree)
        read = _read_split_lists(split_lists, names_file, finder, images)
        best = max(best, read, key=lambda entry: len(entry.split_of))
        if not split_lists and len(data_files) == 1:  # its lists are not there, but the names are
            best = ImageLists(best.split_of, names_file, best.findings)
    if not best.split_of:
        by_name = [(path, split_in_words(os.path.splitext(os.path.basename(path))[0])) for path in lists]
        best = _read_split_lists(by_name, best.names_file, finder, images)
    if best.split_of and "train" not in best.split_of.values():
        reason = "there are lists of images, but none for training"
        finding = Finding(WARNING, "no list for training", tree.root, "", reason, "the lists are ignored")
        return ImageLists({}, best.names_file, [finding])
    return best


def listed_images(path: str, finder: ImageByPath) -> tuple[list[str], list[Finding]]:
    """Read a list of images.

    Args:
        path: The list.
        finder: Finds the images.

    Returns:
        The paths of the images, and a finding if some are not there.
    """
    names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    found = [finder.find(name, os.path.dirname(path)) for name in names]
    missing = [name for name, file in zip(names, found, strict=True) if file is None]
    findings = []
    if missing:
        reason = f"{len(missing):,} of its {len(names):,} images are not there, the first is {missing[0]}"
        findings = [Finding(WARNING, "missing images in a list", path, "", reason, "ignored; correct the paths")]
    return [file for file in found if file], findings


def unlisted_finding(source: str, num_unlisted: int) -> list[Finding]:
    """Return a finding for the labeled images that no list names, if there are some."""
    if not num_unlisted:
        return []
    reason = f"{count_images(num_unlisted)} labeled, but in no list of images"
    return [Finding(NOTE, "not listed", source, "", reason, "ignored; add them to a list to use them")]


def _read_data_file(path: str, tree: FileTree) -> tuple[str, list[tuple[str, str]]]:
    """Return the file of class names, and each list with its split; both as far as they are there."""
    names_file, lists = "", []
    for line in read_text(path).splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        split = split_of_name(key)
        if not value or not (split or key.lower() == "names"):
            continue
        file = _find_file(value, path, tree)
        if file and split:
            lists.append((file, split))
        elif file:
            names_file = file
    return names_file, lists


def _find_file(value: str, path: str, tree: FileTree) -> str | None:
    """Return the file of a tree that a .data file means: the one with the most names at the end in common."""
    parts = path_parts(value)
    for length in range(len(parts), 0, -1):
        tail = os.path.join(*parts[-length:])
        for base in dict.fromkeys((os.path.dirname(path), tree.root)):
            if os.path.isfile(os.path.join(base, tail)):
                return os.path.normpath(os.path.join(base, tail))
        found = [tree.path(folder, tail) for folder in tree.names if os.path.isfile(tree.path(folder, tail))]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _read_split_lists(
    lists: list[tuple[str, str]], names_file: str, finder: ImageByPath, images: frozenset[str]
) -> ImageLists:
    split_of: dict[str, str] = {}
    findings: list[Finding] = []
    repeated, smallest = 0, len(images)  # of the lists
    used: Counter[str] = Counter()  # lists of each split
    for path, split in sorted(lists, key=lambda entry: SPLITS.index(entry[1])):
        files, missing = listed_images(path, finder)
        files = [file for file in files if file in images]
        if files:
            findings += missing
            used[split] += 1
        repeated += sum(split_of.setdefault(file, split) != split for file in files)
        smallest = min(smallest, len(files) or smallest)
    if 2 * repeated >= smallest and max(used.values(), default=0) > 1:
        raise RetinueError(
            f"{os.path.dirname(lists[0][0])}: the lists of images are of different folds, since images are in train in "
            "one and in val in another; move the lists of all folds but one out of the data set"
        )
    if repeated:
        reason = f"{count_images(repeated)} in the lists of two splits"
        action = "they stay in the first of train, val and test"
        findings.append(Finding(WARNING, "in two splits", lists[0][0], "", reason, action))
    return ImageLists(split_of, names_file, findings)
