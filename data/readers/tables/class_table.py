"""A table of the classes beside a table of annotations: the names of ids, or the ids of names.

Such are `class-descriptions.csv` of Open Images ("/m/011k07,Tortoise") and `classes.csv` of keras-retinanet ("cow,0").
"""

import os
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from retinue.configs.errors import RetinueError
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.tables.columns import plain
from retinue.data.readers.tables.text import TableText

CLASS_TABLE = re.compile(r"(\w*[-_])?(class(es)?|labels?[-_ ]?map|labels?|categories)([-_ ]\w*)*\.csv", re.IGNORECASE)
HEADINGS = ("labelname", "displayname", "class", "classname", "name", "id", "classid", "label", "labelid", "category")
KNOWLEDGE_GRAPH_ID = re.compile(r"/[a-z]/\w+")  # of Open Images
NUMBER = re.compile(r"[0-9]{1,15}")
MAX_BYTES = 4_000_000


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
    for path in _class_tables(paths):
        try:
            pairs = _read_pairs(path)
        except RetinueError:  # a file of this name that is something else
            continue
        named = _matched(pairs, labels)
        if named:
            reason = f"it names the {len(named.classes)} classes"
            findings.append(Finding(NOTE, "class names", path, "", reason, "used"))
            return named
    return ClassNames.of_labels(sorted(labels))


def _class_tables(paths: Sequence[str]) -> Iterator[str]:
    for folder in dict.fromkeys(os.path.dirname(path) or "." for path in paths):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if CLASS_TABLE.fullmatch(name) and not any(os.path.samefile(path, other) for other in paths):
                yield path


def _read_pairs(path: str) -> list[tuple[str, str]]:
    """Return the two cells of each line, without a heading; empty if it is not a table of two columns."""
    pairs = []
    for line, cells in TableText(path, MAX_BYTES).records():
        cells = [unicodedata.normalize("NFC", cell.strip()) for cell in cells]
        if not any(cells) or (line == 1 and all(plain(cell) in HEADINGS for cell in cells)):
            continue
        if len(cells) != 2:
            return []
        pairs.append((cells[0], cells[1]))
    return pairs


def _matched(pairs: Sequence[tuple[str, str]], labels: Collection[str]) -> ClassNames | None:
    """Return the classes if one column has all labels and the other one names or numbers them, each differently."""
    firsts, seconds = [first for first, _ in pairs], [second for _, second in pairs]
    if not labels or len(set(firsts)) < len(pairs) or len(set(seconds)) < len(pairs):
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
