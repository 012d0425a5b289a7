"""Images that the labels of a source don't name are mentioned, once for each folder."""

import json

import cv2
import numpy as np

from retinue.data.readers.read import read


def write_coco(folder, num_labeled, others):
    """Write a COCO dataset of gray images and images that it does not list, given as paths."""
    names = [f"images/{number}.png" for number in range(num_labeled)]
    for name in (*names, *others):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((8, 8, 3), 90, np.uint8))
    images = [{"id": i, "file_name": name, "width": 8, "height": 8} for i, name in enumerate(names)]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 4, 4]} for i in range(num_labeled)]
    (folder / "coco.json").write_text(
        json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]})
    )


def unused(dataset):
    return {finding.file: finding.reason for finding in dataset.findings if finding.kind == "not used"}


def test_images_outside_of_the_labels_are_named_by_folder(tmp_path):
    write_coco(tmp_path, 3, ["unlabeled/a.png", "unlabeled/b.png", "images/extra.png"])
    dataset = read(str(tmp_path))
    assert (dataset.format, len(dataset.files)) == ("coco", 3)  # and not class folders of the 6 images
    assert unused(dataset) == {
        str(tmp_path / "images"): "1 images have no label (coco), for example extra.png",
        str(tmp_path / "unlabeled"): "2 images have no label (coco), for example a.png",
    }


def test_many_folders_are_one_finding(tmp_path):
    write_coco(tmp_path, 3, [f"more/{number}/a.png" for number in range(5)])
    assert unused(read(str(tmp_path))) == {str(tmp_path / "more"): "5 images have no label (coco), for example a.png"}


def test_without_other_images_there_is_no_finding(tmp_path):
    write_coco(tmp_path, 3, [])
    assert not unused(read(str(tmp_path)))
