"""Darknet's .data files and lists of images."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read
from retinue.data.readers.yolo.darknet_lists import is_data_file, is_image_list
from retinue.tests.helpers.box_files import save_image


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data/obj").mkdir(parents=True)
    for name in "abcd":
        save_image(tmp_path / f"data/obj/{name}.jpg")
        (tmp_path / f"data/obj/{name}.txt").write_text("1 .5 .5 .5 .5\n")
    (tmp_path / "data/train.txt").write_text("data/obj/a.jpg\nC:\\darknet\\data\\obj\\b.jpg\n")
    (tmp_path / "data/valid.txt").write_text("/home/me/data/obj/c.jpg\ndata/obj/gone.jpg\n")
    (tmp_path / "data/obj.names").write_text("car\nbus\n")
    return tmp_path


def splits(data):
    return {file[-5]: split for file, split in zip(data.files, data.splits, strict=True)}


def test_lists_give_the_splits(folder):
    data = read(folder)
    assert splits(data) == {"a": "train", "b": "train", "c": "val"}
    assert [(finding.severity, finding.reason) for finding in data.findings] == [
        ("warning", "1 of its 2 images are not there, the first is data/obj/gone.jpg"),
        ("note", "1 image is labeled, but in no list of images"),
    ]


def test_the_data_file_names_the_lists_and_the_classes(folder):
    (folder / "cfg").mkdir()
    (folder / "data/coco.names").write_text("x\ny\n")
    (folder / "cfg/coco.data").write_text("train = /home/coco.txt\nnames = data/coco.names\n")
    (folder / "data/all.txt").write_text("data/obj/a.jpg\ndata/obj/b.jpg\ndata/obj/d.jpg\n")
    (folder / "obj.data").write_text("classes= 2\nTrain = data/all.txt\nValidation=data/valid.txt\nnames = obj.names\n")
    for source in (folder, folder / "obj.data"):
        data = read(source)
        assert data.classes == ("car", "bus")
        assert splits(data) == {"a": "train", "b": "train", "d": "train", "c": "val"}


def test_lists_without_one_for_training_are_ignored_with_a_warning(folder):
    (folder / "data/train.txt").unlink()
    data = read(folder)
    assert splits(data) == dict.fromkeys("abcd", "")
    assert [finding.kind for finding in data.findings] == ["no list for training"]


def test_an_image_of_two_lists_is_named(folder):
    (folder / "data/valid.txt").write_text("data/obj/a.jpg\ndata/obj/c.jpg\n")
    data = read(folder)
    assert splits(data) == {"a": "train", "b": "train", "c": "val"}
    assert data.findings[0].reason == "1 image is in the lists of two splits"


def test_lists_and_data_files_are_known_by_their_content(tmp_path):
    texts = {"a.txt": "x/1.jpg\n2.png\n", "b.txt": "1.jpg 3\n", "c.txt": "", "d.data": "names = x\n", "e.data": "1,2\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert [name for name in texts if is_image_list(str(tmp_path / name))] == ["a.txt"]
    assert [name for name in texts if is_data_file(str(tmp_path / name))] == ["d.data"]


def test_lists_may_have_other_words_beside_the_split(folder):
    for split, name in (("train", "autosplit_train.txt"), ("valid", "my-val.txt")):
        (folder / f"data/{split}.txt").rename(folder / name)
    assert splits(read(folder)) == {"a": "train", "b": "train", "c": "val"}


def test_folds_are_not_read_together(folder):
    for fold, val in (("fold0", "d"), ("fold1", "a")):
        (folder / fold).mkdir()
        train = [name for name in "abcd" if name != val]
        (folder / f"{fold}/train.txt").write_text("".join(f"../data/obj/{name}.jpg\n" for name in train))
        (folder / f"{fold}/val.txt").write_text(f"../data/obj/{val}.jpg\n")
    for split in ("train", "valid"):
        (folder / f"data/{split}.txt").unlink()
    with pytest.raises(RetinueError, match="of different folds, .*; move the lists of all folds but one out"):
        read(folder)
