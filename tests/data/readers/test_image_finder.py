"""Which file is meant by the name that an annotation gives an image."""

import pytest

from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.image_finder import ImageFinder, plain_name


@pytest.fixture
def find(tmp_path):
    def find_in(files, names, near="", split="", method="find"):
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        found = getattr(ImageFinder(FileTree(str(tmp_path))), method)(names, near, split)
        return [path and path.removeprefix(f"{tmp_path}/") for path in found]

    return find_in


def test_folders_of_the_name_decide(find):
    assert find(["train/1.jpg", "val/1.jpg", "1.jpg"], ["val/1.jpg", "train/1.jpg"]) == ["val/1.jpg", "train/1.jpg"]


def test_the_folder_with_most_images_decides_then_the_split_then_the_distance(find):
    files = ["a/1.jpg", "a/2.jpg", "a/3.jpg", "b/3.jpg"]
    assert find(files, ["1.jpg", "2.jpg", "3.jpg"], near="b") == ["a/1.jpg", "a/2.jpg", "a/3.jpg"]
    assert find(files, ["3.jpg"], near="b") == ["b/3.jpg"]
    assert find([*files, "train/3.jpg"], ["3.jpg"], near="b", split="train") == ["train/3.jpg"]


def test_a_file_in_another_folder_is_not_the_image(find):
    files = ["cat/1.jpg", "cat/2.jpg", "bird/9.jpg"]
    assert find(files, ["cat/1.jpg", "dog/2.jpg", "cat/3.jpg"]) == ["cat/1.jpg", None, None]
    assert find(files, ["dog/1.jpg", "fox/1.jpg"]) == [None, None]  # either may be meant


def test_images_that_were_all_moved_are_found_by_their_names(find):
    assert find(["all/1.jpg", "all/2.jpg"], ["dog/1.jpg", "fox/2.jpg"]) == ["all/1.jpg", "all/2.jpg"]


def test_a_folder_with_another_number_or_of_another_split_holds_other_images(find):
    files = ["batch_1/1.jpg", "batch_2/2.jpg", "train/7.jpg"]
    assert find(files, ["batch_3/1.jpg", "batch_4/2.jpg"]) == [None, None]
    assert find(files, ["batch_1/1.jpg", "batch_3/1.jpg", "batch_4/2.jpg"]) == ["batch_1/1.jpg", None, None]
    assert find(files, ["val/7.jpg"]) == [None]


def test_images_may_have_other_suffixes_than_their_names(find):
    files = ["a/1.jpg", "a/v2.1.jpg", "a/3.jpg", "a/3.png"]
    assert find(files, ["1.png", "v2.1", "3"], method="find_stems") == ["a/1.jpg", "a/v2.1.jpg", None]


def test_case_and_escapes_of_names_may_differ(find):
    assert find(["x/A b.JPG", "x/c.jpg", "x/C.jpg"], ["x/a%20b.jpg", "x/c.jpg", "x/C.jpg"]) == [
        "x/A b.JPG",
        "x/c.jpg",
        "x/C.jpg",
    ]


def test_absolute_names_that_exist_are_used(find, tmp_path):
    path = str(tmp_path / "x/1.jpg")
    assert find(["x/1.jpg", "2.jpg"], [path, str(tmp_path / "y/2.jpg")]) == ["x/1.jpg", None]


def test_names_are_written_with_slashes():
    assert plain_name("C:\\a\\1.jpg") == "C:/a/1.jpg"
    assert plain_name("https://host/a/1.jpg?size=2") == "https://host/a/1.jpg" and plain_name("a?.jpg") == "a?.jpg"
