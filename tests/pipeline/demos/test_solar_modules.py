"""The modules of the segmentation demo, from synthetic cells whose gray level is their number."""

import numpy as np
from PIL import Image

from retinue.data.checking.check import check
from retinue.data.readers.read import read
from retinue.pipeline.demos.solar_modules import CELL_SIZE, CELLS_PER_ROW, VALIDATION_CELLS, write_modules


def test_masks_mark_defective_cells_and_no_cell_is_in_two_splits(tmp_path):
    cells = []
    (tmp_path / "cells").mkdir()
    for number in range(224):  # 160 of the 192 cells outside the test set are for validation
        file = tmp_path / "cells" / f"{number}.png"
        Image.fromarray(np.full((30, 30), number, np.uint8)).save(file)
        label, split = ("sound", "defective")[number % 2], "test" if number < 32 else "train"
        cells.append({"file": str(file), "label": label, "split": split})
    dataset = read(write_modules(cells, tmp_path / "modules"))
    assert dataset.classes == ("background", "defective") and check(dataset).findings == []
    seen = {}
    for record in dataset:
        module = np.asarray(Image.open(record["file"]))[:, :, 0]
        mask = np.asarray(Image.open(record["file"].replace("images", "masks")))
        assert module.shape == (CELLS_PER_ROW * CELL_SIZE,) * 2 and np.array_equal(mask, module % 2)
        numbers, counts = np.unique(module, return_counts=True)
        assert set(counts) == {CELL_SIZE * CELL_SIZE}
        seen.setdefault(record["split"], []).extend(numbers.tolist())
    assert sorted(seen["test"]) == list(range(32))
    assert len(set(seen["val"])) == len(seen["val"]) == VALIDATION_CELLS
    assert len(seen["train"]) == 3 * 32 and len(set(seen["train"])) == 32
    assert not set(seen["train"]) & set(seen["val"]) and min(seen["train"] + seen["val"]) >= 32
