"""What the contact sheets share: choosing images of every class, and laying out tiles with captions."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from retinue.data.decoding.deep_image import decode_deep_image
from retinue.data.decoding.image_file import read_header
from retinue.data.decoding.modern_formats import decode_modern
from retinue.data.decoding.pixel_range import EIGHT_BITS, PixelRange, scale_to_uint8

CAPTION_HEIGHT = 18  # pixels


@dataclass(frozen=True)
class SheetLayout:
    """The layout of a contact sheet.

    Attributes:
        tile: Side of a tile in pixels.
        columns: The largest number of tiles in a row.
        max_tiles: The largest number of tiles on the sheet.
        margin: Pixels around the image in a tile.
    """

    tile: int
    columns: int
    max_tiles: int
    margin: int


SMALL_TILES = SheetLayout(tile=160, columns=8, max_tiles=48, margin=2)
LARGE_TILES = SheetLayout(tile=380, columns=4, max_tiles=24, margin=3)  # for boxes and masks, which need more pixels


def draw_sheet(
    rows: Sequence[int],
    layout: SheetLayout,
    draw_tile: Callable[[int, int], Image.Image],
    caption_of: Callable[[int], str],
) -> Image.Image:
    """Draw a contact sheet.

    Args:
        rows: The rows of the dataset to show.
        layout: The layout.
        draw_tile: A function from a row and the length of the longer side in pixels to an image.
        caption_of: A function from a row to its caption, which is shortened to the width of a tile.
    """
    columns = min(layout.columns, len(rows))
    tile, height = layout.tile, layout.tile + CAPTION_HEIGHT
    sheet = Image.new("RGB", (columns * tile, -(-len(rows) // columns) * height), "white")
    draw, font = ImageDraw.Draw(sheet), caption_font()
    for index, row in enumerate(rows):
        left, top = index % columns * tile, index // columns * height
        image = draw_tile(row, tile - 2 * layout.margin)
        sheet.paste(image, (left + (tile - image.width) // 2, top + (tile - image.height) // 2))
        caption = _shorten(caption_of(row), font, tile - 2 * layout.margin - 2)
        draw.text((left + layout.margin + 1, top + tile + 2), caption, "black", font)
    return sheet


def choose_rows(groups: Sequence[np.ndarray], max_rows: int) -> list[int]:
    """Choose rows evenly from every group.

    Args:
        groups: For each class (or other group), its rows, int `[k]`. Empty groups are ignored.
        max_rows: The largest number of rows.

    Returns:
        The rows, group by group, each once.
    """
    filled = [rows for rows in groups if len(rows)]
    per_group = max(1, max_rows // max(len(filled), 1))
    chosen: dict[int, None] = {}
    for rows in filled:
        for index in np.unique(np.linspace(0, len(rows) - 1, per_group).astype(int)):
            chosen.setdefault(int(rows[index]))
    return list(chosen)[:max_rows]


def thumbnail(file: str | Path, side: int, pixel_range: PixelRange | None = None) -> Image.Image:
    """Return an image file as an upright RGB image, with the brightness that the model gets.

    Args:
        file: The path.
        side: The largest length of a side in pixels.
        pixel_range: As data.pixel_range in the configuration.

    Returns:
        The image; a gray tile where it can't be read.
    """
    try:
        # The warnings are about many pixels and odd metadata; the check has reported both.
        with warnings.catch_warnings(action="ignore"):
            header = read_header(file)
            if header.format in ("TIFF", "Netpbm") or header.depth != EIGHT_BITS:
                image = Image.fromarray(scale_to_uint8(decode_deep_image(file), pixel_range)).convert("RGB")
            elif header.format == "HEIC":
                image = Image.fromarray(decode_modern(Path(file).read_bytes(), header.format))
            else:
                image = _open_upright(file, side)
    except Exception:  # files that have changed since the check, and more pixels than Pillow accepts
        return Image.new("RGB", (side, side), "lightgrey")
    image.thumbnail((side, side))
    return image


def _open_upright(file: str | Path, side: int) -> Image.Image:
    with Image.open(file) as opened:
        opened.draft("RGB", (side, side))
        return ImageOps.exif_transpose(opened).convert("RGB")


def caption_font() -> ImageFont.FreeTypeFont:
    """Return DejaVu, which has more alphabets than Pillow's own font."""
    import matplotlib

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 12)


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    while font.getlength(text) > width:
        text = text[:-2] + "…"
    return text
