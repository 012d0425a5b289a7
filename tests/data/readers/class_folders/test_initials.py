"""Folders named after the first letter of the classes in them."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read
from retinue.tests.helpers.empty_files import make


def test_first_letters_of_classes_are_no_classes(tmp_path):
    make(tmp_path, "a/abbey/1.jpg", "a/airport/2.jpg", "b/bar/3.jpg", "b/bus/inside/4.jpg")
    with pytest.raises(
        RetinueError, match="its folders seem to be the first letters of the classes in them, as in a/abbey"
    ):
        read(tmp_path)


def test_letters_with_images_are_classes(tmp_path):
    make(tmp_path, "a/1.jpg", "b/bar/3.jpg", "b/2.jpg")
    assert read(tmp_path).classes == ("a", "b")
