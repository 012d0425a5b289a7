"""Masks in every format: pairs of folders, Pascal VOC, CSV and COCO."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.checking.check import check
from retinue.data.decoding.mask_file import read_mask
from retinue.data.readers.coco_masks import paint
from retinue.data.readers.read import read, understand
from retinue.tests.helpers.mask_images import halves, make_image, make_mask


def ids_of(dataset, row):
    return read_mask(dataset.columns["mask"][row], dataset.columns["values"][row], len(dataset.classes))


def make_pairs(folder, names=("a", "b", "c"), ids=None, mask_name="{}.png"):
    for number, name in enumerate(names):
        make_image(folder / "images" / f"{name}.jpg", seed=number)
        make_mask(folder / "masks" / mask_name.format(name), halves() if ids is None else ids)


def kinds(dataset):
    return [finding.kind for finding in dataset.findings]


def test_masks_are_found_by_name_and_ending(tmp_path):
    make_pairs(tmp_path, mask_name="{}_mask.png")
    (tmp_path / "classes.txt").write_text("sky\nground\n")
    dataset = read(tmp_path)
    assert (dataset.task, dataset.format, dataset.classes) == ("segmentation", "mask folders", ("sky", "ground"))
    assert [Path(name).name for name in dataset.files] == ["a.jpg", "b.jpg", "c.jpg"]
    np.testing.assert_array_equal(ids_of(dataset, 0), halves())
    assert dataset.findings == ()


def test_images_without_masks_and_masks_without_images_are_findings(tmp_path):
    make_pairs(tmp_path)
    make_image(tmp_path / "images" / "alone.png")
    make_mask(tmp_path / "masks" / "nobody.png", halves())
    dataset = read(tmp_path)
    files = {finding.kind: finding.file for finding in dataset.findings}
    assert files["no mask"].endswith("alone.png") and files["no image"].endswith("nobody.png")
    assert len(dataset) == 3 and any("more than 3%" in reason for reason in check(dataset).would_fail)


@pytest.mark.parametrize("layout", ["above", "below"])
def test_split_folders_give_the_splits(tmp_path, layout):
    for split in ("train", "val"):
        parts = (f"{split}/images", f"{split}/masks") if layout == "above" else (f"images/{split}", f"masks/{split}")
        make_image(tmp_path / parts[0] / f"{split}.jpg")
        make_mask(tmp_path / parts[1] / f"{split}.png", halves())
    dataset = read(tmp_path)
    assert [Path(name).stem for name in dataset.files] == list(dataset.splits) == ["train", "val"]


def test_unnamed_classes_are_the_values_in_the_masks(tmp_path):
    make_pairs(tmp_path / "binary", ids=halves(left=0, right=255))
    binary = read(tmp_path / "binary")
    assert binary.classes == ("background", "foreground") and set(np.unique(ids_of(binary, 0))) == {0, 1}
    assert "no class names" in kinds(binary)
    make_pairs(tmp_path / "several", ids=[[0, 3, 7, 255]])
    several = read(tmp_path / "several")
    assert several.classes == ("background", "class 3", "class 7") and ids_of(several, 0).tolist() == [[0, 1, 2, 255]]


@pytest.mark.parametrize(
    "table",
    [
        "sky 10 20 30\nVoid 0 0 0\nground 40 50 60\n",
        "10 20 30\tsky\n0 0 0\tVoid\n40 50 60\tground\n",
        "name,r,g,b\nsky,10,20,30\nVoid,0,0,0\nground,40,50,60\n",
    ],
)
def test_a_color_table_may_name_void(tmp_path, table):
    make_image(tmp_path / "images" / "a.jpg", (1, 3))
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.array([[[40, 50, 60], [0, 0, 0], [10, 20, 30]]], np.uint8)).save(tmp_path / "masks" / "a.png")
    (tmp_path / "class_colors.txt").write_text(table)
    dataset = read(tmp_path)
    assert dataset.classes == ("sky", "ground") and ids_of(dataset, 0).tolist() == [[1, 255, 0]]
    assert "void" in kinds(dataset)


def test_names_may_have_ids_and_labelmes_first_line_is_void(tmp_path):
    make_pairs(tmp_path, ids=[[5, 9, 255]])
    (tmp_path / "classes.txt").write_text("5 road\n9 fire truck\n")
    dataset = read(tmp_path)
    assert dataset.classes == ("road", "fire truck") and ids_of(dataset, 0).tolist() == [[0, 1, 255]]
    (tmp_path / "classes.txt").write_text("__ignore__\n_background_\ncar\n")
    make_mask(tmp_path / "masks" / "a.png", [[0, 1, 255]])
    dataset = read(tmp_path)
    assert dataset.classes == ("_background_", "car") and ids_of(dataset, 0).tolist() == [[0, 1, 255]]


def test_a_contradicting_class_file_is_refused(tmp_path):
    make_pairs(tmp_path)
    for text, message in (
        ("a 1\nb\n", "some lines"),
        ("a 1\nb 1\n", "value of another"),
        ("1 2\n", "line 1"),
        ("a\na\n", "twice"),
    ):
        (tmp_path / "classes.txt").write_text(text)
        with pytest.raises(RetinueError, match=message):
            read(tmp_path)


def test_masks_of_object_ids_are_refused(tmp_path):
    for number in range(2):
        make_image(tmp_path / "images" / f"{number}.png", (20, 20))
        (tmp_path / "masks").mkdir(exist_ok=True)
        ids = np.arange(400, dtype=np.uint16).reshape(20, 20) + 400 * number
        Image.fromarray(ids).save(tmp_path / "masks" / f"{number}.png")
    with pytest.raises(RetinueError, match="799 classes, but at most 255"):
        read(tmp_path)


def test_the_lists_and_names_of_voc_are_read(tmp_path):
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for name in ("x", "y", "z"):
        make_image(root / "JPEGImages" / f"{name}.jpg")
        make_mask(root / "SegmentationClass" / f"{name}.png", halves(left=15, right=255))
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("x\n")
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("y\n")
    dataset = read(tmp_path, "segmentation")
    assert dataset.format == "voc" and kinds(dataset) == ["not listed", "class names"]
    assert len(dataset.classes) == 21 and dataset.classes[15] == "person"
    assert [Path(name).stem for name in dataset.files] == ["x", "y"] and list(dataset.splits) == ["train", "val"]
    assert set(np.unique(ids_of(dataset, 0))) == {15, 255}


def test_a_table_of_images_and_masks_is_read(tmp_path):
    make_pairs(tmp_path)
    (tmp_path / "classes.txt").write_text("sky\nground\n")
    table = tmp_path / "pairs.csv"
    table.write_text("file,mask,split\nimages/a.jpg,masks/a.png,train\nimages/b.jpg,masks/b.png,val\n")
    dataset = read(table)
    assert (dataset.format, list(dataset.splits), dataset.classes) == ("masks csv", ["train", "val"], ("sky", "ground"))
    table.write_text("file,mask\nimages/a.jpg,\n")
    with pytest.raises(RetinueError, match="line 2: the mask is empty"):
        read(table)


def test_polygons_and_run_lengths_of_coco_become_masks(tmp_path, monkeypatch, logged):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    make_image(tmp_path / "images" / "a.jpg", (4, 6))
    make_image(tmp_path / "images" / "b.jpg", (4, 6))
    square = {"segmentation": [[0, 0, 3, 0, 3, 4, 0, 4]], "bbox": [0, 0, 3, 4], "iscrowd": 0}
    runs = {"segmentation": {"size": [4, 6], "counts": [20, 4]}, "bbox": [5, 0, 1, 4], "iscrowd": 1}
    box = {"bbox": [0, 0, 2, 2], "iscrowd": 0}
    content = {
        "images": [{"id": 7, "file_name": "a.jpg", "height": 4, "width": 6}, {"id": 3, "file_name": "b.jpg"}],
        "annotations": [
            square | {"id": 1, "image_id": 7, "category_id": 20},
            runs | {"id": 2, "image_id": 7, "category_id": 10},
            box | {"id": 3, "image_id": 3, "category_id": 10},
        ],
        "categories": [{"id": 10, "name": "cat"}, {"id": 20, "name": "dog"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    logged.clear()
    dataset = read(tmp_path / "a.json", "segmentation")
    assert dataset.classes == ("background", "cat", "dog")
    assert ids_of(dataset, 0).tolist() == [[2, 2, 2, 0, 0, 1]] * 4 and not ids_of(dataset, 1).any()
    assert "no shape" in kinds(dataset) and len(logged.messages) == 1
    read(tmp_path / "a.json", "segmentation")
    assert len(logged.messages) == 1  # the second time they are there
    assert read(tmp_path / "a.json", "detection").task == "detection"


def test_skipped_images_of_coco_do_not_shift_the_masks(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    for name in "abc":
        make_image(tmp_path / f"{name}.jpg", (4, 6))
    square = {"segmentation": [[0, 0, 3, 0, 3, 4, 0, 4]], "bbox": [0, 0, 3, 4], "category_id": 1}
    named = [
        {"id": 1, "file_name": "a.jpg"},
        {"id": 2},
        {"id": 3, "file_name": "b.jpg"},
        {"id": 3, "file_name": "a.jpg"},
    ]
    content = {
        "images": [*named, {"id": 4, "file_name": "c.jpg"}],
        "annotations": [square | {"id": number, "image_id": image} for number, image in enumerate((3, 4))],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    dataset = read(tmp_path / "a.json", "segmentation", lambda line: None)
    assert [Path(name).name for name in dataset.files] == ["a.jpg", "c.jpg"]
    assert not ids_of(dataset, 0).any() and ids_of(dataset, 1).tolist() == [[1, 1, 1, 0, 0, 0]] * 4


def test_small_objects_are_painted_over_large_ones():
    large, small = [[0, 0, 4, 0, 4, 4, 0, 4]], [[0, 0, 2, 0, 2, 2, 0, 2]]
    entries = [{"segmentation": small, "category_id": 1}, {"segmentation": large, "category_id": 2}]
    mask, num_without_shape, broken = paint(entries, 4, 4, {1: 1, 2: 2})
    assert mask.tolist() == [[1, 1, 2, 2]] * 2 + [[2] * 4] * 2 and (num_without_shape, broken) == (0, [])


@pytest.mark.parametrize(
    "shape",
    [
        {"size": [4, 4], "counts": "!!bad"},
        {"size": [4], "counts": [16]},
        {"size": [4, 4], "counts": ["x"]},
        {"counts": [16]},
        {"size": [4, 4], "counts": 7},
        {"size": [4, 4], "counts": [3, 2]},
        {"size": [2, 4], "counts": [4, 4]},
        [["a"] * 6],
        [[0, 0, 4, 0, 4, None]],
        [[0, 0, 4, 0, 4, 4, 0]],
    ],
)
def test_a_broken_shape_is_reported_and_the_others_are_painted(shape):
    good = {"id": 1, "segmentation": {"size": [4, 4], "counts": [0, 4, 12]}, "category_id": 1}
    mask, num_without_shape, broken = paint([good, {"id": 105, "segmentation": shape, "category_id": 1}], 4, 4, {1: 1})
    assert mask.tolist() == [[1, 0, 0, 0]] * 4 and num_without_shape == 0
    assert broken == [(105, "its polygon or run lengths can't be understood")]


def test_class_folders_are_not_read_for_segmentation(tmp_path):
    make_image(tmp_path / "cats" / "a.jpg")
    assert understand(str(tmp_path)).format == "class folders"
    with pytest.raises(UsageError, match="can't be read for segmentation"):
        read(tmp_path, "segmentation")
