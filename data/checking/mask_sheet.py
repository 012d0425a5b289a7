"""A contact sheet for segmentation: pictures with the masks that were read laid over them, to see whether they fit."""

import numpy as np
from PIL import Image, ImageDraw

from retinue.configs.errors import RetinueError
from retinue.data.checking.contact_sheet import caption_font, thumbnail
from retinue.data.decoding.image_file import probe
from retinue.data.decoding.mask_file import read_mask, voc_palette
from retinue.data.void_label import VOID

TILE, CAPTION, COLUMNS, MOST = 380, 18, 4, 24
STRENGTH = 0.55  # of the mask's colour
VOID_COLOR = (255, 255, 255)


def mask_sheet(dataset):
    """Some pictures of every class (of the first ones, when there are many) under their masks, as a PIL image.

    Each class but one named background has a colour, void is white. dataset: checked.
    """
    rows = _choose(dataset)
    columns = min(COLUMNS, len(rows))
    sheet = Image.new("RGB", (columns * TILE, -(-len(rows) // columns) * (TILE + CAPTION)), "white")
    draw, font = ImageDraw.Draw(sheet), caption_font()
    for place, row in enumerate(rows):
        left, top = place % columns * TILE, place // columns * (TILE + CAPTION)
        tile = _under_mask(thumbnail(dataset.files[row], TILE - 6), dataset, row)
        sheet.paste(tile, (left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2))
        draw.text((left + 4, top + TILE + 2), _caption(dataset, row, font), "black", font)
    return sheet


def class_colors(classes):
    """A colour for each class, uint8 `[256, 3]`, VOC's; black, which is not laid over, for one named background."""
    colors = voc_palette()
    names = [name.strip("_").lower() for name in classes]
    if "background" in names:
        place = names.index("background")
        colors[[0, place]] = colors[[place, 0]]
    else:
        colors[: len(classes)] = voc_palette()[1 : len(classes) + 1]
    colors[VOID] = VOID_COLOR
    return colors


def blend(image, ids, colors, strength=STRENGTH):
    """A picture uint8 `[h, w, 3]` with the colours of class ids uint8 `[h, w]` over it, but for black ones."""
    over = colors[ids].astype(np.float32)
    weight = strength * (over.sum(axis=-1, keepdims=True) > 0)
    return np.rint(image * (1 - weight) + over * weight).astype(np.uint8)


def _under_mask(tile, dataset, row):
    image = probe(dataset.files[row])
    size = (image.width, image.height) if image.orientation >= 5 else (image.height, image.width)
    try:
        values = dataset.columns["values"][row]
        ids = read_mask(dataset.columns["mask"][row], values, len(dataset.classes), size, image.orientation)
    except RetinueError:  # it has been told already
        return tile
    ids = np.asarray(Image.fromarray(ids).resize(tile.size, Image.Resampling.NEAREST))
    return Image.fromarray(blend(np.asarray(tile), ids, class_colors(dataset.classes)))


def _choose(dataset):
    """Rows, evenly over the pictures of each class, in the dataset's order."""
    labels = dataset.columns["labels"]
    row_of, chosen = labels.value_rowids(), {}
    of_class = [np.unique(row_of[labels.values == label]) for label in range(len(dataset.classes))]
    filled = [rows for rows in of_class if len(rows)] or [np.arange(len(dataset))]
    for rows in filled:
        for index in np.unique(np.linspace(0, len(rows) - 1, max(1, MOST // len(filled))).astype(int)):
            chosen.setdefault(int(rows[index]))
    return sorted(list(chosen)[:MOST])


def _caption(dataset, row, font):
    text = ", ".join(dataset.classes[label] for label in dataset.columns["labels"][row]) or "(all void)"
    while font.getlength(text) > TILE - 8:
        text = text[:-2] + "…"
    return text
