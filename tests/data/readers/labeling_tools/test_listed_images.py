"""Finding images by the names that annotations list."""

import pytest

from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.listed_images import ListedImageFinder, path_parts


@pytest.mark.parametrize(
    ("listed", "parts"),
    [
        ("a.jpg", ["a.jpg"]),
        ("./train/../b/a.jpg", ["b", "a.jpg"]),
        ("../images/a.jpg", ["..", "images", "a.jpg"]),
        ("C:\\data\\a.jpg", ["data", "a.jpg"]),
        ("/home/me/a b.jpg", ["home", "me", "a b.jpg"]),
        ("s3://bucket/set/a%20b.jpg", ["set", "a b.jpg"]),
        ("https://host/x/a.jpg?width=3", ["x", "a.jpg"]),
        ("/data/local-files/?d=set/a.jpg", ["set", "a.jpg"]),
        ("/data/upload/3/a.jpg", ["data", "upload", "3", "a.jpg"]),
        ("data:image/png;base64,xx", []),
        ("", []),
    ],
)
def test_paths_and_addresses_are_taken_apart(listed, parts):
    assert path_parts(listed) == parts


def find(tmp_path, files, folder, listed, **options):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    finder = ListedImageFinder.of_tree(FileTree(str(tmp_path)))
    names = [listed] if isinstance(listed, str) else listed
    found = finder.find_all(str(tmp_path / folder), [[name] for name in names], [""] * len(names), **options)
    found = [path and path.removeprefix(f"{tmp_path}/") for path in found]
    return found[0] if isinstance(listed, str) else found


def test_a_path_relative_to_the_annotations_wins(tmp_path):
    files = ("train/a.jpg", "val/a.jpg", "images/a.jpg")
    assert find(tmp_path, files, "val", "a.jpg") == "val/a.jpg"
    assert find(tmp_path, files, "val", "../images/a.jpg") == "images/a.jpg"


def test_the_most_equal_folders_win_then_the_split_then_the_folder_of_most_images(tmp_path):
    files = ("img/x/a.jpg", "img/y/a.jpg", "train/a.jpg", "thumbs/a.jpg", "train/b.jpg")
    assert find(tmp_path, files, "", "/elsewhere/y/a.jpg") == "img/y/a.jpg"
    assert find(tmp_path, files, "labels/train", "a.jpg") == "train/a.jpg"
    assert find(tmp_path, (), "", ["a.jpg", "b.jpg"]) == ["train/a.jpg", "train/b.jpg"]


def test_an_image_of_another_split_is_never_meant(tmp_path):
    files = ("val/1.jpg", "val/2.jpg", "test/2.jpg")
    assert find(tmp_path, files, "", ["train/1.jpg", "test/2.jpg", "val/1.jpg"]) == [None, "test/2.jpg", "val/1.jpg"]


def test_names_are_found_without_case_and_without_a_suffix_only_where_they_have_none(tmp_path):
    files = ("A.JPG", "frame_000001.PNG", "c.png")
    assert find(tmp_path, files, "", ["a.jpg", "frame_000001", "c.jpg"]) == ["A.JPG", "frame_000001.PNG", None]
    assert find(tmp_path, (), "", "c.jpg", stems=True) == "c.png"


def test_near_a_folder_only_folders_of_images_are_searched(tmp_path):
    for name in ("images/train/a.jpg", "other/a.jpg", "b.jpg", "annotations/a.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    finder = ListedImageFinder.near(str(tmp_path / "annotations"))
    assert finder.paths == {f"{tmp_path}/images/train/a.jpg", f"{tmp_path}/b.jpg"}
