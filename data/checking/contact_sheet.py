"""A contact sheet: small pictures of a dataset with their labels, to see at a glance what was read."""

import warnings

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

TILE, CAPTION, COLUMNS, MOST = 160, 18, 8, 48


def contact_sheet(dataset, tile_of=None):
    """Some pictures of every class (of the first ones, when there are many), upright, as a PIL image.

    tile_of: function (a row, the longest side) -> PIL image; by default the file's picture.
    """
    tile_of = tile_of or (lambda row, side: thumbnail(dataset.files[row], side))
    rows = _choose(dataset)
    columns = min(COLUMNS, len(rows))
    sheet = Image.new("RGB", (columns * TILE, -(-len(rows) // columns) * (TILE + CAPTION)), "white")
    draw, font = ImageDraw.Draw(sheet), caption_font()
    for place, row in enumerate(rows):
        left, top = place % columns * TILE, place // columns * (TILE + CAPTION)
        tile = tile_of(row, TILE - 4)
        sheet.paste(tile, (left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2))
        draw.text((left + 3, top + TILE + 2), _caption(dataset, row, font), "black", font)
    return sheet


def _choose(dataset):
    """Rows, class by class, evenly over each class's files; files without a label come last."""
    labels = dataset.columns["labels"] if dataset.multi_label else dataset.columns["label"][:, None]
    rows_of = {}
    for row in range(len(dataset)):
        rows_of.setdefault(int(labels[row][0]) if len(labels[row]) else len(dataset.classes), []).append(row)
    each = max(1, MOST // len(rows_of))
    chosen = []
    for label in sorted(rows_of):
        rows = rows_of[label]
        chosen += [rows[index] for index in np.unique(np.linspace(0, len(rows) - 1, each).astype(int))]
    return chosen[:MOST]


def thumbnail(file, side):
    """The picture, upright, RGB, with no side longer than `side`; a grey tile for what Pillow can't read."""
    try:
        # The warnings are of many pixels and odd metadata; the check has looked at both.
        with warnings.catch_warnings(action="ignore"), Image.open(file) as opened:
            opened.draft("RGB", (side, side))
            picture = ImageOps.exif_transpose(opened)
            if picture.mode.startswith(("I", "F")):
                picture = _to_eight_bits(picture)
            picture = picture.convert("RGB")
    except Exception:  # TIFFs that only OpenCV reads, and more pixels than Pillow likes: a grey tile will do
        return Image.new("RGB", (side, side), "lightgrey")
    picture.thumbnail((side, side))
    return picture


def _to_eight_bits(picture):
    pixels = np.asarray(picture, np.float64)
    return Image.fromarray((255 * pixels / max(pixels.max(), 1e-12)).clip(0, 255).astype(np.uint8))


def _caption(dataset, row, font):
    labels = dataset.columns["labels"][row] if dataset.multi_label else [dataset.columns["label"][row]]
    text = ", ".join(dataset.classes[label] for label in labels) or "(none)"
    while font.getlength(text) > TILE - 6:
        text = text[:-2] + "…"
    return text


def caption_font():
    """DejaVu, which has more alphabets than Pillow's own font."""
    import matplotlib

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 12)
