"""Solar modules put together from photos of single cells, with the defective cells as the mask.

No photo of a whole module with masks is to be had from a package; cells of one split never stand in another's modules.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from retinue.data.decoding.mask_file import voc_palette, write_mask
from retinue.data.storage.atomic_files import atomic_path, atomic_write
from retinue.pipeline.demos.solar_cells import solar_cell_rows, solar_cells

CLASSES = ("background", "defective")  # background: sound cells
CELL, ACROSS = 64, 4  # pixels of a cell's side, cells of a module's
ARRANGEMENTS = 3  # modules that a training cell stands in
VALIDATION = 160  # cells


def solar_modules(folder):
    """Fetch the cells, once, and write `folder/<split>/images/*.png`, `masks/*.png` and `folder/classes.txt`.

    Returns `folder`. Raises RetinueError when the package can't be fetched.
    """
    return write_modules(solar_cell_rows(solar_cells()), folder)


def write_modules(cells, folder, seed=0):
    """Put cells together, at random. cells: dicts `file, label, split` as `solar_cell_rows` gives them.

    The last cells of a module that would not be full are left out. Returns `folder`.
    """
    folder, random = Path(folder), np.random.default_rng(seed)
    parts = {split: [cell for cell in cells if cell["split"] == split] for split in ("train", "test")}
    order = random.permutation(len(parts["train"]))
    parts["val"] = [parts["train"][place] for place in order[:VALIDATION]]
    parts["train"] = [parts["train"][place] for place in order[VALIDATION:]]
    size = ACROSS * ACROSS
    for split, members in parts.items():
        for arrangement in range(ARRANGEMENTS if split == "train" else 1):
            order = random.permutation(len(members))
            for number in range(len(members) // size):
                chosen = [members[place] for place in order[number * size : (number + 1) * size]]
                _write_module(folder / split, f"{arrangement}-{number:03d}.png", chosen)
    atomic_write(folder / "classes.txt", "\n".join(CLASSES) + "\n")
    return folder


def _write_module(folder, name, cells):
    side = ACROSS * CELL
    photo, mask = Image.new("L", (side, side)), np.zeros((side, side), np.uint8)
    for place, cell in enumerate(cells):
        top, left = place // ACROSS * CELL, place % ACROSS * CELL
        with Image.open(cell["file"]) as picture:
            photo.paste(picture.convert("L").resize((CELL, CELL), Image.Resampling.BOX), (left, top))
        mask[top : top + CELL, left : left + CELL] = cell["label"] == "defective"
    with atomic_path(folder / "images" / name) as path:
        photo.convert("RGB").save(path)
    with atomic_path(folder / "masks" / name) as path:
        write_mask(path, mask, voc_palette())
