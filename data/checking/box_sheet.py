"""A contact sheet for detection: images with the boxes that were read drawn on them, to see whether they fit."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retinue.data.checking.sheet_layout import LARGE_TILES, caption_font, choose_rows, draw_sheet, thumbnail
from retinue.data.dataset import Dataset
from retinue.data.decoding.image_file import image_size
from retinue.data.decoding.pixel_range import PixelRange

# The colors of Okabe and Ito, which color-blind people can tell apart.
COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
MAX_NAMED_BOXES = 12  # an image with more gets thin boxes without class names


def box_sheet(dataset: Dataset, pixel_range: PixelRange | None = None) -> Image.Image:
    """Draw some images of every class, or of the first classes when there are many, with their boxes.

    Each class has a color. Crowds and difficult objects have thin lines.

    Args:
        dataset: A dataset for detection, with boxes of the upright images.
        pixel_range: As data.pixel_range in the configuration.
    """
    rows, font = sorted(choose_rows(_rows_by_class(dataset), LARGE_TILES.max_tiles)), caption_font()

    def draw_tile(row: int, side: int) -> Image.Image:
        tile = thumbnail(dataset.files[row], side, pixel_range)
        _draw_boxes(tile, dataset, row, font)
        return tile

    return draw_sheet(rows, LARGE_TILES, draw_tile, lambda row: _caption(dataset, row))


def _rows_by_class(dataset: Dataset) -> list[np.ndarray]:
    """Return the rows of the images of each class, and last of those without objects."""
    labels = dataset.columns["labels"]
    row_of = labels.value_rowids()
    rows = [np.unique(row_of[labels.values == label]) for label in range(len(dataset.classes))]
    return [*rows, np.flatnonzero(np.diff(labels.offsets) == 0)]


def _draw_boxes(tile: Image.Image, dataset: Dataset, row: int, font: ImageFont.FreeTypeFont) -> None:
    draw = ImageDraw.Draw(tile)
    boxes, labels = dataset.columns["boxes"][row], dataset.columns["labels"][row]
    is_ignored = dataset.columns["crowd"][row] | dataset.columns["difficult"][row]
    scale = tile.width / _upright_width(dataset.files[row], default=tile.width)
    few = len(boxes) <= MAX_NAMED_BOXES
    for box, label, ignored in zip(boxes * scale, labels, is_ignored, strict=True):
        color = COLORS[label % len(COLORS)]
        x1, y1, x2, y2 = box.tolist()
        line_width = 1 if ignored or not few else 2
        draw.rectangle((x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)), outline=color, width=line_width)
        if few and len(dataset.classes) > 1:
            name = dataset.classes[label]
            left, top, right, bottom = draw.textbbox((x1 + 3, y1 + 1), name, font)
            draw.rectangle((left - 2, top - 1, right + 2, bottom + 1), fill=color)
            draw.text((x1 + 3, y1 + 1), name, "black", font)


def _upright_width(file: str, default: int) -> int:
    """Return the width of the upright image in pixels, `default` where it can't be read."""
    try:
        return image_size(file)[0]
    except (OSError, ValueError):
        return default


def _caption(dataset: Dataset, row: int) -> str:
    counts = np.bincount(dataset.columns["labels"][row], minlength=len(dataset.classes))
    return ", ".join(f"{counts[label]} {dataset.classes[label]}" for label in np.flatnonzero(counts)) or "(none)"
