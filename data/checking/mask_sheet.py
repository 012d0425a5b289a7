"""A contact sheet for segmentation: images with the masks that were read laid over them, to see whether they fit."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.checking.file_info import upright_size
from retinue.data.checking.sheet_layout import LARGE_TILES, choose_rows, draw_sheet, thumbnail
from retinue.data.dataset import Dataset
from retinue.data.decoding.image_file import probe
from retinue.data.decoding.mask_file import read_mask, voc_palette
from retinue.data.decoding.pixel_range import PixelRange
from retinue.data.void_label import VOID

OPACITY = 0.55  # of the mask's color
VOID_COLOR = (255, 255, 255)


def mask_sheet(dataset: Dataset, pixel_range: PixelRange | None = None) -> Image.Image:
    """Draw some images of every class, or of the first classes when there are many, under their masks.

    Each class but one named background has a color. Void is white.

    Args:
        dataset: A checked dataset for segmentation.
        pixel_range: As data.pixel_range in the configuration.
    """
    labels = dataset.columns["labels"]
    row_of = labels.value_rowids()
    rows_by_class = [np.unique(row_of[labels.values == label]) for label in range(len(dataset.classes))]
    if not any(len(rows) for rows in rows_by_class):
        rows_by_class = [np.arange(len(dataset))]
    rows = sorted(choose_rows(rows_by_class, LARGE_TILES.max_tiles))
    return draw_sheet(
        rows,
        LARGE_TILES,
        lambda row, side: _under_mask(thumbnail(dataset.files[row], side, pixel_range), dataset, row),
        lambda row: ", ".join(dataset.classes[label] for label in labels[row]) or "(all void)",
    )


def class_colors(classes: Sequence[str]) -> np.ndarray:
    """Return a color of VOC's palette for each class id, uint8 `[256, 3]`.

    A class named background is black, which `blend` does not lay over the image.
    """
    colors = voc_palette()
    names = [name.strip("_").lower() for name in classes]
    if "background" in names:
        index = names.index("background")
        colors[[0, index]] = colors[[index, 0]]
    else:
        colors[: len(classes)] = voc_palette()[1 : len(classes) + 1]
    colors[VOID] = VOID_COLOR
    return colors


def blend(image: np.ndarray, ids: np.ndarray, colors: np.ndarray, opacity: float = OPACITY) -> np.ndarray:
    """Lay the colors of class ids over an image, except for black ones.

    Args:
        image: uint8 `[h, w, 3]`.
        ids: uint8 `[h, w]`, class ids.
        colors: uint8 `[256, 3]`, the color of each class id.
        opacity: Weight of the colors, 0 to 1.

    Returns:
        uint8 `[h, w, 3]`.
    """
    color = colors[ids].astype(np.float32)
    weight = opacity * (color.sum(axis=-1, keepdims=True) > 0)
    return np.rint(image * (1 - weight) + color * weight).astype(np.uint8)


def _under_mask(tile: Image.Image, dataset: Dataset, row: int) -> Image.Image:
    image = probe(dataset.files[row])
    try:
        values = dataset.columns["values"][row]
        mask = dataset.columns["mask"][row]
        ids = read_mask(mask, values, len(dataset.classes), upright_size(image), image.orientation, resize=True)
    except RetinueError:  # the check has reported it
        return tile
    ids = np.asarray(Image.fromarray(ids).resize(tile.size, Image.Resampling.NEAREST))
    return Image.fromarray(blend(np.asarray(tile), ids, class_colors(dataset.classes)))
