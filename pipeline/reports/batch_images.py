"""A contact sheet of the images of a batch as the model gets them, each with its labels."""

import os
import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image

from retinue.data.storage.atomic_files import atomic_path
from retinue.tasks import drawing
from retinue.tasks.fonts import drawable

MAX_IMAGES, COLUMNS = 16, 4
CELL_SIDE, GAP = 256, 8  # pixels of a cell, and between cells
LINE_LENGTH = 30  # characters of a caption's line


def write_batch_images(path: str | os.PathLike[str], images: Sequence[np.ndarray], captions: Sequence[str]) -> None:
    """Write at most 16 images of a batch as one JPEG file, four in a row, each above its caption.

    Args:
        path: the file to write.
        images: at least one image, uint8 `[h, w, 3]`, RGB, as the model gets it.
        captions: a text for each image.
    """
    count = min(len(images), MAX_IMAGES)
    texts = [drawable(text, one_font=True) for text in captions[:count]]
    lines = [textwrap.wrap(text, LINE_LENGTH, max_lines=2, placeholder=" …") for text in texts]
    num_lines = max(1, *map(len, lines))
    cells = []
    for image, text in zip(images[:count], lines, strict=True):
        rows = [drawing.Row(line) for line in text + [""] * (num_lines - len(text))]
        cells.append(drawing.with_panel(_fit_to_cell(image), rows))
    with atomic_path(path) as temporary:
        Image.fromarray(_make_sheet(cells)).save(temporary, "JPEG", quality=90)


def _fit_to_cell(image: np.ndarray) -> np.ndarray:
    """Return the image as wide as a cell: shrunk, or enlarged by a whole factor, with background at its sides."""
    factor = max(1, CELL_SIDE // max(image.shape[:2]))
    image = drawing.shrink(np.repeat(np.repeat(image, factor, axis=0), factor, axis=1), CELL_SIDE)
    missing = CELL_SIDE - image.shape[1]
    around = ((0, 0), (missing // 2, missing - missing // 2), (0, 0))
    return np.pad(image, around, constant_values=drawing.BACKGROUND_COLOR[0])


def _make_sheet(cells: Sequence[np.ndarray]) -> np.ndarray:
    height, width = max(len(cell) for cell in cells), cells[0].shape[1]
    columns = min(COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), drawing.BACKGROUND_COLOR, np.uint8)
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        sheet[top : top + len(cell), left : left + width] = cell
    return sheet
