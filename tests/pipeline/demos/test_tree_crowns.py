"""The tiles of the detection demo, from small synthetic images with the real names."""

import numpy as np
import pytest
from PIL import Image

from retinue.data.checking.check import check
from retinue.data.readers.read import read
from retinue.pipeline.demos.tree_crowns import TEST_SITE, TRAINING_SITE, cut_boxes, write_tiles

SIZES = {TRAINING_SITE: (1100, 1500), TEST_SITE: (500, 810)}


@pytest.fixture
def source(tmp_path):
    """Write images whose pixels encode their position: red is the column / 10, green is the row / 10."""
    for name, (width, height) in SIZES.items():
        x, y = np.meshgrid(np.arange(width) // 10, np.arange(height) // 10)
        (tmp_path / "source").mkdir(exist_ok=True)
        Image.fromarray(np.stack([x, y, 0 * x], -1).astype(np.uint8)).save(tmp_path / "source" / name)
        objects = "".join(
            f"<object><name>Tree</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{left + 40}</xmax>"
            f"<ymax>{top + 40}</ymax></bndbox></object>"
            for left in range(0, width - 40, 100)
            for top in range(0, height - 40, 100)
        )
        size = f"<size><width>{width}</width><height>{height}</height></size>"
        (tmp_path / "source" / name).with_suffix(".xml").write_text(f"<annotation>{size}{objects}</annotation>")
    return tmp_path / "source"


def test_splits_cover_their_regions_and_boxes_their_trees(source, tmp_path):
    data = read(write_tiles(source, tmp_path / "trees"))
    assert (data.format, data.classes, data.class_ids) == ("coco", ("tree",), (1,))
    assert check(data).findings == []
    rows = {}
    for record in data:
        pixels = np.asarray(Image.open(record["file"])).astype(int)
        rows.setdefault(record["split"], set()).update(pixels[:, :, 1].ravel().tolist())
        for x1, y1, x2, y2 in record["boxes"].astype(int).tolist():
            inside = pixels[y1:y2, x1:x2]
            assert (inside[..., :2] % 10 < 4).all()  # a tree has 40 of every 100 pixels along both axes
    assert max(rows["train"]) == 119 and min(rows["val"]) == 120 and max(rows["val"]) == 149
    assert max(rows["test"]) == 80
    counts = {split: (data.splits == split).sum() for split in ("train", "val", "test")}
    assert counts == {"train": 4 * 4, "val": 3, "test": 2}
    sizes = {split: data.split(split).columns["size"].tolist() for split in ("train", "test")}
    assert sizes["train"] == [[400, 400]] * 16 and sizes["test"] == [[405, 500]] * 2
    assert data.split("test").class_counts().tolist() == [5 * 8]


def test_a_crown_that_is_mostly_outside_the_window_is_omitted():
    boxes = np.array([[90, 0, 110, 10], [91, 0, 111, 10], [89, 0, 109, 10], [0, 0, 10, 10]], np.float32)
    assert cut_boxes(boxes, (100, 0, 200, 50)).tolist() == [[0, 0, 10, 10], [0, 0, 11, 10]]
