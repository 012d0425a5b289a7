"""Masks that number the objects of each image are refused, and masks of classes are not taken for such."""

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read


def write(folder, rows_of):
    """Write images and masks of 20 x 20 pixels; each mask has the given {row: id}, 2 rows high."""
    for name, ids in rows_of.items():
        mask = np.zeros((20, 20), np.uint8)
        for row, value in ids.items():
            mask[row : row + 2, 3:17] = value
        for kind, pixels in (("images", np.full((20, 20, 3), 90, np.uint8)), ("masks", mask)):
            (folder / kind).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / f"{name}.png")


NUMBERED = {"a": {0: 1}, "b": {0: 1, 4: 2}, "c": {0: 1, 4: 2, 8: 3}, "d": {0: 1, 4: 2}}


def test_numbers_of_objects_are_no_classes(tmp_path):
    write(tmp_path, NUMBERED)
    with pytest.raises(RetinueError, match=r"seem to number the objects of each image, as .*masks/c.png with 1 to 3"):
        read(str(tmp_path))


def test_with_names_they_are_classes(tmp_path):
    write(tmp_path, NUMBERED)
    (tmp_path / "classes.txt").write_text("0 background\n1 cat\n2 dog\n3 fox\n")
    assert read(str(tmp_path)).classes == ("background", "cat", "dog", "fox")


@pytest.mark.parametrize(
    "masks",
    [
        NUMBERED | {"e": {0: 3}},  # a gap below the largest id
        {"a": {0: 1}, "b": {0: 1, 4: 2}, "c": {0: 1, 4: 2}},  # only one or two ids
        {"a": {0: 1, 8: 1}, "b": {0: 1, 4: 2, 8: 1, 12: 2}, "c": {0: 1, 4: 2, 8: 3, 12: 1, 16: 2}},  # several regions
    ],
)
def test_ids_of_classes_are_read(tmp_path, masks):
    write(tmp_path, masks)
    assert read(str(tmp_path)).task == "segmentation"
