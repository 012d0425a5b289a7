"""Files that name the classes of numbered labels: tables, texts and JSON, with the number of each name or without.

Such are `class-descriptions.csv` of Open Images, `classes.csv` of keras-retinanet ("cow,0"), `signnames.csv`,
`label_num_to_disease_map.json` ({"0": "Healthy"}), `classes.txt` ("1 Boeing 707" or a name in each line).
"""

import json
import os
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from retinue.configs.errors import RetinueError
from retinue.data.readers.tables.text import TABLE_SUFFIXES, TableText
from retinue.data.readers.text_file import read_text

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".names")
WORDS = (
    *("class", "classes", "classnames", "classname", "label", "labels", "labelmap", "category", "categories", "names"),
    *("name", "signnames", "map", "mapping", "synset", "synsets", "index", "classlist"),
)
NUMBER = re.compile(r"[0-9]{1,15}")
MAX_BYTES = 4_000_000

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER_NAME = re.compile(r"(\d+)\s*[\s,;:=]\s*(\S.*)")
_NAME_NUMBER = re.compile(r"(.*?\S)\s*[\s,;:=]\s*(\d+)")

Pairs = list[tuple[str, str]]  # the two values of each entry


def may_name_classes(name: str) -> bool:
    """Return whether the name of a file tells that it may name classes."""
    stem, suffix = os.path.splitext(name.lower())
    return suffix in SUFFIXES and any(word in WORDS for word in _WORD.findall(stem))


def read_names(path: str) -> tuple[Pairs, list[str]]:
    """Return the pairs in a file of classes, or the names in its lines; both are empty if it is something else."""
    try:
        if os.path.getsize(path) > MAX_BYTES:
            return [], []
        if path.lower().endswith(".json"):
            return _read_json(path)
        if path.lower().endswith(TABLE_SUFFIXES):
            rows = [[_clean(cell) for cell in cells] for _, cells in TableText(path, MAX_BYTES).records()]
        else:
            rows = [_split_line(line) for line in read_text(path).splitlines()]
    except (RetinueError, OSError, ValueError, RecursionError):
        return [], []
    rows = [row for row in rows if any(row)]
    if rows and all(len(row) == 1 for row in rows):
        return [], [row[0] for row in rows]
    if not rows or any(len(row) != 2 for row in rows):
        return [], [] if path.lower().endswith(TABLE_SUFFIXES) else [" ".join(row) for row in rows]
    pairs = [(row[0], row[1]) for row in rows]
    return _without_heading(pairs), []


def _split_line(line: str) -> list[str]:
    """Return the number and the name in a line of a text, or the whole line if it has no number."""
    match = _NUMBER_NAME.fullmatch(line.strip()) or _NAME_NUMBER.fullmatch(line.strip())
    return [_clean(part) for part in match.groups()] if match else [_clean(line)]


def _without_heading(pairs: Pairs) -> Pairs:
    """Return pairs without a first one that names the columns: one that is no number above numbers."""
    for index in (0, 1):
        numbers = [bool(NUMBER.fullmatch(pair[index])) for pair in pairs]
        if len(pairs) > 1 and not numbers[0] and all(numbers[1:]):
            return pairs[1:]
    return pairs


def _read_json(path: str) -> tuple[Pairs, list[str]]:
    """Return the pairs or the names in a JSON file."""
    content = json.loads(read_text(path))
    if isinstance(content, dict) and len(content) == 1 and isinstance(next(iter(content.values())), dict | list):
        content = next(iter(content.values()))
    if isinstance(content, list):
        if all(isinstance(entry, str) for entry in content):
            return [], [_clean(entry) for entry in content]
        entries = [entry for entry in content if isinstance(entry, dict) and {"id", "name"} <= set(entry)]
        return (
            [(str(entry["id"]), str(entry["name"])) for entry in entries] if len(entries) == len(content) else []
        ), []
    if not isinstance(content, dict):
        return [], []
    values = {key: _json_name(value) for key, value in content.items()}
    return ([] if "" in values.values() else [(_clean(key), _clean(value)) for key, value in values.items()]), []


def _json_name(value: Any) -> str:
    """Return a name or a number in JSON as text; of a pair such as ["n01440764", "tench"], the last one; else ""."""
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return value[-1]
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())


def number_lines(names: Sequence[str], labels: Sequence[str]) -> Pairs:
    """Return the number of each name in lines without numbers, from 0 or 1, if the labels are just these numbers."""
    if len(set(names)) < len(names):
        return []
    for start in (0, 1):
        numbers = [str(number) for number in range(start, start + len(names))]
        if {label.lstrip("0") or "0" for label in labels} == set(numbers) and len(set(labels)) == len(numbers):
            written = {label.lstrip("0") or "0": label for label in labels}
            return [(written[number], name) for number, name in zip(numbers, names, strict=True)]
    return []
