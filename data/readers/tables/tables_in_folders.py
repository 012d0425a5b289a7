"""Tables that lie in a folder with images: which of them describe the images, and which belong together.

Tables of one kind form one dataset if they are named after splits (`train.csv` and `test.csv`, `train_labels.csv`, or
one in each split's folder), or if they have the same columns and list different files. Of tables that list the same
files, those with splits are read. Tables of something else (class lists, predictions, submissions) are passed over.
"""

import dataclasses
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from retinue.configs.errors import RetinueError
from retinue.data.dataset import SPLITS, Dataset
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.explanation import Explanation, ReadOptions, relative_to
from retinue.data.readers.file_tree import FileTree, split_in_path
from retinue.data.readers.image_lists.listed_images import list_paths
from retinue.data.readers.image_lists.splits import with_official_splits
from retinue.data.readers.tables.columns import plain
from retinue.data.readers.tables.files import FileFinder, FileIndex, is_near
from retinue.data.readers.tables.header import understand
from retinue.data.readers.tables.layout import TableLayout, check_column_names
from retinue.data.readers.tables.tables import FORMATS, explanation, is_of_other_tool, is_table_name, read_tables
from retinue.data.readers.tables.text import TableText
from retinue.data.storage.file_names import SPLIT_NAMES, looks_like_image, split_of_name

PEEK_BYTES = 65_536  # of a table are read to see whether it is one of ours
NOT_LABELS = re.compile(r"submission|predict|result|metrics|history|scores?\b", re.IGNORECASE)  # in names of tables
PREDICTIONS = ("prediction", "predicted", "predictedlabel", "probability", "prob", "logit", "ypred")
MIN_FOUND = 0.2  # of the files that a table names must be there
ENOUGH = 0.9  # of the files of other tables: then those are repeated
_WORDS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class _Candidate:
    """A table that names images of the source.

    Attributes:
        folder: Its folder, relative to the root.
        name: Its file name.
        layout: Where its columns are.
        images: The paths of the images that it names and that exist.
        split: The split that its name or its folder stands for, "" for none.
        family: What tables that are one dataset have in common.
    """

    folder: str
    name: str
    layout: TableLayout
    images: frozenset[str]
    split: str
    family: tuple[str, ...]

    @property
    def path(self) -> str:
        """The file."""
        return self.layout.path


def explain(tree: FileTree, columns: Mapping[str, str] | None = None) -> list[Explanation]:
    """Return what the tables in a folder explain of its images.

    Args:
        tree: The folder.
        columns: The header's name of columns, by our own names, as the user gave them.

    Raises:
        UsageError: `columns` names a column that no table has.
    """
    named = columns or {}
    check_column_names(named)
    finder = FileFinder(FileIndex.of_tree(tree))
    candidates = [
        candidate
        for folder, names in tree.names.items()
        for name in names
        if is_table_name(name) and (candidate := _candidate(tree, folder, name, named, finder))
    ]
    usable = [candidate for candidate in candidates if not candidate.layout.problem]
    explanations = [_explain_group(tree, group, rest, finder) for group, rest in _groups(usable)]
    images = frozenset(image for candidate in usable for image in candidate.images)
    for candidate in candidates:
        if candidate.layout.problem and len(candidate.images) > len(images):
            kind, problem = candidate.layout.kind, candidate.layout.problem
            explanations.append(explanation(candidate.path, kind, candidate.images, candidate.path, _refuse, problem))
    return explanations


def _candidate(
    tree: FileTree, folder: str, name: str, named: Mapping[str, str], finder: FileFinder
) -> _Candidate | None:
    """Return a table if it names images of the source, else None."""
    path = tree.path(folder, name)
    if NOT_LABELS.search(os.path.splitext(name)[0]):
        return None
    try:
        peeked = TableText(path, PEEK_BYTES)
        layout = understand(peeked, named, lambda names: finder.count(path, names))
        if "file" not in layout.columns or _is_other(layout):
            return None
        if not layout.problem:
            layout = understand(TableText(path), named, lambda names: finder.count(path, names))
        split, family = _split_and_family(folder, name, layout)
        names = _names_in(layout, split)
        found = finder.find(path, names)
    except RetinueError:  # it is no table, or a broken one; other readers may know it
        return None
    if found.possible and not layout.problem:
        layout = dataclasses.replace(layout, problem=found.problem)
    images = frozenset(path for path in found.paths.values() if path in tree.image_paths)
    images = images or found.possible or frozenset(path for path in found.paths.values() if os.path.exists(path))
    if len(images) < MIN_FOUND * len(names) or not images:
        return None
    if not any(map(looks_like_image, names)) and len(images) < MIN_FOUND * _images_beside(tree, images):
        return None  # numbers that are those of a few images by chance, as in a list of classes
    return _Candidate(folder, name, layout, images, split, family)


def _images_beside(tree: FileTree, images: frozenset[str]) -> int:
    """Return how many images there are in the folders of some images."""
    folders = {os.path.dirname(image) for image in images}
    return sum(len(stems) for folder, stems in tree.images.items() if tree.path(folder) in folders)


def _names_in(layout: TableLayout, split: str) -> dict[str, str]:
    """Return the names of the files in a table with the split of each, by default `split`."""
    index, split_index = layout.columns["file"], layout.columns.get("split")
    names: dict[str, str] = {}
    for position, (_, cells) in enumerate(layout.text.records()):
        if (position or not layout.has_header) and len(cells) > index and cells[index].strip():
            cell = cells[split_index].strip().lower() if split_index is not None and len(cells) > split_index else ""
            names.setdefault(cells[index].strip(), SPLIT_NAMES.get(cell, split))
    return names


def _is_other(layout: TableLayout) -> bool:
    """Return whether a table holds predictions, or has a reader of its own."""
    return is_of_other_tool(layout) or any(plain(name) in PREDICTIONS for name in layout.header)


def _split_and_family(folder: str, name: str, layout: TableLayout) -> tuple[str, tuple[str, ...]]:
    """Return the split of a table, and what it shares with those of other splits: kind, columns, the rest of names."""
    stem = os.path.splitext(name)[0]
    words = _WORDS.findall(stem.lower())
    in_name = [SPLIT_NAMES.get(word) or split_of_name(word) for word in words]
    splits = {split for split in in_name if split}
    split, rest = "", stem.lower()
    if len(splits) == 1:
        split = splits.pop()
        rest = "-".join(word for word, word_split in zip(words, in_name, strict=True) if not word_split)
    parts = tuple("*" if split_of_name(part) else part for part in folder.split(os.sep))
    return split or split_in_path(folder), (layout.kind, *map(plain, layout.header), rest, *parts)


def _groups(candidates: Sequence[_Candidate]) -> Iterator[tuple[list[_Candidate], list[_Candidate]]]:
    """Yield the tables of each dataset, and the other tables of its kind, which only list the same files."""
    by_format = defaultdict(list)
    for candidate in candidates:
        by_format[FORMATS[candidate.layout.kind]].append(candidate)
    for same_kind in by_format.values():
        groups = list(_joined(same_kind))
        groups.sort(key=lambda group: (-len(_images(group)), -len(group)))
        while groups:
            best = next((group for group in groups if _covers(group, groups) and len(group) > 1), None)
            best = best or next((group for group in groups if _has_splits(group) and _covers(group, groups)), groups[0])
            repeated = [group for group in groups if group is not best and _covers(best, [group])]
            yield best, [candidate for group in repeated for candidate in group]
            groups = [group for group in groups if group is not best and group not in repeated]


def _joined(candidates: Sequence[_Candidate]) -> Iterator[list[_Candidate]]:
    """Yield tables that form one dataset: those of several splits, and those of the same columns with other files."""
    families = defaultdict(list)
    for candidate in candidates:
        families[candidate.family].append(candidate)
    lone = []
    for family in families.values():
        splits = Counter(candidate.split for candidate in family)
        if len(splits) > 1 and "" not in splits and _are_disjoint(family):
            yield sorted(family, key=lambda candidate: (SPLITS.index(candidate.split), candidate.path))
        else:
            lone += family
    by_columns = defaultdict(list)
    for candidate in lone:
        by_columns[tuple(map(plain, candidate.layout.header))].append(candidate)
    for same_columns in by_columns.values():
        if len(same_columns) > 1 and _are_disjoint(same_columns) and same_columns[0].layout.has_header:
            yield same_columns
        else:
            yield from ([candidate] for candidate in same_columns)


def _explain_group(
    tree: FileTree, group: Sequence[_Candidate], repeated: Sequence[_Candidate], finder: FileFinder
) -> Explanation:
    """Return what the tables of one dataset explain."""
    layouts = [candidate.layout for candidate in group]
    splits = [candidate.split for candidate in group]
    if len(set(splits)) == 1:  # the name of a lone train.csv tells nothing about its files
        splits = [""] * len(group)
    alone = len(group) == 1 and is_near(group[0].path, group[0].images)
    source = group[0].path if alone else tree.root
    labels = ", ".join(relative_to(tree.root, candidate.path) for candidate in group[:3])
    labels += f" and {len(group) - 3:,} more tables" if len(group) > 3 else ""
    findings = [
        Finding(NOTE, "table not used", candidate.path, "", f"it lists the same files as {labels}", "ignored")
        for candidate in repeated
    ]

    def read(options: ReadOptions) -> Dataset:
        dataset = read_tables(source, layouts, finder, splits, [*tree.findings, *findings])
        own = {candidate.path for candidate in (*group, *repeated)}
        return with_official_splits(dataset, [path for path in list_paths(tree) if path not in own])

    return explanation(source, layouts[0].kind, _images(group), labels, read, num_tables=len(group))


def _images(group: Sequence[_Candidate]) -> frozenset[str]:
    return frozenset(image for candidate in group for image in candidate.images)


def _are_disjoint(group: Sequence[_Candidate]) -> bool:
    """Return whether tables list different files, except for a few that are in two of them by mistake."""
    total = sum(len(candidate.images) for candidate in group)
    return len(_images(group)) >= ENOUGH * total


def _covers(group: Sequence[_Candidate], others: Sequence[Sequence[_Candidate]]) -> bool:
    """Return whether a group names nearly all files that other groups name."""
    images, own = frozenset[str]().union(*map(_images, others)), _images(group)
    return len(images & own) >= ENOUGH * len(images)


def _has_splits(group: Sequence[_Candidate]) -> bool:
    return any("split" in candidate.layout.columns for candidate in group)


def _refuse(options: ReadOptions) -> Dataset:
    raise AssertionError("an explanation with a problem is not read")
