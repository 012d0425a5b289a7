"""What the tasks' `draw` functions share: a readable panel of labelled bars under a picture of any size."""

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retinue.tasks.fonts import drawable, font_file

# This green is bluish, so that colour-blind eyes tell it from the red; a tick and a cross say the same again.
RIGHT, WRONG, NEUTRAL, FAINT = (0, 158, 115), (204, 51, 17), (0, 114, 178), (190, 196, 202)
INK, PAPER = (32, 36, 40), (255, 255, 255)
NARROWEST = 256  # pixels; a smaller picture is enlarged, for its label to be readable
SMALLEST_FONT = 13


@dataclass(frozen=True)
class Row:
    """One line of a panel. share: 0..1, the length of the bar under the text, or None; right: text at the end."""

    text: str
    share: float = None
    color: tuple = NEUTRAL
    right: str = ""


def with_panel(image, rows):
    """The picture with a panel of `rows` below it, as wide as the picture.

    image: uint8 `[h, w, 3]` RGB; a smaller one than 256 pixels is enlarged, a narrower one gets paper at its sides.
    Returns uint8 `[h', w', 3]`, h' > h, w' >= 256. The size of the text follows the size of the picture.
    """
    image = _at_least(image, NARROWEST)
    height, width = image.shape[:2]
    size = max(round(min(width, 1.5 * height) / 22), SMALLEST_FONT)
    line, margin = round(1.6 * size), round(0.5 * size)
    panel = Image.new("RGB", (width, line * len(rows) + 2 * margin), PAPER)
    draw = ImageDraw.Draw(panel)
    for index, row in enumerate(rows):
        top = margin + index * line
        if row.share is not None:
            _draw_bar(draw, row, (margin, top + 1, width - margin, top + line - 2))
        middle = top + line // 2
        taken = 0
        if row.right:
            taken = font_of(row.right, size).getlength(row.right) + margin
            draw.text((width - 2 * margin, middle), row.right, INK, font_of(row.right, size), anchor="rm")
        text = shorten(row.text, size, width - 4 * margin - taken)
        draw.text((2 * margin, middle), text, INK, font_of(text, size), anchor="lm")
    return np.concatenate([image, np.asarray(panel)])


def enlarge(image, smallest):
    """The picture with its longer side at `smallest` or more pixels, by the least whole factor (square pixels)."""
    factor = -(-smallest // max(image.shape[:2]))
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1) if factor > 1 else image


def shrink(image, largest):
    """The picture with no side longer than `largest` pixels."""
    height, width = image.shape[:2]
    scale = largest / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def shorten(text, size, width):
    """`text` on one line, cut with an ellipsis where it is wider than `width` pixels at font size `size`."""
    text = drawable(text, one_font=True)
    font = font_of(text, size)
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle] + "…") <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def _at_least(image, width):
    image = enlarge(image, width)
    left = max(0, width - image.shape[1]) // 2
    right = max(0, width - image.shape[1] - left)
    return np.pad(image, ((0, 0), (left, right), (0, 0)), constant_values=PAPER[0])


def _draw_bar(draw, row, box):
    left, top, right, bottom = box
    track = tuple(round(0.9 * 255 + 0.1 * channel) for channel in row.color)
    fill = tuple(round(0.5 * 255 + 0.5 * channel) for channel in row.color)
    draw.rectangle(box, fill=track)
    share = min(max(row.share, 0.0), 1.0)
    draw.rectangle((left, top, left + max(round(share * (right - left)), 1), bottom), fill=fill)
    draw.rectangle((left, top, left + max((bottom - top) // 6, 2), bottom), fill=row.color)


def font_of(text, size):
    """Pillow's font of `size` pixels that has the characters of `text`."""
    return _load_font(font_file(text), size)


@functools.lru_cache(maxsize=64)
def _load_font(path, size):
    return ImageFont.truetype(path, size)
