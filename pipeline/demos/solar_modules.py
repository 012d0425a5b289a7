"""Solar modules assembled from images of single cells; the mask marks the defective cells.

No package contains images of whole modules with masks. Cells of one split never occur in modules of another split.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from retinue.data.decoding.mask_file import voc_palette, write_mask
from retinue.data.storage.atomic_files import atomic_path, atomic_write
from retinue.pipeline.demos.solar_cells import solar_cell_rows, solar_cells

CLASSES = ("background", "defective")  # background: sound cells
CELL_SIZE = 64  # side of a cell in pixels
CELLS_PER_ROW = 4  # of a module, which is square
ARRANGEMENTS = 3  # modules that each training cell occurs in
VALIDATION_CELLS = 160


def solar_modules(folder: str | os.PathLike[str]) -> Path:
    """Download the cells once, and write `folder/<split>/images/*.png`, `masks/*.png` and `folder/classes.txt`.

    Returns:
        `folder`.

    Raises:
        RetinueError: The package could not be downloaded.
    """
    return write_modules(solar_cell_rows(solar_cells()), folder)


def write_modules(cells: Sequence[dict[str, str]], folder: str | os.PathLike[str], seed: int = 0) -> Path:
    """Assemble modules from cells in random order. Cells that would not fill a module are omitted.

    Args:
        cells: Dicts with file, label and split, as `solar_cell_rows` returns them.
        folder: The folder to write.
        seed: Seed of the order.

    Returns:
        `folder`.
    """
    folder, random = Path(folder), np.random.default_rng(seed)
    splits = {split: [cell for cell in cells if cell["split"] == split] for split in ("train", "test")}
    order = random.permutation(len(splits["train"]))
    splits["val"] = [splits["train"][index] for index in order[:VALIDATION_CELLS]]
    splits["train"] = [splits["train"][index] for index in order[VALIDATION_CELLS:]]
    size = CELLS_PER_ROW * CELLS_PER_ROW
    for split, members in splits.items():
        for arrangement in range(ARRANGEMENTS if split == "train" else 1):
            order = random.permutation(len(members))
            for number in range(len(members) // size):
                module = [members[index] for index in order[number * size : (number + 1) * size]]
                _write_module(folder / split, f"{arrangement}-{number:03d}.png", module)
    atomic_write(folder / "classes.txt", "\n".join(CLASSES) + "\n")
    return folder


def _write_module(folder: Path, name: str, cells: Sequence[dict[str, str]]) -> None:
    side = CELLS_PER_ROW * CELL_SIZE
    module, mask = Image.new("L", (side, side)), np.zeros((side, side), np.uint8)
    for index, cell in enumerate(cells):
        top, left = index // CELLS_PER_ROW * CELL_SIZE, index % CELLS_PER_ROW * CELL_SIZE
        with Image.open(cell["file"]) as image:
            module.paste(image.convert("L").resize((CELL_SIZE, CELL_SIZE), Image.Resampling.BOX), (left, top))
        mask[top : top + CELL_SIZE, left : left + CELL_SIZE] = cell["label"] == "defective"
    with atomic_path(folder / "images" / name) as path:
        module.convert("RGB").save(path)
    with atomic_path(folder / "masks" / name) as path:
        write_mask(path, mask, voc_palette())
