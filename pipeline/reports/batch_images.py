"""What the net sees: the pictures of a batch on one sheet, each with its class names."""

import textwrap

import numpy as np
from PIL import Image

from retinue.data.storage.atomic_files import atomic_path
from retinue.tasks import drawing
from retinue.tasks.fonts import drawable

MOST, ACROSS = 16, 4
SIDE, GAP = 256, 8  # pixels of a cell, and between cells
LETTERS = 30  # of a caption's line


def write_batch_pictures(path, images, captions):
    """Write at most 16 pictures of a batch as one JPEG, four in a row, each above its caption.

    images: n of uint8 `[h, w, 3]` RGB, as the net gets them, n >= 1. captions: n texts.
    """
    shown = min(len(images), MOST)
    texts = [drawable(text, one_font=True) for text in captions[:shown]]
    lines = [textwrap.wrap(text, LETTERS, max_lines=2, placeholder=" …") for text in texts]
    most = max(1, *map(len, lines))
    cells = []
    for image, text in zip(images[:shown], lines, strict=True):
        rows = [drawing.Row(line) for line in text + [""] * (most - len(text))]
        cells.append(drawing.with_panel(_fitted(image), rows))
    with atomic_path(path) as temporary:
        Image.fromarray(_sheet(cells)).save(temporary, "JPEG", quality=90)


def _fitted(image):
    """The picture as wide as a cell: shrunk, or enlarged by a whole factor, with paper at its sides."""
    factor = max(1, SIDE // max(image.shape[:2]))
    image = drawing.shrink(np.repeat(np.repeat(image, factor, axis=0), factor, axis=1), SIDE)
    missing = SIDE - image.shape[1]
    return np.pad(
        image, ((0, 0), (missing // 2, missing - missing // 2), (0, 0)), constant_values=drawing.BACKGROUND_COLOR[0]
    )


def _sheet(cells):
    height, width = max(len(cell) for cell in cells), cells[0].shape[1]
    across = min(ACROSS, len(cells))
    down = -(-len(cells) // across)
    sheet = np.full((down * (height + GAP) + GAP, across * (width + GAP) + GAP, 3), drawing.BACKGROUND_COLOR, np.uint8)
    for position, cell in enumerate(cells):
        row, column = divmod(position, across)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        sheet[top : top + len(cell), left : left + width] = cell
    return sheet
