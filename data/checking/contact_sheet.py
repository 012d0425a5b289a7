"""A contact sheet: small images of a dataset with their labels, to see at a glance what was read."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from retinue.data.checking.sheet_layout import SMALL_TILES, choose_rows, draw_sheet, thumbnail
from retinue.data.dataset import Dataset
from retinue.data.decoding.pixel_range import PixelRange


def contact_sheet(
    dataset: Dataset,
    pixel_range: PixelRange | None = None,
    draw_tile: Callable[[int, int], Image.Image] | None = None,
) -> Image.Image:
    """Draw some upright images of every class, or of the first classes when there are many.

    Args:
        dataset: The dataset, with labels of whole images or clips.
        pixel_range: As data.pixel_range in the configuration.
        draw_tile: A function from a row and the length of the longer side in pixels to an image; by default the file's
            image.
    """
    rows = choose_rows(_rows_by_class(dataset), SMALL_TILES.max_tiles)
    draw_tile = draw_tile or (lambda row, side: thumbnail(dataset.files[row], side, pixel_range))
    return draw_sheet(rows, SMALL_TILES, draw_tile, lambda row: _caption(dataset, row))


def _labels_of(dataset: Dataset, row: int) -> list[int]:
    if not dataset.classes:
        return []
    return list(dataset.columns["labels"][row]) if dataset.multi_label else [dataset.columns["label"][row]]


def _rows_by_class(dataset: Dataset) -> list[np.ndarray]:
    """Return the rows of each class by their first label, and last those without a label."""
    rows_of: dict[int, list[int]] = {}
    for row in range(len(dataset)):
        labels = _labels_of(dataset, row)
        rows_of.setdefault(int(labels[0]) if labels else len(dataset.classes), []).append(row)
    return [np.array(rows_of[label]) for label in sorted(rows_of)]


def _caption(dataset: Dataset, row: int) -> str:
    return ", ".join(dataset.classes[label] for label in _labels_of(dataset, row)) or "(none)"
