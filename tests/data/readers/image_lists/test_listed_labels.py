"""Lists that label the images outside class folders, as those of the validation sets of ImageNet and Tiny ImageNet."""

import pytest

from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_image

TRAIN = [f"train/{name}/{name}_{number}.JPEG" for name in ("n01", "n02") for number in range(3)]
VAL = [f"val/val_{number}.JPEG" for number in range(4)]


@pytest.fixture
def data(tmp_path):
    """Return a function that saves the images and a list, and returns the folder."""

    def save(name, text):
        for image in (*TRAIN, *VAL):
            save_image(tmp_path / image)
        (tmp_path / name).write_text(text)
        return tmp_path

    return save


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("val/val_annotations.txt", "val_0.JPEG\tn01\t0\t3\t4\t6\nval_1.JPEG\tn02\t0\t3\t4\t6\n"
                                    "val_2.JPEG\tn01\t0\t3\t4\t6\nval_3.JPEG\tn02\t0\t3\t4\t6\n"),
        ("LOC_val_solution.csv", "ImageId,PredictionString\nval_0,n01 1 2 3 4 n01 5 6 7 8 \nval_1,n02 1 2 3 4 \n"
                                 "val_2,n01 1 2 3 4 \nval_3,n02 1 2 3 4 \n"),
        ("val.txt", "val_0.JPEG n01\nval_1.JPEG n02\nval_2.JPEG n01\nval_3.JPEG n02\n"),
    ],
)  # fmt: skip
def test_a_list_labels_the_images_of_a_folder_without_classes(data, name, text):
    dataset = read(data(name, text))
    assert dataset.format == "class folders" and dataset.classes == ("n01", "n02")
    found = {
        file.rpartition("/")[2]: (dataset.classes[label], split)
        for file, label, split in zip(dataset.files, dataset.columns["label"], dataset.splits, strict=True)
    }
    assert len(found) == 10 and found["n02_1.JPEG"] == ("n02", "train")
    assert [found[f"val_{number}.JPEG"] for number in range(4)] == [("n01", "val"), ("n02", "val")] * 2
    assert [finding.kind for finding in dataset.findings] == ["labels of a list"]


def test_a_list_of_other_labels_is_a_warning(data):
    dataset = read(data("val.txt", "".join(f"val_{number}.JPEG {number % 2}\n" for number in range(4))))
    assert len(dataset) == 6
    finding = next(finding for finding in dataset.findings if finding.kind == "list not used")
    assert finding.severity == "warning" and finding.file.endswith("val.txt")
