"""Masks of COCO's polygons and run lengths, in all dialects, and what is reported about broken ones."""

import json
from pathlib import Path

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.decoding.mask_file import read_mask
from retinue.data.readers.coco.masks import paint
from retinue.data.readers.coco.shapes import polygon_box
from retinue.data.readers.read import read
from retinue.tests.helpers.mask_images import make_image

SQUARE = [1, 1, 3, 1, 3, 3, 1, 3]
SQUARE_MASK = [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))


def ids_of(dataset, row):
    return read_mask(dataset.columns["mask"][row], dataset.columns["values"][row], len(dataset.classes))


def test_polygons_and_run_lengths_become_masks_once(tmp_path, logged):
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
    assert ids_of(dataset, 0).tolist() == [[2, 2, 2, 0, 0, 1]] * 4
    assert ids_of(dataset, 1).tolist() == [[255, 255, 0, 0, 0, 0]] * 2 + [[0] * 6] * 2  # only a box: void
    assert [finding.kind for finding in dataset.findings] == ["no shape"] and len(logged.messages) == 1
    read(tmp_path / "a.json", "segmentation")
    assert len(logged.messages) == 1  # the second time they are there
    assert read(tmp_path / "a.json", "detection").task == "detection"


def test_skipped_images_do_not_shift_the_masks(tmp_path):
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
    dataset = read(tmp_path / "a.json", "segmentation")
    assert [Path(name).name for name in dataset.files] == ["a.jpg", "c.jpg"]
    assert not ids_of(dataset, 0).any() and ids_of(dataset, 1).tolist() == [[1, 1, 1, 0, 0, 0]] * 4


def test_small_objects_are_painted_over_large_ones():
    large, small = [[0, 0, 4, 0, 4, 4, 0, 4]], [[0, 0, 2, 0, 2, 2, 0, 2]]
    mask, report = paint([(1, {"segmentation": small}), (2, {"segmentation": large})], 4, 4)
    assert mask.tolist() == [[1, 1, 2, 2]] * 2 + [[2] * 4] * 2 and (report.num_shapes, report.broken) == (2, [])


@pytest.mark.parametrize(
    "shape",
    [
        [SQUARE],
        SQUARE,
        [[1, 1], [3, 1], [3, 3], [1, 3]],
        [[[1, 1], [3, 1], [3, 3], [1, 3]]],
        [[str(value) for value in SQUARE]],
        [SQUARE, [2, 2], [1, 1, 2, 2]],  # a point and a line beside the polygon
        {"size": [4, 4], "counts": [5, 2, 2, 2, 5]},
        [{"size": [4, 4], "counts": [5, 2, 9]}, {"size": [4, 4], "counts": [9, 2, 5]}],
    ],
)
def test_the_dialects_of_shapes_are_read(shape):
    mask, report = paint([(1, {"segmentation": shape})], 4, 4)
    assert mask.tolist() == SQUARE_MASK and report.broken == []


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"size": [4, 4], "counts": "!!bad"}, "its run lengths can't be understood"),
        ({"size": [4], "counts": [16]}, "its run lengths have no size"),
        ({"size": [4, 4], "counts": ["x"]}, "its run lengths can't be understood"),
        ({"counts": [16]}, "its run lengths have no size"),
        ({"size": [4, 4], "counts": 7}, "its segmentation has no run lengths"),
        ({"size": [4, 4], "counts": [3, 2]}, "its run lengths fill 5 pixels, but the image has 16"),
        ({"size": [4, 4], "counts": [-4, 20]}, "its run lengths can't be understood"),
        (
            {"size": [2, 8], "counts": [4, 12]},
            "its run lengths are of 8 x 2 pixels, but the image",
        ),
        ([["a"] * 6], "its polygon has a value that is not a number"),
        ([[0, 0, 4, 0, 4, None]], "its polygon has a value that is not a finite number"),
        ([[0, 0, 4, 0, 4, 4, 0]], "its polygon has 7 numbers, which are not pairs"),
        ([[1, 1, 3, 3]], "its polygon has fewer than three points"),
        ([[0, 0, 1e9, 0, 4, 4]], "its polygon lies far outside of the image"),
        ("[[1, 1, 3, 1, 3, 3]]", "its segmentation is text"),
        (7, "its segmentation is a number"),
    ],
)
def test_a_broken_shape_is_named_and_its_box_is_void(shape, reason):
    good = {"id": 1, "segmentation": {"size": [4, 4], "counts": [0, 4, 12]}}
    bad = {"id": 105, "segmentation": shape, "bbox": [0, 2, 2, 2]}
    mask, report = paint([(1, good), (1, bad)], 4, 4)
    assert mask.tolist() == [[1, 0, 0, 0]] * 2 + [[1, 255, 0, 0]] * 2  # the good one is painted over the void
    assert report.num_without_shape == 0
    ((row, annotation, found),) = report.broken
    assert (row, annotation) == (0, 105) and found.startswith(reason)


def test_an_object_without_a_shape_and_without_a_box_is_only_counted():
    mask, report = paint([(1, {"segmentation": []}), (1, {"bbox": ["a"]})], 2, 2)
    assert not mask.any() and report.num_without_shape == 2


def test_without_any_shape_the_first_fault_is_named(tmp_path):
    make_image(tmp_path / "a.jpg", (4, 6))
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 6}],
        "annotations": [{"id": 9, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "segmentation": [[1, 2]]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(RetinueError, match="a.json: no annotation has .* annotation 9: its polygon has fewer"):
        read(tmp_path / "a.json", "segmentation")


def test_the_box_of_polygons():
    assert polygon_box([SQUARE, [[0, 2], [4, 2], [4, 3]]]) == (0, 1, 4, 2)
    with pytest.raises(ValueError, match="fewer than three points"):
        polygon_box([[1, 1, 2, 2]])
