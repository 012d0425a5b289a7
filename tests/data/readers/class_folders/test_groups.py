"""Images of one patient, object or clip are one group, which no split separates."""

from retinue.data.readers.class_folders.class_folders import read_class_folders
from retinue.data.readers.class_folders.groups import folders_of_groups
from retinue.data.readers.read import read
from retinue.data.split import split
from retinue.tests.helpers.empty_files import make


def test_the_images_of_a_patient_stay_in_one_split(tmp_path):
    patients = [f"{label}/{label[0]}{patient}" for label in ("benign", "malignant") for patient in range(5)]
    make(tmp_path, *(f"{patient}/{letter}.png" for patient in patients for letter in "xyz"))
    dataset = read_class_folders(tmp_path)
    assert set(dataset.groups) == set(patients)
    assert [(finding.kind, finding.severity) for finding in dataset.findings] == [("groups", "note")]
    divided = split(dataset, val_fraction=0.4)
    assert all(len(set(divided.splits[divided.groups == group])) == 1 for group in patients)
    assert (divided.splits == "val").sum() == 12


def test_frames_of_a_clip_stay_in_one_split_of_images(tmp_path):
    make(
        tmp_path, *(f"{label}/{clip}/frame{number}.jpg" for label in "ab" for clip in ("u", "v") for number in range(4))
    )
    divided = split(read(tmp_path, "classification"), val_fraction=0.5)
    assert (divided.splits == "val").sum() == 8
    assert all(len(set(divided.splits[divided.groups == group])) == 1 for group in set(divided.groups))


def test_a_few_folders_below_classes_are_no_groups(tmp_path):
    make(
        tmp_path,
        *(f"{label}/{label}{year}/{letter}.jpg" for label in "ab" for year in (2021, 2022) for letter in "xyz"),
    )
    assert read_class_folders(tmp_path).groups is None


def test_folders_of_equal_names_belong_to_the_folder_above():
    folders = [f"benign/{patient}/{factor}X" for patient in ("p1", "p2", "p3", "p4", "p5") for factor in (40, 100)]
    group_of = folders_of_groups(dict.fromkeys(folders, "benign"))
    assert group_of == {folder: folder.rsplit("/", 1)[0] for folder in folders}


def test_patients_with_equal_numbers_in_two_folders_are_groups_of_their_own():
    folders = [f"benign/{kind}/{patient}" for kind in ("a", "b") for patient in range(5)]
    assert folders_of_groups(dict.fromkeys(folders, "benign")) == {folder: folder for folder in folders}
