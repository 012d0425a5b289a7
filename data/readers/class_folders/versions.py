"""Folders that hold versions of the same images, such as depth or masks, are no classes: how they are recognized."""

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from retinue.data.readers.class_folders.layout import (
    ClassLayout,
    filled_classes,
    folders_above,
    is_collection,
    layout_path,
)
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.masks.pairs import find_mask_pairs
from retinue.data.storage.file_names import split_of_name

# Words in the names of folders that hold one kind of recording or annotation, besides those of `is_collection`.
KIND_WORDS = (
    *("gt", "gts", "groundtruth", "ground", "truth", "mask", "masks", "label", "labels", "annotation", "annotations"),
    *("depth", "depths", "disparity", "disparities", "disp", "flow", "normals", "edge", "edges", "boundary"),
    *("boundaries", "contour", "contours", "semantic", "instance", "instances", "panoptic", "segmentation"),
    *("nir", "ir", "infrared", "thermal", "lwir", "swir", "vis", "visible", "gray", "grayscale", "color"),
    *("raw", "target", "targets", "evi", "ndvi", "hr", "lr"),
)
# Names of the only two folders that hold pairs of images if all names in them are equal.
PAIRS = (
    *({"A", "B"}, {"before", "after"}, {"t1", "t2"}, {"time1", "time2"}, {"im1", "im2"}, {"pre", "post"}),
    *({"noisy", "clean"}, {"blur", "sharp"}, {"hazy", "clear"}, {"low", "high"}),
)
STEREO_PAIR = {"left", "right"}  # if the images are frames, since these are classes, too
MIN_PAIRS = 3  # images in each of them
FRAME_DIGITS = 5  # of the names of frames, such as 000001
SAME_NAMES = 0.9  # of the names of two folders are equal: they hold versions of the same images
DENSE = 0.8  # of the numbers from the first to the last are names: then the images are counted
MIN_SPARSE = 4  # images whose numbers are not counted and that two folders have alike

_WORD = re.compile(r"[^\W\d_]+")
_TRANSLATION = re.compile(r"(?:train|val|test)_?[AB]", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")


def problem_with_versions(tree: FileTree, layout: ClassLayout) -> str:
    """Return why the folders can't be classes by their names and by the names of their images, or ""."""
    path, folders = layout_path(tree, layout), filled_classes(layout)
    names = sorted({os.path.basename(folder) for folder in folders})
    if len(names) > 1 and all(map(names_kind, names)):
        return (
            f"{path}: by their names, the folders {_listing(names)} hold kinds of images, or images and their "
            "annotations, instead of classes; if they are classes, list the images in a CSV with the columns file,label"
        )
    if len(names) > 1 and all(map(_TRANSLATION.fullmatch, names)):
        return (
            f"{path}: by their names, the folders {_listing(names)} hold the two domains of image translation instead "
            "of classes, which is no task of retinue; if the domains are classes, rename them to train/A and train/B"
        )
    keys_of = _keys_of(tree, folders)
    masks = Counter(os.path.splitext(os.path.basename(mask))[0] for mask in find_mask_pairs(tree).mask_paths)
    for parent in layout.parents.values():
        inner = [folder for folder in folders if os.path.dirname(folder) == parent]
        compared = [folder for folder in inner if names_kind(os.path.basename(folder))] or inner[:1]
        for first in compared:
            for other in inner:
                if first != other and (
                    (len(names) == 2 and _are_pair(first, other, keys_of[first], keys_of[other]))
                    or _holds_versions(first, other, keys_of[first], keys_of[other], masks)
                ):
                    return (
                        f"{path}: {os.path.basename(first)} and {os.path.basename(other)} hold images of the same "
                        "names, so they seem to be versions of the same images (such as two dates or two sensors), or "
                        "images and their masks, instead of classes; if they are classes, list the images in a CSV "
                        "with the columns file,label"
                    )
    return ""


def names_kind(name: str) -> bool:
    """Return whether the name of a folder only consists of words for images, for their kinds or for annotations."""
    words = [word for word in _WORD.findall(name.lower()) if not is_collection(word)]
    return is_collection(name) or (bool(words) and all(word in KIND_WORDS for word in words))


def _holds_versions(first: str, other: str, keys: set[str], others: set[str], masks: Mapping[str, int]) -> bool:
    """Return whether two folders hold versions of the same images, by the names of the images.

    Args:
        first: A folder.
        other: Another one.
        keys: What `_keys_of` returns for the first.
        others: That of the other.
        masks: The number of masks of each name. Two images that share one are versions.
    """
    kinds = [names_kind(os.path.basename(name)) for name in (first, other)]
    if not _are_same(keys, others):
        if not any(kinds):
            return False
        keys, others = _without_common_text(keys), _without_common_text(others)
        has_words = len(keys) > 2 and all(_WORD.search(key) for key in keys)
        return _are_same(keys, others) and (all(kinds) or has_words)
    stems = {os.path.basename(key) for key in keys}
    if is_collection(os.path.basename(first)) or all(kinds):
        return True
    counts = [masks[stem] for stem in stems]
    share_masks = len(stems) > 1 and all(counts) and sum(counts) < 2 * len(stems)
    return share_masks or (len(stems) > 2 and not _is_numbering(stems))


def _are_pair(first: str, other: str, keys: set[str], others: set[str]) -> bool:
    """Return whether two folders, whose names are those of pairs of images, hold images of equal names."""
    if keys != others or len(keys) < MIN_PAIRS or any(os.sep in key for key in keys):
        return False
    names = {os.path.basename(first), os.path.basename(other)}
    in_lower_case = {name.lower() for name in names}
    are_frames = all(len(key) >= FRAME_DIGITS and key.isdecimal() for key in keys)
    return names in PAIRS or in_lower_case in PAIRS or (in_lower_case == STEREO_PAIR and are_frames)


def _are_same(stems: set[str], others: set[str]) -> bool:
    return len(stems & others) >= SAME_NAMES * max(len(stems), len(others))


def _without_common_text(stems: set[str]) -> set[str]:
    """Return names without the texts that all of them begin and end with."""
    start = os.path.commonprefix(list(stems))
    end = os.path.commonprefix([stem[: len(start) - 1 if start else None : -1] for stem in stems])[::-1]
    return {stem[len(start) : len(stem) - len(end)] for stem in stems}


def _is_numbering(stems: Collection[str]) -> bool:
    """Return whether names are counted, so that equal names tell nothing: few patterns, with all numbers in one."""
    if len({_DIGITS.sub("#", stem) for stem in stems}) > max(2, len(stems) // 10):
        return False
    columns: list[Sequence[str]] = [_DIGITS.findall(stem) for stem in stems]
    if len(stems) < MIN_SPARSE or any(len(column) != 1 for column in columns):
        return True
    numbers = sorted(int(column[0]) for column in columns)
    return len(numbers) >= DENSE * (numbers[-1] - numbers[0] + 1)


def _keys_of(tree: FileTree, folders: Sequence[str]) -> dict[str, set[str]]:
    """Return the paths, without suffixes, of the images in each of the folders, relative to it.

    Folders inside whose names tell nothing, such as images, are left out.
    """
    keys: dict[str, set[str]] = {folder: set() for folder in folders}
    for folder, names in tree.images.items():
        for above in (*folders_above(folder), folder):
            if above in keys:
                parts = folder[len(above) :].split(os.sep)
                inner = os.sep.join(part for part in parts if part and not names_kind(part) and not split_of_name(part))
                keys[above].update(os.path.join(inner, stem) for stem in names)
    return keys


def _listing(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
