"""A contact sheet for detection: pictures with the boxes that were read drawn on them, to see whether they fit."""

import numpy as np
from PIL import Image, ImageDraw

from retinue.data.checking.contact_sheet import caption_font, thumbnail
from retinue.data.decoding.image_file import image_size

TILE, CAPTION, COLUMNS, MOST = 380, 18, 4, 24
# Okabe and Ito's colours, apart for colour-blind eyes.
COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")


def box_sheet(dataset):
    """Some pictures of every class (of the first ones, when there are many) with their boxes, as a PIL image.

    dataset: with boxes of the upright pictures. Each class has a colour; crowds and difficult objects have thin lines.
    """
    rows = _choose(dataset)
    columns = min(COLUMNS, len(rows))
    sheet = Image.new("RGB", (columns * TILE, -(-len(rows) // columns) * (TILE + CAPTION)), "white")
    font = caption_font()
    for place, row in enumerate(rows):
        left, top = place % columns * TILE, place // columns * (TILE + CAPTION)
        tile = thumbnail(dataset.files[row], TILE - 6)
        _draw_boxes(tile, dataset, row, font)
        sheet.paste(tile, (left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2))
        ImageDraw.Draw(sheet).text((left + 4, top + TILE + 2), _caption(dataset, row, font), "black", font)
    return sheet


def _choose(dataset):
    """Rows, evenly over the pictures of each class, and a few without objects, in the dataset's order."""
    labels = dataset.columns["labels"]
    row_of, chosen = labels.value_rowids(), {}
    of_class = [np.unique(row_of[labels.values == label]) for label in range(len(dataset.classes))]
    of_class.append(np.flatnonzero(np.diff(labels.offsets) == 0))
    filled = [rows for rows in of_class if len(rows)]
    each = max(1, MOST // len(filled))
    for rows in filled:
        for index in np.unique(np.linspace(0, len(rows) - 1, each).astype(int)):
            chosen.setdefault(int(rows[index]))
    return sorted(list(chosen)[:MOST])


def _draw_boxes(tile, dataset, row, font):
    draw = ImageDraw.Draw(tile)
    boxes, labels = dataset.columns["boxes"][row], dataset.columns["labels"][row]
    thin = dataset.columns["crowd"][row] | dataset.columns["difficult"][row]
    scale = tile.width / _upright_width(dataset.files[row], tile.width)
    few = len(boxes) <= 12
    for box, label, is_thin in zip(boxes * scale, labels, thin, strict=True):
        color = COLORS[label % len(COLORS)]
        x1, y1, x2, y2 = box.tolist()
        draw.rectangle((x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)), outline=color, width=1 if is_thin or not few else 2)
        if few and len(dataset.classes) > 1:
            name = dataset.classes[label]
            left, top, right, bottom = draw.textbbox((x1 + 3, y1 + 1), name, font)
            draw.rectangle((left - 2, top - 1, right + 2, bottom + 1), fill=color)
            draw.text((x1 + 3, y1 + 1), name, "black", font)


def _upright_width(file, unknown):
    try:
        return image_size(file)[0]
    except (OSError, ValueError):
        return unknown


def _caption(dataset, row, font):
    labels = dataset.columns["labels"][row]
    counts = np.bincount(labels, minlength=len(dataset.classes))
    text = ", ".join(f"{counts[label]} {dataset.classes[label]}" for label in np.flatnonzero(counts)) or "(none)"
    while font.getlength(text) > TILE - 8:
        text = text[:-2] + "…"
    return text
