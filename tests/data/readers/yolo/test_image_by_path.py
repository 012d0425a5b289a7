"""Finding images by paths of other machines."""

import pytest

from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.yolo.image_by_path import ImageByPath


@pytest.fixture
def finder(tmp_path):
    for name in ("images/train/1.jpg", "images/val/1.jpg", "images/val/2.jpg", "other/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return ImageByPath(FileTree(str(tmp_path)))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("images/val/1.jpg", "images/val/1.jpg"),
        ("./images/train/1.jpg", "images/train/1.jpg"),
        (r"C:\Users\me\set\images\train\1.jpg", "images/train/1.jpg"),
        ("/home/me/images/val/1.jpg", "images/val/1.jpg"),
        ("data/val/2.jpg", "images/val/2.jpg"),
        ("anywhere/3.jpg", "other/3.jpg"),
    ],
)
def test_the_longest_common_end_decides(finder, tmp_path, path, found):
    assert finder.find(path, str(tmp_path)) == str(tmp_path / found)


@pytest.mark.parametrize("path", ["1.jpg", "images/test/2.jpg", "train/2.jpg", "gone.jpg", ""])
def test_what_is_ambiguous_or_of_another_split_is_not_found(finder, tmp_path, path):
    assert finder.find(path, str(tmp_path)) is None
