"""`Ragged` and `Dataset`: columns, selection, class counts and the fingerprint."""

import dataclasses

import numpy as np
import pytest

from retinue.data.dataset import Dataset, Ragged
from retinue.data.readers.objects import object_columns
from retinue.data.storage.content import content_ids


def single_label(folder=None):
    files = [str(folder / name) if folder else name for name in ("a.jpg", "b.jpg", "c.jpg")]
    splits = np.array(["train", "val", "train"], dtype=object)
    groups = np.array(["p", "q", "p"], dtype=object)
    return Dataset("classification", files, ["cat", "dog", "fox"], {"label": np.array([1, 0, 1])}, splits, groups)


def multi_label():
    labels = Ragged.from_rows([[0, 1], [], [1]], np.int64)
    return Dataset("classification", ["a.jpg", "b.jpg", "c.jpg"], ["cat", "dog"], {"labels": labels})


def test_ragged_rows_can_be_indexed_and_taken():
    ragged = Ragged.from_rows([[1, 2], [], [3]], np.int64)
    assert [row.tolist() for row in ragged] == [[1, 2], [], [3]]
    assert ragged.offsets.tolist() == [0, 2, 2, 3] and len(ragged) == 3
    taken = ragged.take([2, 0, 1, 0])
    assert [row.tolist() for row in taken] == [[3], [1, 2], [], [1, 2]]
    assert [row.tolist() for row in ragged.take([])] == []


def test_ragged_boxes_and_empty_rows_keep_their_shape():
    ragged = Ragged.from_rows([[], [[0, 0, 1, 1], [2, 2, 3, 3]]], np.float32, width=4)
    assert ragged[0].shape == (0, 4) and ragged[1].shape == (2, 4) and ragged.values.dtype == np.float32
    empty = Ragged.from_rows([[], []], np.float32, width=4)
    assert empty[1].shape == (0, 4) and len(empty) == 2


def test_iteration_yields_records_as_dicts():
    assert list(single_label())[1] == {"file": "b.jpg", "split": "val", "label": 0}
    assert [record["labels"].tolist() for record in multi_label()] == [[0, 1], [], [1]]


def test_selected_records_keep_all_their_columns():
    train = single_label().split("train")
    assert (list(train.files), train.columns["label"].tolist()) == (["a.jpg", "c.jpg"], [1, 1])
    assert list(train.groups) == ["p", "p"] and set(train.splits) == {"train"}
    picked = multi_label().take(np.array([True, False, True]))
    assert [row.tolist() for row in picked.columns["labels"]] == [[0, 1], [1]]
    assert len(single_label().take([])) == 0


def test_class_counts_count_every_label_of_a_file():
    assert single_label().class_counts().tolist() == [1, 2, 0]
    assert multi_label().class_counts().tolist() == [1, 2]
    assert not single_label().multi_label and multi_label().multi_label


def test_columns_of_a_different_length_are_rejected():
    with pytest.raises(ValueError, match="column label has 2 rows, but there are 3 files"):
        Dataset("classification", ["a", "b", "c"], ["x"], {"label": np.array([0, 0])})
    with pytest.raises(ValueError, match="column splits has 1 rows"):
        single_label().with_splits(["train"])


def test_the_fingerprint_changes_only_with_the_data(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"1234")
    data = single_label(tmp_path)
    before = data.fingerprint
    assert single_label(tmp_path).fingerprint == before
    assert dataclasses.replace(data, source="elsewhere").fingerprint == before
    labels = {"label": np.array([1, 0, 2])}
    assert dataclasses.replace(data, columns=labels).fingerprint != before
    assert dataclasses.replace(data, classes=("cat", "dog", "wolf")).fingerprint != before
    assert data.with_splits(["train", "train", "val"]).fingerprint != before
    assert data.take([0, 1]).fingerprint != before
    (tmp_path / "c.jpg").write_bytes(b"1235")
    assert data.fingerprint != before  # although the size is the same
    other_rows = {"labels": Ragged.from_rows([[0], [1], [1]], np.int64)}
    assert multi_label().fingerprint != dataclasses.replace(multi_label(), columns=other_rows).fingerprint


def test_the_fingerprint_does_not_change_when_the_folder_moves(tmp_path):
    (tmp_path / "here").mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / "here" / name).write_bytes(name.encode())
    before = single_label(tmp_path / "here").fingerprint
    (tmp_path / "here").rename(tmp_path / "there")
    assert single_label(tmp_path / "there").fingerprint == before


def test_known_content_ids_replace_reading_the_files(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    data = single_label(tmp_path)
    known = dataclasses.replace(data, content_ids=content_ids(data.files))
    assert known.fingerprint == data.fingerprint
    assert known.take([2, 0]).content_ids.tolist() == content_ids(data.files[[2, 0]])
    assert known.take([2, 0]).fingerprint == data.take([2, 0]).fingerprint
    (tmp_path / "a.jpg").unlink()
    assert known.fingerprint != data.fingerprint  # the content ids describe the files at the time of the check
    with pytest.raises(ValueError, match="column content_ids has 1 rows"):
        dataclasses.replace(data, content_ids=["0"])


def test_ragged_values_can_be_filtered():
    rows = Ragged.from_rows([[1, 2], [], [3], [4, 5, 6]], np.int64)
    assert rows.value_rowids().tolist() == [0, 0, 2, 3, 3, 3]
    kept = rows.filter_values(np.array([False, True, False, True, False, True]))
    assert [row.tolist() for row in kept] == [[2], [], [], [4, 6]]
    assert [row.tolist() for row in rows.filter_values(np.zeros(6, bool))] == [[]] * 4


def test_a_detection_dataset_is_not_multi_label():
    columns = object_columns([1, 0, 1], [[0, 0, 1, 1]] * 3, [1, 0, 1], [7, 8, 9], ["a", "b"])
    data = Dataset("detection", ["a.jpg", "b.jpg"], ["cat", "dog"], columns, class_ids=[3, 18])
    assert not data.multi_label and multi_label().multi_label
    assert data.class_counts().tolist() == [1, 2] and data.class_ids == (3, 18)
    assert data.columns["object_id"][1].tolist() == [7, 9]
    assert data.columns["image_id"].tolist() == ["a", "b"] and data.columns["crowd"].values.dtype == bool
