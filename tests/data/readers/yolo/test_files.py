"""Files of YOLO data that are given themselves."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read
from retinue.data.readers.yolo.files import explain_file
from retinue.tests.helpers.box_files import save_image


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "obj").mkdir()
    for name in "abc":
        save_image(tmp_path / f"obj/{name}.jpg")
        (tmp_path / f"obj/{name}.txt").write_text("1 .5 .5 .5 .5\n")
    (tmp_path / "obj.names").write_text("car\nbus\n")
    (tmp_path / "train.txt").write_text("data/obj/a.jpg\ndata/obj/b.jpg\n")
    return tmp_path


def test_a_list_of_images_is_read(folder):
    data = read(folder / "train.txt")
    assert data.files.tolist() == [f"{folder}/obj/a.jpg", f"{folder}/obj/b.jpg"]
    assert data.classes == ("car", "bus") and data.columns["labels"].values.tolist() == [1, 1]
    assert data.splits.tolist() == ["", ""]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("obj/a.txt", "this is the YOLO label file of one image; give the folder"),
        ("obj.names", "this file only names classes; give the folder"),
    ],
)
def test_a_part_that_can_not_be_read_alone_is_named(folder, name, message):
    with pytest.raises(RetinueError, match=message):
        read(folder / name)


def test_other_files_are_none(tmp_path):
    (tmp_path / "README.txt").write_text("Some words.\n")
    (tmp_path / "a.data").write_bytes(b"\0\1")
    assert explain_file(str(tmp_path / "README.txt")) is None
    assert explain_file(str(tmp_path / "a.data")) is None
