"""What the tasks' `draw` functions share: a readable panel of labeled bars under an image of any size."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retinue.tasks.fonts import drawable, font_file

Color = tuple[int, int, int]

# The green is bluish, so that color-blind people can tell it from the red. A tick and a cross repeat the information.
RIGHT, WRONG, NEUTRAL, FAINT = (0, 158, 115), (204, 51, 17), (0, 114, 178), (190, 196, 202)
TEXT_COLOR, BACKGROUND_COLOR = (32, 36, 40), (255, 255, 255)
MIN_WIDTH = 256  # pixels; a smaller image is enlarged, so that its labels are readable
MIN_FONT_SIZE = 13


@dataclass(frozen=True)
class Row:
    """One line of a panel.

    Attributes:
        text: text at the left, which is cut with an ellipsis if it is too long.
        fraction: length of the bar under the text, from 0 to 1. None for no bar.
        color: color of the bar.
        right: text at the right end.
    """

    text: str
    fraction: float | None = None
    color: Color = NEUTRAL
    right: str = ""


def with_panel(image: np.ndarray, rows: Sequence[Row]) -> np.ndarray:
    """Add a panel below an image, as wide as the image. The size of its text follows the size of the image.

    Args:
        image: uint8 `[h, w, 3]`, RGB. An image smaller than 256 pixels is enlarged; a narrower one is padded.
        rows: the lines of the panel.

    Returns:
        uint8 `[h', w', 3]`, with h' > h and w' >= 256.
    """
    image = _pad_to_width(image, MIN_WIDTH)
    height, width = image.shape[:2]
    size = max(round(min(width, 1.5 * height) / 22), MIN_FONT_SIZE)
    line, margin = round(1.6 * size), round(0.5 * size)
    panel = Image.new("RGB", (width, line * len(rows) + 2 * margin), BACKGROUND_COLOR)
    draw = ImageDraw.Draw(panel)
    for index, row in enumerate(rows):
        top = margin + index * line
        if row.fraction is not None:
            _draw_bar(draw, row.fraction, row.color, (margin, top + 1, width - margin, top + line - 2))
        middle = top + line // 2
        used = 0.0
        if row.right:
            used = font_of(row.right, size).getlength(row.right) + margin
            draw.text((width - 2 * margin, middle), row.right, TEXT_COLOR, font_of(row.right, size), anchor="rm")
        text = shorten(row.text, size, width - 4 * margin - used)
        draw.text((2 * margin, middle), text, TEXT_COLOR, font_of(text, size), anchor="lm")
    return np.concatenate([image, np.asarray(panel)])


def enlarge(image: np.ndarray, min_side: int) -> np.ndarray:
    """Enlarge an image by the smallest whole factor that makes its longer side at least `min_side` pixels.

    Every pixel becomes a square of equal pixels. A larger image is returned unchanged.
    """
    factor = -(-min_side // max(image.shape[:2]))
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1) if factor > 1 else image


def shrink(image: np.ndarray, max_side: int) -> np.ndarray:
    """Shrink an image so that no side is longer than `max_side` pixels. A smaller image is returned unchanged."""
    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def shorten(text: str, size: int, width: float) -> str:
    """Put a text on one line, and cut it with an ellipsis if it is wider than `width` pixels at font size `size`."""
    text = drawable(text, one_font=True)
    font = font_of(text, size)
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:  # bisection for the longest beginning that fits
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle] + "…") <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def _pad_to_width(image: np.ndarray, width: int) -> np.ndarray:
    """Enlarge a small image, and pad a narrow one at both sides."""
    image = enlarge(image, width)
    left = max(0, width - image.shape[1]) // 2
    right = max(0, width - image.shape[1] - left)
    return np.pad(image, ((0, 0), (left, right), (0, 0)), constant_values=BACKGROUND_COLOR[0])


def _draw_bar(draw: ImageDraw.ImageDraw, fraction: float, color: Color, box: tuple[int, int, int, int]) -> None:
    """Draw a bar of `fraction` of the box (left, top, right, bottom) on a light track."""
    left, top, right, bottom = box
    track = tuple(round(0.9 * 255 + 0.1 * channel) for channel in color)
    fill = tuple(round(0.5 * 255 + 0.5 * channel) for channel in color)
    draw.rectangle(box, fill=track)
    fraction = min(max(fraction, 0.0), 1.0)
    draw.rectangle((left, top, left + max(round(fraction * (right - left)), 1), bottom), fill=fill)
    draw.rectangle((left, top, left + max((bottom - top) // 6, 2), bottom), fill=color)


def font_of(text: str, size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's font of `size` pixels that has the characters of a text."""
    return _load_font(font_file(text), size)


@functools.lru_cache(maxsize=64)
def _load_font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)
