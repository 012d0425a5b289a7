"""Files of labels beside folders of images say that these are no classes."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.class_folders.class_folders import read_class_folders
from retinue.tests.helpers.empty_files import make


@pytest.mark.parametrize("suffix", [".xml", ".txt", ".json", ".pts", ".mat"])
def test_images_with_annotation_files_are_not_in_class_folders(tmp_path, suffix):
    make(tmp_path, *(f"{name}/{name}{number}{end}" for name in "ab" for number in "12" for end in (".jpg", suffix)))
    with pytest.raises(RetinueError, match="4 of 4 images have a file of the same name .* seem to be annotations"):
        read_class_folders(tmp_path)


def test_a_folder_of_several_data_sets_is_refused(tmp_path):
    make(tmp_path, "birds/images/b1.jpg", "birds/labels.csv", "trees/images/t1.jpg", "trees/instances.json")
    with pytest.raises(RetinueError, match=f"several data sets instead of classes.*check {tmp_path}/birds"):
        read_class_folders(tmp_path)


LISTS = ("10;Swiping Left\n11;Stop\n12;Swiping Left\n13;Stop\n", "11\tStop\n12\tStop\n13\tGo")


@pytest.mark.parametrize("text", LISTS)
def test_folders_of_frames_that_a_list_gives_labels_are_clips(tmp_path, text):
    make(tmp_path, *(f"clips/{clip}/{number:05d}.jpg" for clip in (10, 11, 12, 13) for number in (1, 2, 3)))
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(RetinueError, match="hold numbered frames, and .*/labels.csv gives several .* the same label"):
        read_class_folders(tmp_path)


@pytest.mark.parametrize("text", ["0,cat\n1,dog\n2,fox\n", "cat\ndog\nfox\n", "7,a\n8,a\n9,a\n", "0\n1\n2\n"])
def test_a_list_of_the_names_of_classes_is_no_list_of_clips(tmp_path, text):
    make(tmp_path, *(f"{label}/{number:05d}.jpg" for label in (0, 1, 2) for number in (1, 2, 3)))
    (tmp_path / "classes.csv").write_text(text)
    assert read_class_folders(tmp_path).class_counts().tolist() == [3, 3, 3]


def test_words_for_classes_are_no_names_of_clips(tmp_path):
    make(tmp_path, *(f"{label}/{number:05d}.jpg" for label in ("cat", "dog", "oak") for number in (1, 2, 3)))
    (tmp_path / "kinds.csv").write_text("cat,animal\ndog,animal\noak,plant\n")
    assert read_class_folders(tmp_path).classes == ("cat", "dog", "oak")


def test_numbered_folders_of_images_that_are_named_frames_are_clips(tmp_path):
    make(tmp_path, *(f"{clip:03d}/frame_{number}.jpg" for clip in (1, 2, 3) for number in (1, 2, 3)))
    with pytest.raises(RetinueError, match="its folders are numbered and hold frames, so they seem to be clips"):
        read_class_folders(tmp_path)
