"""The same data set twice in one folder is named and not read twice."""

import shutil

import pytest

from retinue.configs.errors import UsageError
from retinue.data.readers.copied_folders import describe_copy
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_image


@pytest.fixture
def folder(tmp_path):
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg"):
        save_image(tmp_path / "data" / name)
    return tmp_path


@pytest.mark.parametrize("name", ["data (1)", "data_old", "data - Copy", "data - Copy (2)", "data-backup"])
def test_copies_are_named_with_the_command_for_each(folder, name):
    shutil.copytree(folder / "data", folder / name)
    (folder / name / "cat/2.jpg").unlink()  # it has fewer images
    with pytest.raises(UsageError, match=r"hold the same images, .*; give one of them: retinue check .* or retinue ch"):
        read(folder)
    assert len(read(folder / name)) == 2


def test_folders_with_other_names_or_other_images_are_no_copies(folder):
    shutil.copytree(folder / "data", folder / "val")  # duplicates are for the check
    assert describe_copy(FileTree(str(folder))) == ""
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg"):
        save_image(folder / "data (1)" / name)  # noise of its own
    assert describe_copy(FileTree(str(folder))) == ""
    shutil.rmtree(folder / "data (1)")
    shutil.copytree(folder / "data", folder / "data (1)")
    save_image(folder / "data (1)/dog/7.jpg")
    save_image(folder / "data/dog/8.jpg")  # each has images that the other lacks
    assert describe_copy(FileTree(str(folder))) == ""
