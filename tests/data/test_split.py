"""The split: disjoint, complete, by class, by group, deterministic, and changed little by a new file."""

import re

import numpy as np
import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.dataset import Dataset, Ragged
from retinue.data.split import split


def dataset(labels, classes=None, groups=None, splits=None, folder="/images", names=None):
    """Make a dataset of files that do not exist. `labels` is a list of ints, or of lists for several labels."""
    is_multi_label = any(isinstance(label, list) for label in labels)
    column = {"labels": Ragged.from_rows(labels, np.int64)} if is_multi_label else {"label": np.array(labels, np.int64)}
    count = classes or 1 + max(max(label, default=0) if is_multi_label else label for label in labels)
    names = names or [f"{number}.jpg" for number in range(len(labels))]
    return Dataset(
        "classification",
        [f"{folder}/{name}" for name in names],
        [f"class {number}" for number in range(count)],
        column,
        splits=None if splits is None else np.array(splits, dtype=object),
        groups=None if groups is None else np.array(groups, dtype=object),
        source=folder,
    )


def counts(data):
    """Return the number of files of each class by split."""
    return {name: data.split(name).class_counts().tolist() for name in ("train", "val", "test")}


def files_by_split(data):
    """Return the set of files by split."""
    return {name: set(data.split(name).files) for name in ("train", "val", "test")}


RANDOM = np.random.default_rng(0)
MANY = RANDOM.choice(6, 500, p=[0.5, 0.25, 0.15, 0.05, 0.03, 0.02]).tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fractions", [(0.2, 0.0), (0.2, 0.1), (0.05, 0.5), (0.333, 0.333)])
def test_every_file_has_one_split_and_every_class_its_fraction_within_one_file(seed, fractions):
    data = split(dataset(MANY), val_fraction=fractions[0], test_fraction=fractions[1], seed=seed)
    assert len(data) == len(MANY) and set(data.splits) <= {"train", "val", "test"}
    ideal = np.bincount(MANY)
    for name, fraction in zip(("val", "test", "train"), (*fractions, 1 - sum(fractions)), strict=True):
        assert np.abs(np.array(counts(data)[name]) - fraction * ideal).max() <= 1, name


def test_small_classes_keep_training_files():
    labels = [number for number in range(1, 8) for _ in range(number)]
    data = counts(split(dataset(labels), val_fraction=0.2, test_fraction=0.1))
    assert data["val"] == [0, 0, 1, 1, 1, 1, 1, 1]
    assert data["test"] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert data["train"] == [0, 1, 1, 2, 2, 3, 4, 5]


def test_a_fraction_of_0_takes_no_validation_files():
    assert counts(split(dataset([0, 0, 1, 1]), val_fraction=0)) == {"train": [2, 2], "val": [0, 0], "test": [0, 0]}


def test_the_split_depends_on_the_seed_only():
    data = dataset(MANY)
    one, again, other = (files_by_split(split(data, test_fraction=0.1, seed=seed)) for seed in (7, 7, 8))
    assert one == again != other


def test_the_split_does_not_depend_on_the_order_of_files():
    data = dataset(MANY, groups=[f"g{number // 3}" if number % 2 else "" for number in range(len(MANY))])
    shuffled = data.take(np.random.default_rng(1).permutation(len(data)))
    assert files_by_split(split(data, test_fraction=0.1)) == files_by_split(split(shuffled, test_fraction=0.1))


def test_the_split_does_not_depend_on_the_folder():
    def validation_files(folder):
        names = [f"{label}/{number}.jpg" for number, label in enumerate(MANY)]
        files = split(dataset(MANY, folder=folder, names=names)).split("val").files
        return {name.removeprefix(folder) for name in files}

    assert validation_files("/images") == validation_files("/somewhere/else")


def test_an_additional_file_moves_at_most_one_other():
    before = files_by_split(split(dataset(MANY), test_fraction=0.1))
    after = files_by_split(split(dataset([*MANY, 0]), test_fraction=0.1))
    new = f"/images/{len(MANY)}.jpg"
    for name in before:
        assert len(before[name] ^ (after[name] - {new})) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together_and_classes_get_close_to_their_fraction(seed):
    groups = [f"g{number}" for number in RANDOM.integers(0, 100, len(MANY))]
    data = split(dataset(MANY, groups=groups), test_fraction=0.1, seed=seed)
    for group in set(groups):
        assert len(set(data.splits[np.array(groups) == group])) == 1
    ideal = np.bincount(MANY)
    largest = 1 + max(groups.count(group) for group in groups)
    assert np.abs(counts(data)["val"] - 0.2 * ideal).max() <= largest
    assert abs(sum(counts(data)["val"]) / len(MANY) - 0.2) < 0.05
    assert min(counts(data)["train"]) > 0


def test_the_group_closest_to_the_fraction_is_taken():
    data = split(dataset([0] * 10, groups=["a"] * 8 + ["b"] * 2))
    assert list(data.splits) == ["train"] * 8 + ["val"] * 2  # group b is closest to 2 of 10 files


def test_a_class_with_only_large_groups_gives_its_smallest_group():
    data = split(dataset([0] * 6 + [1] * 9, groups=["a", "a", "b", "b", "c", "c"] + list("dddeeefff")))
    assert counts(data) == {"train": [4, 6], "val": [2, 3], "test": [0, 0]}
    data = split(dataset([0] * 5 + [1] * 5, groups=["a"] * 3 + ["b"] * 2 + list("cdefg")))
    assert counts(data)["val"] == [2, 1]
    halves = split(dataset([0] * 14, groups=["a"] * 7 + ["b"] * 7))
    assert counts(halves)["val"] == [7]  # at most half of the class


def test_a_class_with_one_group_stays_in_the_training_set():
    data = split(dataset([0, 0, 0, 0, 1, 1, 1, 1], groups=["a"] * 4 + list("bcde")))
    assert counts(data)["train"][0] == 4
    assert counts(data)["val"] == [0, 1]


def test_duplicates_are_in_one_split():
    rows = [np.array([row, row + 100, row + 200]) for row in range(50)]
    for seed in range(5):
        data = split(dataset(MANY), seed=seed, duplicate_groups=rows)
        assert all(len(set(data.splits[group])) == 1 for group in rows)
        assert set(data.splits) == {"train", "val"}


def test_duplicates_join_the_groups_that_they_belong_to():
    groups = ["a", "a", "b", "b", "", "c", "d", "e", "f", "g"]
    for seed in range(20):
        data = split(dataset([0] * 10, groups=groups), seed=seed, duplicate_groups=[[1, 2], [3, 4]])
        assert len(set(data.splits[:5])) == 1


def test_existing_splits_are_kept():
    existing = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    data = dataset([0, 1] * 5, splits=existing)
    assert list(split(data, val_fraction=0.5, test_fraction=0.3).splits) == existing


def test_validation_files_are_taken_from_train_if_only_train_and_test_exist():
    existing = ["train"] * 20 + ["test"] * 10
    data = split(dataset([0, 1] * 15, splits=existing), val_fraction=0.2)
    assert set(data.splits[20:]) == {"test"}
    assert counts(data) == {"train": [8, 8], "val": [2, 2], "test": [5, 5]}


def test_files_without_a_split_are_training_files():
    data = split(dataset([0, 1] * 5, splits=[""] * 4 + ["train"] * 2 + ["val"] * 4))
    assert list(data.splits) == ["train"] * 6 + ["val"] * 4


def test_a_file_without_a_split_follows_its_group():
    data = split(dataset([0, 1, 0, 1], groups=["a", "b", "a", "b"], splits=["val", "train", "", ""]))
    assert list(data.splits) == ["val", "train", "val", "train"]


def test_with_several_labels_each_class_gets_close_to_its_fraction():
    random = np.random.default_rng(3)
    labels = [
        np.flatnonzero(random.random(8) < [0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02]).tolist() for _ in range(600)
    ]
    data = split(dataset(labels), val_fraction=0.2, test_fraction=0.1)
    total = np.bincount([label for row in labels for label in row])
    assert np.abs(counts(data)["val"] - 0.2 * total).max() <= 1
    assert np.abs(counts(data)["test"] - 0.1 * total).max() <= 1
    empty = np.array([not row for row in labels])
    assert abs((data.splits[empty] == "val").mean() - 0.2) < 0.1
    assert len(data.split("val")) / len(data) == pytest.approx(0.2, abs=0.05)


def test_a_rare_label_next_to_a_common_one_stays_in_train():
    labels = [[0]] * 9 + [[0, 1]]
    data = split(dataset(labels), val_fraction=0.5)
    assert data.splits[9] == "train" and counts(data)["val"] == [5, 0]


@pytest.mark.parametrize("fractions", [(1.0, 0.0), (-0.1, 0.0), (0.6, 0.4), (0.2, 1.0)])
def test_fractions_out_of_range_are_rejected(fractions):
    with pytest.raises(
        UsageError, match=re.escape(f"data.val_fraction={fractions[0]} and data.test_fraction={fractions[1]}")
    ):
        split(dataset([0, 1]), val_fraction=fractions[0], test_fraction=fractions[1])


def test_it_is_an_error_if_no_file_can_be_taken_for_validation():
    message = "/images: no file can be used for the val split, because .* or use --set data.val_fraction=0"
    with pytest.raises(RetinueError, match=message):
        split(dataset([0, 1, 2]))


def test_files_of_the_same_name_in_two_class_folders_are_distinguished():
    names = [f"{name}/{number}.jpg" for name in "ab" for number in range(10)]
    assert counts(split(dataset([0] * 10 + [1] * 10, names=names)))["val"] == [2, 2]
