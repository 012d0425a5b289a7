"""The classes of a table of annotations, with the names of ids, or the ids of names, that a file beside it gives."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from retinue.data.finding import NOTE, Finding
from retinue.data.readers.tables.class_name_files import NUMBER, may_name_classes, number_lines, read_names

KNOWLEDGE_GRAPH_ID = re.compile(r"/[a-z]/\w+")  # of Open Images


@dataclass(frozen=True)
class ClassNames:
    """The classes of a dataset.

    Attributes:
        classes: Their names.
        ids: Their ids in the source, or ().
        index_of: The index of the class that each label stands for.
    """

    classes: tuple[str, ...]
    ids: tuple[Any, ...]
    index_of: dict[str, int]

    @classmethod
    def of_labels(cls, labels: Sequence[str]) -> "ClassNames":
        """Return classes that are named as the labels are."""
        return cls(tuple(labels), (), {label: index for index, label in enumerate(labels)})

    @classmethod
    def of_ids(cls, named: dict[str, tuple[str, str]]) -> "ClassNames":
        """Return classes in the order of their ids, or of their names where ids are not numbers.

        Args:
            named: The name and the id of each label.
        """
        are_numbers = all(_is_number(identifier) for _, identifier in named.values())
        # "007" is text
        are_numbers = are_numbers and all(identifier == str(int(identifier)) for _, identifier in named.values())
        rows = [
            (int(identifier) if are_numbers else identifier, name, label) for label, (name, identifier) in named.items()
        ]
        rows.sort(key=lambda row: row[:2] if are_numbers else (row[1], row[0]))
        index_of = {label: index for index, (_, _, label) in enumerate(rows)}
        return cls(tuple(name for _, name, _ in rows), tuple(identifier for identifier, _, _ in rows), index_of)


def class_names(paths: Sequence[str], labels: Collection[str], findings: list[Finding]) -> ClassNames:
    """Return the classes of some labels in sorted order, with names and ids from a table beside them, if there is one.

    Args:
        paths: The tables of annotations.
        labels: All labels in them.
        findings: Receives which table names the classes.
    """
    return find_class_names(_files_beside(paths), labels, findings) or ClassNames.of_labels(sorted(labels))


def find_class_names(paths: Iterable[str], labels: Collection[str], findings: list[Finding]) -> ClassNames | None:
    """Return the classes of some labels, with names and ids from the first file that has all of them, or None.

    Args:
        paths: Files that may name the classes.
        labels: All labels.
        findings: Receives which file names the classes, and which seem to but don't name these.
    """
    unused = []
    for path in paths:
        pairs, lines = read_names(path)
        pairs = pairs or number_lines(lines, sorted(labels))
        named = _matched(pairs, labels) if pairs else None
        if named:
            reason = f"it names the {len(named.classes)} classes"
            findings.append(Finding(NOTE, "class names", path, "", reason, "used"))
            return named
        if len(pairs or lines) > 1:
            unused.append(path)
    if labels and all(map(_is_number, labels)):
        first, last = min(labels, key=int), max(labels, key=int)
        reason = f"it seems to name classes, but not just the {len(labels)} labels from {first} to {last}"
        findings += [Finding(NOTE, "class names not used", path, "", reason, "ignored") for path in unused[:1]]
    return None


def _files_beside(paths: Sequence[str]) -> Iterator[str]:
    """Yield the files beside tables that may name classes."""
    for folder in dict.fromkeys(os.path.dirname(path) or "." for path in paths):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if may_name_classes(name) and os.path.isfile(path):
                if not any(os.path.samefile(path, other) for other in paths):
                    yield path


def _matched(pairs: Sequence[tuple[str, str]], labels: Collection[str]) -> ClassNames | None:
    """Return the classes if one column has all labels and the other one names or numbers them, each differently."""
    firsts, seconds = [first for first, _ in pairs], [second for _, second in pairs]
    if not labels or len(set(firsts)) < len(pairs) or len(set(seconds)) < len(pairs):
        return None
    if all(map(_is_number, (*firsts, *seconds))):  # neither column has names
        return None
    if set(labels) <= set(firsts):
        other = dict(pairs)
        if all(_is_number(second) for second in seconds):  # name, id
            return ClassNames.of_ids({label: (label, other[label]) for label in labels})
        if all(_is_id(label) for label in labels):
            return ClassNames.of_ids({label: (other[label], label) for label in labels})
    elif set(labels) <= set(seconds) and all(_is_number(label) for label in labels):
        other = {second: first for first, second in pairs}
        return ClassNames.of_ids({label: (other[label], label) for label in labels})
    return None


def _is_number(text: str) -> bool:
    return bool(NUMBER.fullmatch(text))


def _is_id(text: str) -> bool:
    return _is_number(text) or bool(KNOWLEDGE_GRAPH_ID.fullmatch(text))
