"""Lists of images with their boxes, as keras-yolo3 reads them."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read
from retinue.data.readers.yolo.keras_yolo_lists import is_keras_yolo_list
from retinue.tests.helpers.box_files import save_image


@pytest.fixture
def folder(tmp_path):
    for name in ("train/my a.jpg", "train/b.jpg", "valid/c.jpg", "test/d.jpg"):
        save_image(tmp_path / name)
    (tmp_path / "train/_annotations.txt").write_text("my a.jpg 1,2,31,42,1 5,6,7,8,0\nb.jpg\n")
    (tmp_path / "valid/_annotations.txt").write_text("c.jpg 10,20,30,40,0\n")
    for split in ("train", "valid"):
        (tmp_path / split / "_classes.txt").write_text("car\nbus")
    return tmp_path


def test_the_lists_of_roboflow_are_read(folder):
    data = read(folder)
    assert (data.format, data.task, data.classes) == ("keras-yolo", "detection", ("car", "bus"))
    assert data.files.tolist() == [f"{folder}/{name}" for name in ("train/my a.jpg", "train/b.jpg", "valid/c.jpg")]
    assert data.splits.tolist() == ["train", "train", "val"]
    assert data.columns["boxes"].values.tolist() == [[1, 2, 31, 42], [5, 6, 7, 8], [10, 20, 30, 40]]
    assert data.columns["labels"].values.tolist() == [1, 0, 0]
    assert data.columns["location"][0] == "line 1 of train/_annotations.txt"
    assert [finding.reason for finding in data.findings] == ["1 image is in no list: test/d.jpg"]


def test_labels_of_another_kind_beside_the_lists_do_not_win(folder):
    (folder / "test/classes.txt").write_text("button\n")
    (folder / "test/b.txt").write_text("15 .5 .5 .1 .1\n")
    (folder / "train/b.txt").write_text("15 .5 .5 .1 .1\n")
    assert read(folder).classes == ("car", "bus")


def test_a_list_of_another_machine_is_read_alone(folder):
    (folder / "2007_train.txt").write_text(
        "C:\\VOC\\train\\b.jpg 1,2,3,4,0\nC:\\VOC\\gone.jpg\n/voc/train/b.jpg 5,6,7,8,1\n"
    )
    (folder / "voc_classes.txt").write_text("x\ny\n")
    data = read(folder / "2007_train.txt")
    assert data.files.tolist() == [f"{folder}/train/b.jpg"] and data.splits.tolist() == [""]
    assert data.classes == ("x", "y") and data.columns["labels"].values.tolist() == [0, 1]
    assert data.columns["location"].tolist() == ["lines 1, 3 of 2007_train.txt"]
    assert data.columns["object_id"].values.tolist() == [1, 2]
    assert [finding.reason for finding in data.findings] == ["1 image is not there, the first is C:\\VOC\\gone.jpg"]


def test_what_is_wrong_is_named(folder):
    (folder / "train/_annotations.txt").write_text("b.jpg 1,2,3,4,5 1,2,3,4\nnothing\n")
    reasons = [finding.reason for finding in read(folder / "train/_annotations.txt").findings]
    assert reasons == [
        "box 2 of line 1 of _annotations.txt: 1,2,3,4 is not x1,y1,x2,y2,class",
        "line 2 of _annotations.txt: there is no name of an image",
        "box 1 of line 1 of _annotations.txt: unknown class 5",
    ]


def test_lists_without_their_images_are_refused(tmp_path):
    (tmp_path / "train.txt").write_text("a.jpg 1,2,3,4,0\n")
    for source in (tmp_path, tmp_path / "train.txt"):
        with pytest.raises(RetinueError, match="none of the 1 images that train.txt lists is there; correct the paths"):
            read(source)


@pytest.mark.parametrize(
    ("text", "is_list"),
    [
        ("a.jpg 1,2,3,4,0\nb c.png\n", True),
        ("a.jpg\n", False),
        ("a.jpg 1\n", False),
        ("a.jpg,1,2,3,4,cat\n", False),
        ("see a.jpg for more\n", False),
        ("", False),
    ],
)
def test_lists_are_known_by_their_content(tmp_path, text, is_list):
    (tmp_path / "a.txt").write_text(text)
    assert is_keras_yolo_list(str(tmp_path / "a.txt")) is is_list
