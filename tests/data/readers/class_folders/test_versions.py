"""Folders that hold versions of the same images are refused, and class folders with equal names are not."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.class_folders.class_folders import read_class_folders
from retinue.tests.helpers.empty_files import make


@pytest.mark.parametrize(
    ("folders", "stems"),
    [(("images", "drawn"), "12"), (("x", "y"), "12"), (("left", "right"), ("oak", "birch", "elm"))],
)
def test_folders_of_versions_of_the_same_images_are_not_classes(tmp_path, folders, stems):
    make(tmp_path, *(f"{folder}/{stem}.jpg" for folder in folders for stem in stems))
    with pytest.raises(RetinueError, match="hold images of the same names, so they seem to be versions"):
        read_class_folders(tmp_path)


def test_class_folders_may_number_their_images_alike(tmp_path):
    make(tmp_path, *(f"{name}/image_{number:04d}.jpg" for name in ("ant", "bee", "fly") for number in range(5)))
    assert read_class_folders(tmp_path).class_counts().tolist() == [5, 5, 5]


def test_versions_are_recognized_by_their_names_without_the_text_of_their_folder(tmp_path):
    for name, ending in (("rgb", "_Clipped.jpg"), ("nir_gray", ".png"), ("GT_color", "_mask.png")):
        make(tmp_path, *(f"train/{name}/b{number}{ending}" for number in (1, 2, 7)))
    with pytest.raises(RetinueError, match="the folders GT_color, nir_gray, rgb hold kinds of images"):
        read_class_folders(tmp_path)


def test_a_kind_of_image_beside_a_folder_of_any_name_is_recognized(tmp_path):
    make(tmp_path, *(f"street/{name}.jpg" for name in ("ulm", "bonn", "jena")))
    make(tmp_path, *(f"disparity/{name}_disp.png" for name in ("ulm", "bonn", "jena")))
    with pytest.raises(RetinueError, match="disparity and street hold images of the same names"):
        read_class_folders(tmp_path)


@pytest.mark.parametrize("names", [("with_mask", "without_mask"), ("Mask", "Non Mask"), ("color", "plain")])
def test_words_for_kinds_of_images_may_name_classes(tmp_path, names):
    make(tmp_path, *(f"{name}/{number}.jpg" for name in names for number in range(3)))
    assert read_class_folders(tmp_path).class_counts().tolist() == [3, 3]


def test_equal_numbers_with_the_same_gaps_are_versions(tmp_path):
    make(tmp_path, *(f"{name}/{number}.png" for name in ("low", "high") for number in (2, 5, 79, 111, 493)))
    with pytest.raises(RetinueError, match="high and low hold images of the same names"):
        read_class_folders(tmp_path)


def test_class_folders_may_number_subjects_alike(tmp_path):
    make(
        tmp_path,
        *(f"{name}/s{subject}_{take}.png" for name in ("fist", "palm") for subject in (1, 9) for take in (1, 2)),
    )
    assert read_class_folders(tmp_path).class_counts().tolist() == [4, 4]


@pytest.mark.parametrize("names", [("A", "B"), ("before", "after"), ("left", "right")])
def test_pairs_of_images_are_refused(tmp_path, names):
    make(tmp_path, *(f"{name}/{number:06d}.png" for name in names for number in range(3)))
    with pytest.raises(RetinueError, match="hold images of the same names"):
        read_class_folders(tmp_path)


def test_names_of_pairs_may_be_classes_if_they_hold_other_images(tmp_path):
    make(tmp_path / "letters", *(f"{letter}/{number}.png" for letter in "AB" for number in range(3)), "B/4.png")
    assert read_class_folders(tmp_path / "letters").classes == ("A", "B")
    make(tmp_path / "alphabet", *(f"{letter}/{number}.png" for letter in "ABC" for number in range(3)))
    assert read_class_folders(tmp_path / "alphabet").classes == ("A", "B", "C")
    make(tmp_path / "hands", *(f"{side}/{number}.png" for side in ("left", "right") for number in range(3)))
    assert read_class_folders(tmp_path / "hands").classes == ("left", "right")


def test_domains_of_image_translation_are_refused(tmp_path):
    make(tmp_path, "trainA/n1.jpg", "trainA/n2.jpg", "trainB/m5.jpg", "testA/n3.jpg", "testB/m7.jpg")
    with pytest.raises(RetinueError, match="testA, testB, trainA, ... hold the two domains of image translation"):
        read_class_folders(tmp_path)
