"""Which values of a list of images are their labels, and what these are called."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retinue.data.readers.folders import class_name
from retinue.data.readers.tables.class_table import ClassNames
from retinue.data.readers.tables.columns import SYNONYMS, plain
from retinue.data.storage.file_names import SPLIT_NAMES, looks_like_image, split_of_name

PRESENT, ABSENT = "1", ("0", "-1")  # in a column for each class
MAX_NUMBERS = 3  # of an image may be labels; more are coordinates

_NUMBER = re.compile(r"-?[0-9]+")
_FRACTION = re.compile(r"-?[0-9]*\.[0-9]+([eE][-+]?[0-9]+)?")
_NUMBERING = re.compile(r"[\W_]*\d+$")  # at the end of the name of an image

Values = Mapping[str, tuple[str, ...]]  # the values of each image, by its path


@dataclass(frozen=True)
class ListLabels:
    """The labels of the images of a list.

    Attributes:
        labels: The labels of each image, by its path; in a list with one column of labels just one.
        columns: The names of the classes, if the list has a column for each.
        names_by: The names of labels that folders or file names tell, or None.
        by_folder: Whether each label has the images of one folder name, and each folder name those of one label.
        reason: How the column was found, for a note, or "" where there is only one.
    """

    labels: dict[str, list[str]]
    columns: tuple[str, ...] = ()
    names_by: ClassNames | None = None
    by_folder: bool = False
    reason: str = ""


def find_labels(values: Values, header: Sequence[str]) -> ListLabels | str:
    """Return the labels of images, or why they are not clear, or "" where the values are no labels at all.

    Args:
        values: The values of each image.
        header: The names of the values, or ().
    """
    widths = {len(row) for row in values.values()}
    if widths <= {0}:
        return ""
    if len(widths) > 1:
        return _find_in_varying(values)
    (width,) = widths
    columns = [[row[index] for row in values.values()] for index in range(width)]
    if len(header) == width > 1 and all(set(column) <= {PRESENT, *ABSENT} for column in columns):
        present = [
            [name for name, value in zip(header, row, strict=True) if value == PRESENT] for row in values.values()
        ]
        return ListLabels(dict(zip(values, present, strict=True)), columns=tuple(header))
    usable = [index for index in range(width) if _may_be_labels(columns[index])]
    if not usable:
        return ""
    if width == 1:
        return _of_column(values, 0)
    known = [index for index in usable if header and plain(header[index]) in ("label", *SYNONYMS["label"])]
    words = [index for index in usable if not all(map(_NUMBER.fullmatch, columns[index]))]
    named = [index for index in usable if _of_column(values, index).names_by]
    for found, reason in (
        (known, "its name tells that it holds the labels"),
        (named, "each of its values stands for one word in the names of the images or of their folders"),
        (words, "it is the only one of words"),
    ):
        if len(found) == 1:
            result = _of_column(values, found[0])
            return ListLabels(
                result.labels,
                names_by=result.names_by,
                by_folder=result.by_folder,
                reason=f"value {found[0] + 1} of {width} behind the image is taken for the label: {reason}",
            )
    if len(usable) > MAX_NUMBERS and not words:
        return ""
    return f"which of the {width} values behind the name of an image is its label is not clear"


def _find_in_varying(values: Values) -> ListLabels | str:
    """Return the labels of a list whose lines have different numbers of words: names with blanks."""
    joined = {image: (" ".join(row),) for image, row in values.items()}
    if any(not row for row in values.values()):
        return "some of its lines have a label and others have none"
    if all(_NUMBER.fullmatch(value) for row in values.values() for value in row):
        return "its lines have different numbers of values"
    return _of_column(joined, 0) if _may_be_labels([label for (label,) in joined.values()]) else ""


def _may_be_labels(column: Sequence[str]) -> bool:
    """Return whether values may be labels: no measurements, files, splits, ids, or flags of a class."""
    different = set(column)
    if any(_FRACTION.fullmatch(value) or looks_like_image(value) for value in different) or "" in different:
        return False
    if all(value.lower() in SPLIT_NAMES for value in different) or any(value[0] in "[{(" for value in different):
        return False
    if "-1" in different or len(different) < 2:  # -1 is a flag, as in the lists of a class of Pascal VOC
        return False
    return len(different) < len(column)


def _of_column(values: Values, index: int) -> ListLabels:
    """Return the labels in a column, with the names that folders or file names tell."""
    labels = {image: row[index] for image, row in values.items()}
    folders = {image: os.path.basename(os.path.dirname(image)) for image in labels}
    of_classes = {folder for folder in set(folders.values()) if not split_of_name(folder)}
    in_classes = {image: label for image, label in labels.items() if folders[image] in of_classes}
    by_folder = _one_to_one(in_classes, folders) if set(in_classes.values()) == set(labels.values()) else None
    names = by_folder
    if not names:
        stems = {image: os.path.splitext(os.path.basename(image))[0] for image in labels}
        names = _one_to_one(labels, {image: _NUMBERING.sub("", stem) for image, stem in stems.items()})
    return ListLabels({image: [label] for image, label in labels.items()}, names_by=names, by_folder=bool(by_folder))


def _one_to_one(labels: Mapping[str, str], words: Mapping[str, str]) -> ClassNames | None:
    """Return the classes that words name if each label has one word and each word one label, or None."""
    word_of: dict[str, str] = {}
    for image, label in labels.items():
        if word_of.setdefault(label, words[image]) != words[image]:
            return None
    if len(set(word_of.values())) < len(word_of) or len(word_of) < 2 or "" in word_of.values():
        return None
    if all(_NUMBER.fullmatch(label) for label in word_of):
        return ClassNames.of_ids({label: (class_name(word), label) for label, word in word_of.items()})
    same = all(label == word for label, word in word_of.items())
    return ClassNames.of_labels(sorted(word_of)) if same else None
