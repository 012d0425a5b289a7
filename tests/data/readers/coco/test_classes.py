"""COCO files with a class for each image and no boxes, as those of iNaturalist and camera traps."""

import json

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_coco, save_image

CATEGORIES = [(1, "deer"), (5, "empty"), (3, "fox")]


def save(folder, json_name, names, labels, images="images"):
    """Save images and a COCO file; `labels` are the number of an image and its category id."""
    for name in names:
        save_image(folder / images / name)
    path = save_coco(folder / json_name, list(enumerate(names)), [], CATEGORIES)
    content = json.loads(path.read_text())
    content["annotations"] = [
        {"id": number, "image_id": image, "category_id": category} for number, (image, category) in enumerate(labels)
    ]
    path.write_text(json.dumps(content))
    return path


def test_classes_without_boxes_are_labels_of_images(tmp_path):
    save(tmp_path, "train.json", ["a/1.jpg", "a/2.jpg", "b/3.jpg"], [(0, 5), (1, 3)])
    save(tmp_path, "val.json", ["b/4.jpg"], [(0, 3)])
    dataset = read(tmp_path)
    assert (dataset.task, dataset.format) == ("classification", "coco")
    assert dataset.files.tolist() == [f"{tmp_path}/images/{name}" for name in ("a/1.jpg", "a/2.jpg", "b/4.jpg")]
    assert (dataset.classes, dataset.class_ids) == (("fox", "empty"), (3, 5))
    assert dataset.columns["label"].tolist() == [1, 0, 0] and dataset.splits.tolist() == ["train", "train", "val"]
    assert [finding.reason for finding in dataset.findings] == [
        "1 of its images have no annotation, the first is b/3.jpg",
        "1 of its categories have no image: deer",
    ]


def test_several_classes_of_an_image_are_multi_label(tmp_path):
    path = save(tmp_path, "labels.json", ["1.jpg", "2.jpg"], [(0, 5), (1, 3), (0, 1), (0, 5)])
    dataset = read(path)
    assert dataset.classes == ("deer", "fox", "empty")
    assert [row.tolist() for row in dataset.columns["labels"]] == [[2, 0], [1]]


def test_such_a_file_beside_boxes_is_named_and_not_read(tmp_path):
    save(tmp_path, "classes.json", ["1.jpg"], [(0, 5)])
    save_coco(tmp_path / "boxes.json", [(1, "1.jpg")], [(1, 1, 1, [0, 0, 9, 9])])
    dataset = read(tmp_path)
    assert dataset.task == "detection"
    assert [finding.reason for finding in dataset.findings] == ["it is a file of classes"]
    with pytest.raises(RetinueError, match="can't be read for detection; it is data for classification"):
        read(tmp_path / "classes.json", "detection")
