"""Masks in every format: pairs of folders, Pascal VOC and CSV."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.checking.check import check
from retinue.data.decoding.mask_file import read_mask
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


def test_class_folders_are_not_read_for_segmentation(tmp_path):
    make_image(tmp_path / "cats" / "a.jpg")
    assert understand(str(tmp_path)).format == "class folders"
    with pytest.raises(UsageError, match="can't be read for segmentation"):
        read(tmp_path, "segmentation")
