"""YOLO's polygons as masks."""

import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.decoding.mask_file import read_mask
from retinue.data.readers.read import read, tasks_of
from retinue.tests.helpers.mask_images import make_image

WHOLE = "0 0 1 0 1 1 0 1"  # the corners of the image, behind the class
SQUARE = "0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75"


def write(folder, text, name="a"):
    make_image(folder / f"images/train/{name}.jpg", (8, 8))
    label_file = folder / f"labels/train/{name}.txt"
    label_file.parent.mkdir(parents=True, exist_ok=True)
    label_file.write_text(text)


def mask_of(dataset, row=0):
    return read_mask(dataset.columns["mask"][row], dataset.columns["values"][row], len(dataset.classes)).tolist()


def test_polygons_are_drawn_the_smaller_over_the_larger(tmp_path):
    write(tmp_path, f"1 {SQUARE}\n0 {WHOLE} 0 0.5\n")
    write(tmp_path, "", "b")
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: [road, car]\n")
    for source in (tmp_path, tmp_path / "data.yaml"):
        assert tasks_of(str(source)) == ("detection", "segmentation") and read(source).task == "detection"
        dataset = read(source, "segmentation")
        assert (dataset.format, dataset.classes) == (
            "yolo",
            ("background", "road", "car"),
        )
        expected = [[1] * 8] * 2 + [[1] * 2 + [2] * 4 + [1] * 2] * 4 + [[1] * 8] * 2
        assert mask_of(dataset) == expected and mask_of(dataset, 1) == [[0] * 8] * 8
        assert dataset.splits.tolist() == ["train", "train"]


def test_the_box_of_a_line_without_a_polygon_is_void(tmp_path):
    write(tmp_path, "0 0.5 0.5 1 1\n0 0.25 0.25 0.75 0.25 0.75 0.75\n")
    dataset = read(tmp_path, "segmentation")
    mask = mask_of(dataset)
    assert mask[0] == [255] * 8 and mask[3][5] == 1
    assert any(finding.kind == "no polygon" and "1 lines are boxes" in finding.reason for finding in dataset.findings)


def test_boxes_are_no_masks(tmp_path):
    write(tmp_path, "0 0.5 0.5 1 1\n")
    with pytest.raises(UsageError, match="yolo can't be read for segmentation; it is data for detection"):
        read(tmp_path, "segmentation")


def test_rotated_boxes_are_no_masks_unless_a_yaml_says_so(tmp_path):
    write(tmp_path, f"0 {SQUARE}\n0 0.5 0.25 0.75 0.5 0.5 0.75 0.25 0.5\n")
    with pytest.raises(RetinueError, match="all of its polygons are rectangles, .*`task: segment`"):
        read(tmp_path, "segmentation")
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: [car]\ntask: segment\n")
    assert mask_of(read(tmp_path, "segmentation"))[4] == [0, 0, 1, 1, 1, 1, 0, 0]
