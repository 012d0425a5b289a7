"""COCO files that are easily misread: folds, corners, other images of the same names, other suffixes."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_coco, save_image

BOX = [0, 0, 9, 9]


def save(path, *names, boxes=(BOX,)):
    """Save a COCO file with the same boxes in each image of 100 x 80 pixels."""
    annotations = [
        (number, image, 1, box) for image in range(len(names)) for number, box in enumerate(boxes, 10 * image)
    ]
    return save_coco(path, list(enumerate(names)), annotations)


def test_folds_are_not_read_together(tmp_path):
    for number in range(4):
        save_image(tmp_path / f"images/{number}.jpg")
    save(tmp_path / "fold0/train.json", "0.jpg", "1.jpg", "2.jpg")
    save(tmp_path / "fold0/val.json", "3.jpg")
    assert read(tmp_path).splits.tolist() == ["train", "train", "train", "val"]
    save(tmp_path / "fold1/train.json", "1.jpg", "2.jpg", "3.jpg")
    save(tmp_path / "fold1/val.json", "0.jpg")
    with pytest.raises(RetinueError, match="are of different folds, .*; move the files of all folds but one out of it"):
        read(tmp_path)


def test_corners_in_place_of_width_and_height_are_refused(tmp_path):
    save_image(tmp_path / "1.jpg")
    path = save(tmp_path / "a.json", "1.jpg", boxes=([60, 50, 90, 70], [50, 10, 80, 60], [1, 2, 30, 40]))
    with pytest.raises(RetinueError, match="2 of its 3 boxes reach out of their images as x, y, width, height"):
        read(path)
    # The third box is none as corners, so the first two only reach out of the image.
    path = save(tmp_path / "a.json", "1.jpg", boxes=([60, 50, 90, 70], [50, 10, 80, 60], [50, 40, 30, 40]))
    assert len(read(path).columns["boxes"].values) == 3


def test_images_of_another_folder_are_not_taken_for_those_that_are_not_there(tmp_path):
    for number in (1, 2):
        save_image(tmp_path / f"data/batch_{number}/1.jpg")
    save(tmp_path / "data/annotations.json", "batch_1/1.jpg", "batch_2/1.jpg")
    other = save(tmp_path / "data/annotations_unofficial.json", "batch_3/1.jpg", "batch_4/2.jpg")
    dataset = read(tmp_path)
    assert [file.removeprefix(f"{tmp_path}/data/") for file in dataset.files] == ["batch_1/1.jpg", "batch_2/1.jpg"]
    (finding,) = dataset.findings
    assert finding.file == str(other) and finding.severity == "warning"
    assert finding.reason == "none of its 2 images is there, the first is batch_3/1.jpg"
    with pytest.raises(RetinueError, match="none of its images is there, the first is batch_3/1.jpg"):
        read(other)


@pytest.mark.parametrize("name", ["1", "1.png", "1.JPEG"])
def test_the_suffix_may_differ_or_be_omitted(tmp_path, name):
    save_image(tmp_path / "images/1.jpg")
    save(tmp_path / "labels.json", name)
    dataset = read(tmp_path)
    assert dataset.files.tolist() == [f"{tmp_path}/images/1.jpg"]
    (finding,) = dataset.findings
    assert finding.reason == f"1 of its images have another suffix than it gives them, the first is {name} (.jpg)"
