"""Dividing a dataset into training, validation and test set: by class, by group, and deterministically."""

import hashlib
import os
from collections.abc import Sequence

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.dataset import Dataset

Unit = list[int]  # rows of files that must be in the same split
ClassCounts = tuple[np.ndarray, np.ndarray]  # the classes in a unit, and the number of its files of each


def split(
    dataset: Dataset,
    *,
    val_fraction: float = 0.2,
    test_fraction: float = 0.0,
    seed: int = 0,
    duplicate_groups: Sequence[Sequence[int] | np.ndarray] = (),
) -> Dataset:
    """Assign a split to every file. Splits that the data came with are kept.

    A validation set is taken from the training files only if the data has none, and so is a test set. Files without a
    split count as training files. From each class the fraction is taken, rounded, and at least one file for validation
    if the class has two files (for test, if it has four). If a class has only one file or one group, all of it stays
    in the training set. Groups of `dataset.groups` and of `duplicate_groups` are never separated.

    Which files are taken depends on the seed and on their paths below their common folder, but not on their order.
    Therefore an additional file moves few others. If files have several labels, or objects of several classes, the
    rarest class comes first, and each class gets close to its fraction.

    Args:
        dataset: The files.
        val_fraction: Fraction of the files for validation.
        test_fraction: Fraction of the files for the test set.
        seed: Seed of the run.
        duplicate_groups: Rows of files with the same content, which the check finds.

    Returns:
        The same records in the same order, each with a split.

    Raises:
        UsageError: If a fraction is out of range.
        RetinueError: If a split has to be taken from the training files, but no file can be taken.
    """
    if not (0 <= val_fraction < 1 and 0 <= test_fraction < 1 and val_fraction + test_fraction < 1):
        raise UsageError(
            f"data.val_fraction={val_fraction} and data.test_fraction={test_fraction} must be at least 0, and their "
            "sum must be below 1"
        )
    splits = dataset.splits.copy()
    fractions = {"val": val_fraction, "test": test_fraction}
    fractions = {name: value for name, value in fractions.items() if value and not (splits == name).any()}
    units = _join_groups(dataset, duplicate_groups)
    _complete_units(splits, units)
    splits[splits == ""] = "train"
    _SplitAssignment(dataset, [rows for rows in units if (splits[rows] == "train").all()], splits, seed).run(fractions)
    for name in fractions:
        if not (splits == name).any():
            raise RetinueError(
                f"{dataset.source}: no file can be used for the {name} split, because every class has only one file or "
                f"one group, or its groups are larger than half of it; add files, add a {name} split to the data, or "
                f"use --set data.{name}_fraction=0"
            )
    return dataset.with_splits(splits)


def _join_groups(dataset: Dataset, duplicate_groups: Sequence[Sequence[int] | np.ndarray]) -> list[Unit]:
    """Return the units of files that must stay together: groups and duplicate groups, joined if they overlap."""
    groups: list[Sequence[int] | np.ndarray] = list(duplicate_groups)
    if dataset.groups is not None:
        by_name: dict[str, Unit] = {}
        for row, group in enumerate(dataset.groups):
            if group:
                by_name.setdefault(group, []).append(row)
        groups += list(by_name.values())
    parent = np.arange(len(dataset))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for rows in groups:
        for row in rows[1:]:
            parent[root(row)] = root(rows[0])
    units: dict[int, Unit] = {}
    for row in range(len(dataset)):
        units.setdefault(root(row), []).append(row)
    return list(units.values())


def _complete_units(splits: np.ndarray, units: Sequence[Unit]) -> None:
    """Give files without a split the split of other files of their unit, so that the unit stays together."""
    for rows in units:
        known = sorted({name for name in splits[rows] if name})
        if known:
            for row in rows:
                splits[row] = splits[row] or known[0]


class _SplitAssignment:
    """Moves units of training files to the validation and the test set.

    Args:
        dataset: All files.
        pool: The units of which all files are training files.
        splits: str objects [n], the split of each file. `run` changes it.
        seed: Seed of the run.
    """

    def __init__(self, dataset: Dataset, pool: Sequence[Unit], splits: np.ndarray, seed: int) -> None:
        count = len(dataset.classes) + 1
        names = _relative_names(dataset.files)
        self.pool, self.splits = pool, splits
        self.labels = [_class_counts(dataset, rows) for rows in pool]
        self.files = _sum_by_class(self.labels, count)  # files of each class
        # Units of each class that are still training files.
        self.units_left = _sum_by_class([(classes, np.ones_like(classes)) for classes, _ in self.labels], count)
        self.moved: set[int] = set()
        keys = [self._sort_key(unit, names, seed) for unit in range(len(pool))]
        self.forwards = sorted(range(len(pool)), key=keys.__getitem__)
        self.backwards = sorted(reversed(self.forwards), key=lambda unit: keys[unit][0])

    def run(self, fractions: dict[str, float]) -> None:
        """Move units until each class has given its fraction.

        Args:
            fractions: Fraction of each class's files, by the split ("val", "test") that they are moved to.
        """
        for name, fraction in fractions.items():
            wanted = np.floor(fraction * self.files + 0.5)
            wanted = np.maximum(wanted, self.files >= (2 if name == "val" else 4))
            # Validation takes the units of a class from one end and test from the other, so that a new file in one of
            # them moves none in the other.
            for unit in self.forwards if name == "val" else self.backwards:
                classes, counts = self.labels[unit]
                is_free = unit not in self.moved and (self.units_left[classes] > 1).all()
                if is_free and _comes_closer(wanted[classes], counts, self.files[classes]):
                    self._move(unit, name)
                    wanted[classes] -= counts
            self._fill_empty_classes(np.flatnonzero(wanted > 0), name)

    def _move(self, unit: int, name: str) -> None:
        self.splits[self.pool[unit]] = name
        self.units_left[self.labels[unit][0]] -= 1
        self.moved.add(unit)

    def _fill_empty_classes(self, classes: np.ndarray, name: str) -> None:
        """Move the smallest unit of each class that has none in the split, if at most half of the class is in it.

        Such a class has groups so large that none of them would bring it closer to its fraction.
        """
        for label in classes:
            units = [unit for unit in self.forwards if label in self.labels[unit][0]]
            if any(self.splits[self.pool[unit][0]] == name for unit in units):
                continue
            movable = [unit for unit in units if unit not in self.moved and self._leaves_half(unit)]
            if movable:
                self._move(min(movable, key=lambda unit: len(self.pool[unit])), name)

    def _leaves_half(self, unit: int) -> bool:
        """Return whether each class of the unit keeps another unit, and at least half of its files."""
        classes, counts = self.labels[unit]
        return bool((self.units_left[classes] > 1).all() and (2 * counts <= self.files[classes]).all())

    def _sort_key(self, unit: int, names: Sequence[str], seed: int) -> tuple[tuple[int, int], tuple[bytes, str]]:
        """Return the key for the rarest class first, and within it the order of hashes of seed and name."""
        rarest = min((int(self.files[label]), int(label)) for label in self.labels[unit][0])
        return rarest, min((_hash(seed, names[row]), names[row]) for row in self.pool[unit])


def _comes_closer(wanted: np.ndarray, counts: np.ndarray, files: np.ndarray) -> bool:
    """Return whether a unit's files bring its rarest class, and its classes together, closer to the wanted numbers.

    The rarest class decides, because the other classes have more units from which they can be filled.

    Args:
        wanted: float [k], number of files of each class of the unit that are still wanted.
        counts: int [k], number of files of each class in the unit.
        files: int [k], number of all files of each class.
    """
    change = ((wanted - counts) ** 2 - wanted**2) / files
    return bool(change[np.argmin(files)] < 0 and change.sum() < 0)


def _class_counts(dataset: Dataset, rows: Unit) -> ClassCounts:
    """Count the files of each class in a unit. Files without any label form a class of their own, the last one."""
    if "labels" in dataset.columns:
        column = dataset.columns["labels"]
        labels = [np.unique(column[row]) if len(column[row]) else [len(dataset.classes)] for row in rows]
        return np.unique(np.concatenate(labels).astype(np.int64), return_counts=True)
    if not dataset.classes:
        return np.zeros(1, np.int64), np.array([len(rows)])
    return np.unique(dataset.columns["label"][rows], return_counts=True)


def _sum_by_class(labels: Sequence[ClassCounts], count: int) -> np.ndarray:
    total = np.zeros(count, np.int64)
    for classes, counts in labels:
        total[classes] += counts
    return total


def _hash(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()


def _relative_names(files: Sequence[str] | np.ndarray) -> list[str]:
    """Return the paths below the common folder, so that a moved or copied dataset is split in the same way."""
    absolute = [os.path.abspath(name) for name in files]
    common = os.path.commonpath([os.path.dirname(name) for name in absolute])
    return [os.path.relpath(name, common).replace(os.sep, "/") for name in absolute]
