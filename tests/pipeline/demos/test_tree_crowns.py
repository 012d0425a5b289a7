"""The tiles of the detection demo, on small made-up pictures with the real names."""

import numpy as np
import pytest
from PIL import Image

from retinue.data.checking.check import check
from retinue.data.readers.read import read
from retinue.pipeline.demos.tree_crowns import LEARNED, OTHER, cut_boxes, write_tiles

SIZES = {LEARNED: (1100, 1500), OTHER: (500, 810)}


@pytest.fixture
def photos(tmp_path):
    """Pictures whose pixels say where they are: red the column, green the row, in tens."""
    for name, (width, height) in SIZES.items():
        x, y = np.meshgrid(np.arange(width) // 10, np.arange(height) // 10)
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(np.stack([x, y, 0 * x], -1).astype(np.uint8)).save(tmp_path / "photos" / name)
        objects = "".join(
            f"<object><name>Tree</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{left + 40}</xmax>"
            f"<ymax>{top + 40}</ymax></bndbox></object>"
            for left in range(0, width - 40, 100)
            for top in range(0, height - 40, 100)
        )
        size = f"<size><width>{width}</width><height>{height}</height></size>"
        (tmp_path / "photos" / name).with_suffix(".xml").write_text(f"<annotation>{size}{objects}</annotation>")
    return tmp_path / "photos"


def test_splits_lie_where_they_should_and_boxes_on_their_trees(photos, tmp_path):
    data = read(write_tiles(photos, tmp_path / "trees"))
    assert (data.format, data.classes, data.class_ids) == ("coco", ("tree",), (1,))
    assert check(data).findings == []
    rows = {}
    for record in data:
        pixels = np.asarray(Image.open(record["file"])).astype(int)
        rows.setdefault(record["split"], set()).update(pixels[:, :, 1].ravel().tolist())
        for x1, y1, x2, y2 in record["boxes"].astype(int).tolist():
            inside = pixels[y1:y2, x1:x2]
            assert (inside[..., 0] % 10 < 4).all() and (inside[..., 1] % 10 < 4).all()  # a tree is 4 of 10 tens
    assert max(rows["train"]) == 119 and min(rows["val"]) == 120 and max(rows["val"]) == 149
    assert max(rows["test"]) == 80
    counts = {split: (data.splits == split).sum() for split in ("train", "val", "test")}
    assert counts == {"train": 4 * 4, "val": 3, "test": 2}
    sizes = {split: data.split(split).columns["size"].tolist() for split in ("train", "test")}
    assert sizes["train"] == [[400, 400]] * 16 and sizes["test"] == [[405, 500]] * 2
    assert data.split("test").class_counts().tolist() == [5 * 8]


def test_a_crown_that_is_mostly_outside_is_left_out():
    boxes = np.array([[90, 0, 110, 10], [91, 0, 111, 10], [89, 0, 109, 10], [0, 0, 10, 10]], np.float32)
    assert cut_boxes(boxes, (100, 0, 200, 50)).tolist() == [[0, 0, 10, 10], [0, 0, 11, 10]]
