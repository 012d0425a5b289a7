"""The tiles of the nuclei demo."""

import numpy as np
from PIL import Image

from retinue.data.readers.read import read
from retinue.pipeline.demos.nuclei import BORDER, write_tiles


def test_the_regions_of_the_splits_do_not_overlap(tmp_path):
    """Each pair of pixels encodes its row and column, so that a position in two splits is detected."""
    rows, columns = np.mgrid[:512, :512]
    tiles = {}
    for coordinate, image in (("row", rows // 2), ("column", columns // 2)):
        folder = write_tiles(image.astype(np.uint8), (rows % 2).astype(np.uint8), tmp_path / coordinate)
        tiles[coordinate] = {
            split: [np.asarray(Image.open(file))[:, :, 0] for file in sorted((folder / split / "images").iterdir())]
            for split in ("train", "val", "test")
        }
    positions = {
        split: {
            position
            for rows, columns in zip(tiles["row"][split], tiles["column"][split], strict=True)
            for position in zip(rows.ravel().tolist(), columns.ravel().tolist(), strict=True)
        }
        for split in ("train", "val", "test")
    }
    assert (
        not positions["train"] & positions["test"]
        and not positions["train"] & positions["val"]
        and not positions["val"] & positions["test"]
    )
    assert len(positions["test"]) == 256 * (512 - BORDER) // 2 and len(positions["train"]) == (BORDER // 2) ** 2
    dataset = read(tmp_path / "row")
    assert dataset.classes == ("background", "nucleus") and set(dataset.splits) == {"train", "val", "test"}
