"""The contact sheet with boxes."""

import numpy as np
from PIL import Image

from retinue.data.checking.box_sheet import COLORS, box_sheet
from retinue.data.checking.sheet_layout import LARGE_TILES
from retinue.data.dataset import Dataset
from retinue.data.readers.objects import object_columns


def test_boxes_are_drawn_at_their_position_in_the_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored in landscape, 748 x 374 pixels; upright it is 374 wide, as large as a tile shows it
    Image.new("RGB", (748, 374), "white").save(tmp_path / "a.png", exif=exif)
    Image.new("RGB", (374, 374), "white").save(tmp_path / "b.png")
    columns = object_columns([0, 0], [[100, 200, 300, 600], [0, 0, 374, 748]], [1, 0], [1, 2], ["a", "b"])
    data = Dataset("detection", [tmp_path / "a.png", tmp_path / "b.png"], ["cat", "dog"], columns, format="coco")
    sheet = np.asarray(box_sheet(data))
    tile = LARGE_TILES.tile
    assert sheet.shape == (tile + 18, 2 * tile, 3)
    color = tuple(int(COLORS[1][start : start + 2], 16) for start in (1, 3, 5))
    rows, columns = np.nonzero((sheet[:tile, :tile] == color).all(axis=2))
    left = (tile - 187) // 2  # halved, 374 high
    assert abs(columns.min() - (left + 50)) <= 1 and abs(columns.max() - (left + 149)) <= 1
    assert abs(rows.max() - (3 + 299)) <= 1
