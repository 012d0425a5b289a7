"""Folders of data sets, copies, folds, domains or parts are refused, with the command for each."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.class_folders.class_folders import read_class_folders
from retinue.data.readers.read import understand
from retinue.tests.helpers.empty_files import make


@pytest.mark.parametrize("names", [("fold1", "fold2"), ("train", "vaild")])
def test_folders_that_hold_the_same_folders_are_refused_as_splits(tmp_path, names):
    make(tmp_path, *(f"{name}/{label}/{name}.jpg" for name in names for label in "ab"))
    with pytest.raises(RetinueError, match=f"{names[0]} and {names[1]} hold the same folders .*Rename them to train"):
        read_class_folders(tmp_path)


def test_numbered_parts_of_a_collection_are_no_classes(tmp_path):
    make(tmp_path, "images_part_1/a.jpg", "images_part_1/b.jpg", "images_part_2/c.jpg")
    with pytest.raises(RetinueError, match="images_part_1 and images_part_2 seem to be parts of one collection"):
        read_class_folders(tmp_path)


def test_folds_with_splits_inside_are_no_classes(tmp_path):
    for fold in (1, 2):
        make(tmp_path, *(f"f{fold}/{split}/{name}/1.jpg" for split in ("train", "test") for name in ("cat", "dog")))
    with pytest.raises(RetinueError, match="f1 and f2 hold the same folders"):
        read_class_folders(tmp_path)


DAISIES = tuple(f"{name}/{number}.jpg" for name in ("daisy", "rose") for number in range(3))
CARS = tuple(f"{name}/{number}.jpg" for name in ("audi", "bmw") for number in range(3))


@pytest.mark.parametrize("wrapper", ["", "images/", "train/"])
def test_data_sets_of_other_classes_are_refused_with_the_command_for_each(tmp_path, wrapper):
    make(tmp_path, *(f"flowers/{wrapper}{name}" for name in DAISIES), *(f"my cars/{wrapper}{name}" for name in CARS))
    with pytest.raises(RetinueError) as raised:
        read_class_folders(tmp_path)
    assert "flowers (daisy and rose) and my cars (audi and bmw)" in str(raised.value)
    assert f"retinue check {tmp_path}/flowers or retinue check '{tmp_path}/my cars'" in str(raised.value)
    assert read_class_folders(tmp_path / "flowers").classes == ("daisy", "rose")


def test_data_sets_with_splits_are_refused(tmp_path):
    for data in ("big", "small"):
        make(tmp_path, *(f"{data}/{split}/{name}" for split in ("train", "test") for name in DAISIES))
    with pytest.raises(RetinueError, match="big and small hold the same folders .daisy, rose."):
        read_class_folders(tmp_path)


def test_a_copy_in_a_folder_of_its_own_name_is_refused(tmp_path):
    make(tmp_path, *(f"PlantVillage/{name}" for name in DAISIES), *(f"plants/PlantVillage/{name}" for name in DAISIES))
    with pytest.raises(RetinueError, match="PlantVillage and plants hold the same folders .daisy, rose."):
        read_class_folders(tmp_path)


def test_folders_of_patients_with_classes_inside_are_refused(tmp_path):
    make(tmp_path, *(f"{patient}/{label}/{patient}_a{label}.png" for patient in (8863, 8864, 8865) for label in (0, 1)))
    make(tmp_path, "8866/0/8866_a0.png")  # a patient without the other class
    with pytest.raises(RetinueError, match="8863, 8864 and others hold the same folders .0, 1., so .* or patients"):
        read_class_folders(tmp_path)


@pytest.mark.parametrize(
    "names", [("patient_1", "patient_2"), ("TCGA-02-0003", "TCGA-06-0119"), ("8863", "10253"), ("2021-05", "2022-07")]
)
def test_numbered_folders_in_class_folders_are_no_data_sets(tmp_path, names):
    make(tmp_path, *(f"benign/{names[0]}/{letter}.png" for letter in "ab"), f"benign/{names[1]}/c.png")
    make(tmp_path, f"malignant/{names[0]}x/d.png", f"malignant/{names[1]}x/e.png")
    assert read_class_folders(tmp_path).class_counts().tolist() == [3, 2]


def test_a_problem_of_the_classes_hides_no_labels_in_files(tmp_path):
    make(tmp_path, *(f"{domain}/{name}" for domain in ("painting", "sketch") for name in DAISIES))
    lines = [f"{domain}/{name},{name[:4]}" for domain in ("painting", "sketch") for name in DAISIES]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *lines]))
    assert understand(str(tmp_path)).format == "labels csv"


def test_domains_in_every_split_are_refused(tmp_path):
    domains = [f"{split}/{domain}" for split in ("train", "test") for domain in ("painting", "sketch")]
    make(tmp_path, *(f"{domain}/{name}" for domain in domains for name in DAISIES))
    with pytest.raises(RetinueError, match="painting and sketch hold the same folders .*with its part of each split"):
        read_class_folders(tmp_path)


@pytest.mark.parametrize("names", [("40X", "100X"), ("amazon", "webcam")])
@pytest.mark.parametrize("wrapper", ["", "images/"])
def test_domains_are_refused(tmp_path, names, wrapper):
    make(tmp_path, *(f"{name}/{wrapper}{label}/{name}1.png" for name in names for label in ("benign", "malignant")))
    with pytest.raises(RetinueError, match="hold the same folders .benign, malignant., so they seem to be"):
        read_class_folders(tmp_path)


@pytest.mark.parametrize("parent", ["", "train/"])
def test_a_copy_of_the_data_among_the_classes_is_refused(tmp_path, parent):
    make(tmp_path, *(f"{parent}{name}" for name in DAISIES), *(f"{parent}flowers/{name}" for name in DAISIES))
    with pytest.raises(RetinueError, match=f"flowers holds folders of the same names .* {tmp_path}/{parent}flowers"):
        read_class_folders(tmp_path)
