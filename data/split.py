"""Dividing a dataset into train, val and test: by class, by group, and the same way each time."""

import hashlib
import os

import numpy as np

from retinue.configs.errors import RetinueError, UsageError


def split(dataset, *, val_fraction=0.2, test_fraction=0.0, seed=0, duplicate_groups=()):
    """The same records with every split filled. Splits that the data came with are kept.

    A val split is held out of the training files only where the data has none, and so is a test split; files without a
    split count as training files. Each class gives its share, rounded, and, from two files on, at least one to val
    (from four on, to test). Of a class with one file, or with all files in one group, none is held out.
    Groups of `dataset.groups` and `duplicate_groups` (arrays of rows, from the check) never part.

    Which files are held out depends on the seed and their names below the common folder, not on their order, so a file
    more moves few others. Files with several labels, or objects of several classes: the rarest class first, each kept
    near its share.
    Raises UsageError for shares out of range, RetinueError when nothing can be held out.
    """
    if not (0 <= val_fraction < 1 and 0 <= test_fraction < 1 and val_fraction + test_fraction < 1):
        raise UsageError(
            f"data.val_fraction {val_fraction} and data.test_fraction {test_fraction} must be below 1 together"
        )
    splits = dataset.splits.copy()
    held_out = {"val": val_fraction, "test": test_fraction}
    held_out = {name: share for name, share in held_out.items() if share and not (splits == name).any()}
    units = _units(dataset, duplicate_groups)
    _follow_their_group(splits, units)
    splits[splits == ""] = "train"
    pool = [rows for rows in units if (splits[rows] == "train").all()]
    _hold_out(dataset, pool, splits, held_out, seed)
    for name in held_out:
        if not (splits == name).any():
            raise RetinueError(
                f"{dataset.source}: no file can be held out for {name}, since every class has one file or one group, "
                f"or groups of more than half of it; add files, or give the data a {name} split, or --set "
                f"data.{name}_share=0"
            )
    return dataset.with_splits(splits)


def _units(dataset, duplicate_groups):
    """Lists of rows that must stay together: by group, and by duplicate group, joined where they overlap."""
    together = [rows for rows in duplicate_groups]
    if dataset.groups is not None:
        by_name = {}
        for row, group in enumerate(dataset.groups):
            if group:
                by_name.setdefault(group, []).append(row)
        together += list(by_name.values())
    parent = np.arange(len(dataset))

    def root(row):
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for rows in together:
        for row in rows[1:]:
            parent[root(row)] = root(rows[0])
    units = {}
    for row in range(len(dataset)):
        units.setdefault(root(row), []).append(row)
    return list(units.values())


def _follow_their_group(splits, units):
    """Files without a split go where others of their unit are, so that no unit parts that was whole."""
    for rows in units:
        given = sorted({name for name in splits[rows] if name})
        if given:
            for row in rows:
                splits[row] = splits[row] or given[0]


def _hold_out(dataset, pool, splits, held_out, seed):
    """Move units of the pool to val and test, until each class has given its share."""
    names = _names(dataset.files)
    labels = [_label_counts(dataset, rows) for rows in pool]
    files = _sum(labels, len(dataset.classes) + 1)
    left = _sum([np.stack([counts[0], np.ones_like(counts[0])]) for counts in labels], len(dataset.classes) + 1)
    keys = [_order(labels[unit][0], files, names, pool[unit], seed) for unit in range(len(pool))]
    forwards = sorted(range(len(pool)), key=keys.__getitem__)
    backwards = sorted(reversed(forwards), key=lambda unit: keys[unit][0])
    moved = set()
    for name, share in held_out.items():
        wanted = np.floor(share * files + 0.5)
        wanted = np.maximum(wanted, files >= (2 if name == "val" else 4))
        # Of each class val takes one end and test the other, so that a new file in one moves none in the other.
        for unit in forwards if name == "val" else backwards:
            classes, counts = labels[unit]
            if unit not in moved and (left[classes] > 1).all() and _is_nearer(wanted[classes], counts, files[classes]):
                splits[pool[unit]] = name
                wanted[classes] -= counts
                left[classes] -= 1
                moved.add(unit)
        _give_each_class_one(pool, labels, forwards, files, wanted, left, moved, splits, name)


def _give_each_class_one(pool, labels, order, files, wanted, left, moved, splits, name):
    """Of a class whose groups are all too large to be nearer to what is wanted, the smallest, if it leaves half."""
    for label in np.flatnonzero(wanted > 0):
        if any(splits[pool[unit][0]] == name for unit in order if label in labels[unit][0]):
            continue
        able = [
            unit
            for unit in order
            if unit not in moved
            and label in labels[unit][0]
            and (left[labels[unit][0]] > 1).all()
            and (2 * labels[unit][1] <= files[labels[unit][0]]).all()
        ]
        if able:
            unit = min(able, key=lambda unit: len(pool[unit]))
            splits[pool[unit]] = name
            left[labels[unit][0]] -= 1
            moved.add(unit)


def _is_nearer(wanted, counts, files):
    """Whether the unit's files bring its rarest class nearer to what is wanted, and its classes together too.

    The rarest decides, since the others have more units to be filled up from.
    """
    change = ((wanted - counts) ** 2 - wanted**2) / files
    return change[np.argmin(files)] < 0 and change.sum() < 0


def _label_counts(dataset, rows):
    """(classes, files of each) of a unit; files without any label count as one class more, so that they spread too."""
    if "labels" in dataset.columns:
        column = dataset.columns["labels"]
        each = [np.unique(column[row]) if len(column[row]) else [len(dataset.classes)] for row in rows]
        return np.unique(np.concatenate(each).astype(np.int64), return_counts=True)
    return np.unique(dataset.columns["label"][rows], return_counts=True)


def _sum(labels, classes):
    total = np.zeros(classes, np.int64)
    for index, counts in labels:
        total[index] += counts
    return total


def _order(classes, files, names, rows, seed):
    """Rarest class first; within it by a hash of seed and name, and by name where names are the same."""
    rarest = min((int(files[label]), int(label)) for label in classes)
    return rarest, min((_hash(seed, names[row]), names[row]) for row in rows)


def _hash(seed, name):
    return hashlib.blake2b(f"{seed}/{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()


def _names(files):
    """Names below the common folder, so that a dataset that was moved or copied splits the same way."""
    absolute = [os.path.abspath(name) for name in files]
    common = os.path.commonpath([os.path.dirname(name) for name in absolute])
    return [os.path.relpath(name, common).replace(os.sep, "/") for name in absolute]
