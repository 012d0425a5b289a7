"""What is answered about images without labels: the file or the names that may hold them, and a cure that works."""

import re
import subprocess

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.class_folders.class_folders import read_class_folders
from retinue.data.readers.read import read
from retinue.data.readers.unknown_source import labels_in_names
from retinue.tests.helpers.empty_files import make


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(
        RetinueError,
        match=f"{tmp_path}: there are no images and no videos in it; looked for .jpg .*named after the classes",
    ):
        read_class_folders(tmp_path)


def test_images_without_class_folders_are_refused(tmp_path):
    make(tmp_path, "1.jpg", "2.jpg", "3.txt")
    with pytest.raises(
        RetinueError, match=r"2 images but no class folders, .* \(1 .txt\); give each class a folder of its own"
    ):
        read_class_folders(tmp_path)


def test_images_in_train_without_class_folders_are_refused(tmp_path):
    make(tmp_path, "train/1.jpg", "train/2.jpg", "val/3.jpg")
    with pytest.raises(RetinueError, match="there are 3 images in train, val but no class folders"):
        read_class_folders(tmp_path)


def test_a_table_beside_the_images_is_suggested(tmp_path):
    make(tmp_path, "1.jpg", "labels.csv")
    with pytest.raises(RetinueError, match=f"name it instead: retinue check {tmp_path}/labels.csv"):
        read_class_folders(tmp_path)


def test_a_table_beside_one_folder_of_images_is_suggested(tmp_path):
    make(tmp_path, "images/1.jpg", "images/2.jpg", "boxes.csv")
    with pytest.raises(RetinueError, match=f"2 images in images but .* retinue check {tmp_path}/boxes.csv"):
        read_class_folders(tmp_path)


@pytest.mark.parametrize("name", ["images", "JPEGImages", "train_images"])
def test_one_folder_of_images_is_not_a_class(tmp_path, name):
    make(tmp_path, f"{name}/1.jpg", f"{name}/2.jpg", "annotations/labels.bin")
    with pytest.raises(RetinueError, match=f"there are 2 images in {name} but no class folders"):
        read_class_folders(tmp_path)


@pytest.mark.parametrize("other", ["LICENSE", "labels/labels.json"])
def test_one_class_is_no_dataset(tmp_path, other):
    make(tmp_path, "cat/more/1.jpg", "cat/2.jpg", other)
    with pytest.raises(RetinueError, match="there are 2 images in cat, cat/more but only one class folder, cat"):
        read_class_folders(tmp_path)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("cat.0", "cat.1", "dog.0", "dog.12"), {"cat", "dog"}),
        (("great_pyrenees_1", "great_pyrenees_20", "pug-3", "pug-4"), {"great_pyrenees", "pug"}),
        (("benign (1)", "benign (2)", "normal (1)", "normal (2)"), {"benign", "normal"}),
        (("s1_1", "s1_2", "s2_1", "s2_2"), {"s1", "s2"}),
        (("cat1", "cat2", "dog1", "dog2"), {"cat", "dog"}),
        (("1_1", "1_2", "2_1", "2_2"), set()),  # no letters
        (("IMG_1", "IMG_2", "IMG_3", "IMG_4"), set()),  # one label
        (("a1", "b1", "c1", "d1"), set()),  # as many as images
        (("cat.0", "cat.1", "dog.0", "dog.1", "sunset"), set()),
    ],
)
def test_labels_are_found_at_the_beginning_of_names(names, labels):
    assert labels_in_names(names) == labels


def test_the_command_for_labels_in_names_makes_a_table_that_is_read(tmp_path):
    folder = make(tmp_path / "my pets", *(f"train/{name}{n}.jpg" for name in ("cat.", "big dog") for n in (0, 1)))
    make(folder, "train/Thumbs.db", "test/1.jpg", "sampleSubmission.csv")
    with pytest.raises(RetinueError, match="labels seem to be in the names of .*/train .big dog, cat.") as raised:
        read_class_folders(folder)
    command, source = re.search("into a table with (.*) and then: retinue check '(.*)'", str(raised.value)).groups()
    subprocess.run(["bash", "-c", command], check=True)
    dataset = read(source)
    assert (dataset.classes, dataset.class_counts().tolist()) == (("big dog", "cat"), [2, 2])


@pytest.mark.parametrize(
    ("name", "text", "cure"),
    [
        (
            "list_attr_celeba.txt",
            "2\nBald Male\na1.jpg 1 -1\nb2.jpg -1 1\nc3.jpg 1 1\nd4.jpg 1 1\n",
            "holds the labels, list",
        ),
        ("notes.txt", "a1.jpg cat\nb2.jpg dog\n", "holds the labels, list"),
        ("imagelabels.mat", "", "holds the labels, load it with scipy.io.loadmat and list"),
        ("truth.xlsx", "", "holds the labels, save it as CSV: list"),
    ],
)
def test_the_file_that_probably_holds_the_labels_is_named(tmp_path, name, text, cure):
    make(tmp_path, *(f"faces/{stem}.jpg" for stem in ("a1", "b2", "c3", "d4")), "setid.npy", "README.txt")
    (tmp_path / name).write_text(text)
    with pytest.raises(RetinueError, match=f"only one class folder, faces, .*if {tmp_path}/{name} {cure}"):
        read_class_folders(tmp_path)


def test_fields_of_names_are_named(tmp_path):
    make(
        tmp_path, *(f"faces/{age}_{gender}_{number}.jpg" for age in (1, 30) for gender in (0, 1) for number in range(9))
    )
    with pytest.raises(RetinueError, match="if the labels are in the names .such as 1_0_0., list the images in a CSV"):
        read_class_folders(tmp_path)
