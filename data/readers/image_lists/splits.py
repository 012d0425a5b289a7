"""The official splits of a dataset, as lists of images beside it give them.

Such are Food-101's `meta/train.txt` and `meta/test.txt`, `train_val_list.txt` and `test_list.txt` of the NIH's chest
X-rays, CelebA's `list_eval_partition.txt`, and `train_test_split.txt` of Caltech-UCSD Birds. A list that is not
understood is a warning, since a test set of another choice gives another score.
"""

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from retinue.data.dataset import SPLITS, Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.image_lists.listed_images import (
    UNREAD_SUFFIXES,
    ImageList,
    ImagesByName,
    read_image_list,
)
from retinue.data.readers.image_lists.numbered_images import SPLIT_OF_FLAG, numbered_lists, numbered_values
from retinue.data.readers.image_lists.numbered_images import SPLITS as NUMBERED_SPLITS
from retinue.data.readers.text_file import first_lines
from retinue.data.storage.file_names import SPLIT_NAMES, split_of_name

ENOUGH = 0.5  # of the images must be in lists, so that the others are left out
PARTITION = ("train", "val", "test")  # what 0, 1 and 2 mean in a partition, as CelebA documents it
OTHER_WORDS = ("list", "lst", "ids", "names", "files", "split", "filenames", "key", "keys", "idx")
NOT_SPLITS = re.compile(r"submission|predict|result|metrics|history|readme|log", re.IGNORECASE)

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+$")


@dataclass
class OfficialSplits:
    """What lists tell about the splits of images.

    Attributes:
        split_of: The split of each listed image.
        lists: The lists that were used.
        findings: What was assumed, and which lists are not used.
    """

    split_of: dict[str, str] = field(default_factory=dict)
    lists: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)


def with_official_splits(dataset: Dataset, paths: Sequence[str]) -> Dataset:
    """Return a dataset with the splits that lists give; unchanged if it has splits of its own.

    Images that are in no list are not read if there is one for training, since they are in none of the official splits.

    Args:
        dataset: The images.
        paths: Files that may be lists.
    """
    if any(dataset.splits) or not len(dataset):
        return dataset
    official = read_official_splits(list(dataset.files), paths)
    findings = (*dataset.findings, *official.findings)
    if not official.split_of:
        return dataclasses.replace(dataset, findings=findings)
    splits = np.array([official.split_of.get(file, "") for file in dataset.files], dtype=object)
    dataset = dataclasses.replace(dataset, findings=findings, splits=splits)
    return dataset.take(splits != "") if "train" in splits else dataset


def read_official_splits(files: Sequence[str], paths: Sequence[str]) -> OfficialSplits:
    """Return the splits that lists give some images.

    Args:
        files: The paths of the images.
        paths: Files that may be lists.
    """
    candidates = [path for path in paths if _may_give_splits(path)]
    unread = [path for path in paths if path.lower().endswith(UNREAD_SUFFIXES) and _named_after_splits(path)]
    numbered = numbered_lists(paths)
    if not (candidates or numbered or unread):
        return OfficialSplits()
    images = ImagesByName(files)
    official = _read_numbered(numbered, images) or _read_lists(candidates, images)
    if official.split_of:
        _check_coverage(official, files)
    else:
        official.findings += [
            _not_used(path, "it may hold the official splits, but files of this kind are not read") for path in unread
        ]
    return official


def _read_numbered(paths: Sequence[str], images: ImagesByName) -> OfficialSplits | None:
    """Return the splits of images that a list numbers, or None."""
    for path in paths:
        flags = numbered_values(path, NUMBERED_SPLITS, images)
        if flags and set(flags.values()) == set(SPLIT_OF_FLAG):
            used = os.path.join(os.path.dirname(path), NUMBERED_SPLITS)
            split_of = {image: SPLIT_OF_FLAG[flag] for image, flag in flags.items()}
            return OfficialSplits(split_of, (used,))
    return None


def _read_lists(paths: Sequence[str], images: ImagesByName) -> OfficialSplits:
    """Return the splits of lists that are named after splits, or that tell the split of each image."""
    official = OfficialSplits()
    read: list[tuple[str, dict[str, str]]] = []
    for path in paths:
        listed = read_image_list(path, images)
        split_of = _split_of_images(listed) if listed else {}
        if split_of:
            read.append((path, split_of))
        elif listed:
            reason = "it names images of this dataset, but its name and its values tell no splits that are known"
            official.findings.append(_not_used(path, reason))
        elif _is_ambiguous(path, images):
            reason = "most of the images that it names could be one of several; write their folders into it"
            official.findings.append(_not_used(path, reason))
    chosen = _of_one_fold(read, official.findings)
    for _, split_of in sorted(chosen, key=lambda entry: _is_train_and_val(entry[0])):
        for image, split in split_of.items():
            official.split_of.setdefault(image, split)
    official.lists = tuple(path for path, _ in chosen)
    return official


def _split_of_images(listed: ImageList) -> dict[str, str]:
    """Return the split of each image of a list, by its values or by the name of the list; empty if neither tells it."""
    stem = os.path.splitext(os.path.basename(listed.path))[0]
    for index in range(listed.width):
        words = [value.lower() for value in listed.column(index)]
        names = {SPLIT_NAMES.get(word, "") for word in words}
        if "" not in names and len(names) > 1:
            return {image: SPLIT_NAMES[word] for image, word in zip(listed.values, words, strict=True)}
        codes = set(words)
        if "partition" in stem.lower() and listed.width == 1 and len(codes) > 1 and codes <= {"0", "1", "2"}:
            return {image: PARTITION[int(word)] for image, word in zip(listed.values, words, strict=True)}
    split = "train" if _is_train_and_val(listed.path) else _split_of_stem(stem)
    return dict.fromkeys(listed.values, split) if split else {}


def _of_one_fold(
    read: Sequence[tuple[str, dict[str, str]]], findings: list[Finding]
) -> Sequence[tuple[str, dict[str, str]]]:
    """Return lists that don't contradict each other: all, or those of the first of several numbered splits, or none."""
    if not _contradiction(read):
        return read
    numbers = [_number_of(path) for path, _ in read]
    first = min((number for number in numbers if number), key=int, default="")
    of_first = [entry for entry, number in zip(read, numbers, strict=True) if number == first]
    if first and len(of_first) > 1 and not _contradiction(of_first):
        others = [path for path, _ in read if _number_of(path) != first]
        reason = f"there are several official splits, and this is not one of number {first}"
        findings += [Finding(WARNING, "another split", path, "", reason, "ignored") for path in others]
        return of_first
    image = _contradiction(read)
    reason = f"these lists put {os.path.basename(image)} into several splits: {_named([path for path, _ in read])}"
    action = "none of them is used; remove those that are not meant"
    findings.append(Finding(WARNING, "contradicting lists", read[0][0], "", reason, action))
    return []


def _contradiction(read: Sequence[tuple[str, dict[str, str]]]) -> str:
    """Return an image that two lists put into different splits, or ""."""
    split_of: dict[str, str] = {}
    for path, listed in read:
        if not _is_train_and_val(path):
            for image, split in listed.items():
                if split_of.setdefault(image, split) != split:
                    return image
    for path, listed in read:
        if _is_train_and_val(path):
            image = next((image for image in listed if split_of.get(image) == "test"), "")
            if image:
                return image
    return ""


def _check_coverage(official: OfficialSplits, files: Sequence[str]) -> None:
    """Add what the lists tell, or drop their splits where these can't be the official ones of all images."""
    split_of, found = official.split_of, set(official.split_of.values())
    unlisted = [file for file in files if file not in split_of]
    names, path = _named(official.lists), official.lists[0]
    if len(found) == 1 and not unlisted:  # the name of a lone list of all images tells nothing
        official.split_of = {}
    elif found == {"train"}:
        reason = f"{names} lists only images for training, and nothing tells what the {len(unlisted):,} others are for"
        official.findings.append(_not_used(path, reason))
        official.split_of = {}
    elif "train" in found and len(split_of) < ENOUGH * len(files):
        reason = f"{names} lists only {len(split_of):,} of {len(files):,} images"
        official.findings.append(_not_used(path, reason))
        official.split_of = {}
    else:
        counts = Counter(split_of.values())
        shown = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS if counts[split])
        reason = f"the splits are those of {names}: {shown}"
        official.findings.append(Finding(NOTE, "splits of lists", path, "", reason, "used"))
        if unlisted and "train" in found:
            reason = f"{len(unlisted):,} of {len(files):,} images are in none of the lists of splits"
            action = "not read; add them to a list to use them"
            official.findings.append(Finding(WARNING, "not listed", unlisted[0], "", reason, action))


def _may_give_splits(path: str) -> bool:
    """Return whether a file may be a list of images of a split, or of the splits of images."""
    stem, suffix = os.path.splitext(os.path.basename(path))
    return suffix.lower() not in UNREAD_SUFFIXES and _named_after_splits(path) and not NOT_SPLITS.search(stem)


def _named_after_splits(path: str) -> bool:
    stem = os.path.splitext(os.path.basename(path))[0]
    words = _WORD.findall(stem.lower())
    return bool(
        _split_of_stem(stem)
        or _is_train_and_val(path)
        or any(word.startswith(("partition", "split")) or word in ("setid", "folds") for word in words)
    )


def _split_of_stem(stem: str) -> str:
    """Return the split that the name of a list stands for: "images_variant_test" and "TestImages" are test, or ""."""
    if split_of_name(stem):
        return split_of_name(stem)
    words = [word.removesuffix("list") for word in _WORD.findall(stem.lower()) if word not in OTHER_WORDS]
    splits = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    return splits.pop() if len(splits) == 1 else ""


def _is_train_and_val(path: str) -> bool:
    """Return whether a list is one of all images that are not for the test, as trainval.txt and train_val_list.txt."""
    words = _WORD.findall(os.path.splitext(os.path.basename(path))[0].lower())
    if "trainval" in words or "trainvalid" in words:
        return True
    return {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES} == {"train", "val"}


def _number_of(path: str) -> str:
    """Return the number at the end of the name of a list, or ""."""
    match = _NUMBER.search(os.path.splitext(os.path.basename(path))[0])
    return match[0] if match else ""


def _is_ambiguous(path: str, images: ImagesByName) -> bool:
    """Return whether most lines of a text begin with a name that several images have."""
    words = [line.split()[0].split(",")[0] for line in first_lines(path)]
    return 2 * sum(len(images.find_all(word)) > 1 for word in words) > len(words)


def _named(paths: Sequence[str]) -> str:
    """Return the names of some files, for messages."""
    shown = ", ".join(os.path.basename(path) for path in paths[:4])
    return shown + (f" and {len(paths) - 4:,} more" if len(paths) > 4 else "")


def _not_used(path: str, reason: str) -> Finding:
    action = "not used, so another test set may be scored; write the splits as train.txt, val.txt and test.txt"
    return Finding(WARNING, "list not used", path, "", reason, action)
