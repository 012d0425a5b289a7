"""`Ragged` and `Dataset`: columns, parts, counts and the fingerprint."""

import dataclasses

import numpy as np
import pytest

from retinue.data.dataset import Dataset, Ragged
from retinue.data.readers.objects import object_columns
from retinue.data.storage.content import content_ids


def single(folder=None):
    files = [str(folder / name) if folder else name for name in ("a.jpg", "b.jpg", "c.jpg")]
    splits = np.array(["train", "val", "train"], dtype=object)
    groups = np.array(["p", "q", "p"], dtype=object)
    return Dataset("classification", files, ["cat", "dog", "fox"], {"label": np.array([1, 0, 1])}, splits, groups)


def several():
    labels = Ragged.from_rows([[0, 1], [], [1]], np.int64)
    return Dataset("classification", ["a.jpg", "b.jpg", "c.jpg"], ["cat", "dog"], {"labels": labels})


def test_ragged_rows():
    ragged = Ragged.from_rows([[1, 2], [], [3]], np.int64)
    assert [row.tolist() for row in ragged] == [[1, 2], [], [3]]
    assert ragged.offsets.tolist() == [0, 2, 2, 3] and len(ragged) == 3
    taken = ragged.take([2, 0, 1, 0])
    assert [row.tolist() for row in taken] == [[3], [1, 2], [], [1, 2]]
    assert [row.tolist() for row in ragged.take([])] == []


def test_ragged_boxes_and_nothing_at_all():
    ragged = Ragged.from_rows([[], [[0, 0, 1, 1], [2, 2, 3, 3]]], np.float32, width=4)
    assert ragged[0].shape == (0, 4) and ragged[1].shape == (2, 4) and ragged.values.dtype == np.float32
    empty = Ragged.from_rows([[], []], np.float32, width=4)
    assert empty[1].shape == (0, 4) and len(empty) == 2


def test_records():
    assert list(single())[1] == {"file": "b.jpg", "split": "val", "label": 0}
    assert [record["labels"].tolist() for record in several()] == [[0, 1], [], [1]]


def test_parts_keep_their_columns_together():
    train = single().split("train")
    assert (list(train.files), train.columns["label"].tolist()) == (["a.jpg", "c.jpg"], [1, 1])
    assert list(train.groups) == ["p", "p"] and set(train.splits) == {"train"}
    picked = several().take(np.array([True, False, True]))
    assert [row.tolist() for row in picked.columns["labels"]] == [[0, 1], [1]]
    assert len(single().take([])) == 0


def test_class_counts():
    assert single().class_counts().tolist() == [1, 2, 0]
    assert several().class_counts().tolist() == [1, 2]
    assert not single().multi_label and several().multi_label


def test_columns_of_another_length_are_refused():
    with pytest.raises(ValueError, match="column label has 2 rows, but there are 3 files"):
        Dataset("classification", ["a", "b", "c"], ["x"], {"label": np.array([0, 0])})
    with pytest.raises(ValueError, match="column splits has 1 rows"):
        single().with_splits(["train"])


def test_the_fingerprint_changes_with_the_data_and_only_with_it(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"1234")
    data = single(tmp_path)
    before = data.fingerprint
    assert single(tmp_path).fingerprint == before
    assert dataclasses.replace(data, source="elsewhere").fingerprint == before
    labels = {"label": np.array([1, 0, 2])}
    assert dataclasses.replace(data, columns=labels).fingerprint != before
    assert dataclasses.replace(data, classes=("cat", "dog", "wolf")).fingerprint != before
    assert data.with_splits(["train", "train", "val"]).fingerprint != before
    assert data.take([0, 1]).fingerprint != before
    (tmp_path / "c.jpg").write_bytes(b"1235")
    assert data.fingerprint != before  # though the size is the same
    assert (
        several().fingerprint
        != dataclasses.replace(several(), columns={"labels": Ragged.from_rows([[0], [1], [1]], np.int64)}).fingerprint
    )


def test_the_fingerprint_stays_when_the_folder_moves(tmp_path):
    (tmp_path / "here").mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / "here" / name).write_bytes(name.encode())
    before = single(tmp_path / "here").fingerprint
    (tmp_path / "here").rename(tmp_path / "there")
    assert single(tmp_path / "there").fingerprint == before


def test_content_ids_spare_reading_the_files_and_follow_the_rows(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    data = single(tmp_path)
    known = dataclasses.replace(data, content_ids=content_ids(data.files))
    assert known.fingerprint == data.fingerprint
    assert known.take([2, 0]).content_ids.tolist() == content_ids(data.files[[2, 0]])
    assert known.take([2, 0]).fingerprint == data.take([2, 0]).fingerprint
    (tmp_path / "a.jpg").unlink()
    assert known.fingerprint != data.fingerprint  # it is the state that was checked
    with pytest.raises(ValueError, match="column content_ids has 1 rows"):
        dataclasses.replace(data, content_ids=["0"])


def test_values_are_taken_out_of_rows():
    rows = Ragged.from_rows([[1, 2], [], [3], [4, 5, 6]], np.int64)
    assert rows.row_of_value().tolist() == [0, 0, 2, 3, 3, 3]
    kept = rows.keep(np.array([False, True, False, True, False, True]))
    assert [row.tolist() for row in kept] == [[2], [], [], [4, 6]]
    assert [row.tolist() for row in rows.keep(np.zeros(6, bool))] == [[]] * 4


def test_objects_of_several_classes_are_no_multi_label_classification():
    columns = object_columns([1, 0, 1], [[0, 0, 1, 1]] * 3, [1, 0, 1], [7, 8, 9], ["a", "b"])
    data = Dataset("detection", ["a.jpg", "b.jpg"], ["cat", "dog"], columns, class_ids=[3, 18])
    assert not data.multi_label and several().multi_label
    assert data.class_counts().tolist() == [1, 2] and data.class_ids == (3, 18)
    assert data.columns["object_id"][1].tolist() == [7, 9]
    assert data.columns["image_id"].tolist() == ["a", "b"] and data.columns["crowd"].values.dtype == bool
