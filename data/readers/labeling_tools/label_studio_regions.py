"""The regions of Label Studio: shapes in percent of the image, and brush strokes as run lengths of bits."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from retinue.data.readers.labeling_tools.annotated_images import (
    AnnotatedObject,
    Bitmap,
    make_bitmap_object,
    make_object,
    parse_size,
)
from retinue.data.readers.labeling_tools.outlines import (
    ellipse_outline,
    parse_points,
    rectangle_outline,
    rotate_outline,
)

SHAPES = ("rectangle", "polygon", "ellipse", "brush")
WITHOUT_SIZE = ("keypoint", "vector")
CHANNELS = 4  # of the image that run lengths encode; the last one tells which pixels belong to the object


def region_size(region: Mapping[str, Any]) -> tuple[int, int]:
    """Return height and width in pixels of the image of a region, 0, 0 where it does not tell."""
    return parse_size(region.get("original_height"), region.get("original_width"))


def parse_region(kind: str, value: Mapping[str, Any], name: str, number: int, size: tuple[int, int]) -> AnnotatedObject:
    """Return the object of a region.

    Args:
        kind: One of `SHAPES`.
        value: Its numbers, in percent of the image.
        name: The name of its class.
        number: Which region of its task it is.
        size: Height and width of the image in pixels.

    Raises:
        ValueError, TypeError, KeyError: It is not one.
    """
    height, width = size
    if 0 in size:
        raise ValueError("it has no original_width and original_height, so its percents can't become pixels")
    scale = np.array([width, height]) / 100
    if kind == "brush":
        return make_bitmap_object(name, number, _decode_brush(value, height, width))
    if kind == "polygon":
        points = parse_points(value["points"]) * scale
        if len(points) < 3:
            raise ValueError(f"a polygon of {len(points)} points")
        return make_object(name, number, [points])
    rotation = float(value.get("rotation") or 0)
    start = parse_points([[value["x"], value["y"]]])[0] * scale
    if kind == "ellipse":
        radius_x, radius_y = parse_points([[value["radiusX"], value["radiusY"]]])[0] * scale
        outline = ellipse_outline(start[0], start[1], radius_x, radius_y)
        return make_object(name, number, [rotate_outline(outline, start, rotation)])
    end = start + parse_points([[value["width"], value["height"]]])[0] * scale
    outline = rotate_outline(rectangle_outline(*start, *end), start, rotation)  # around its first corner
    return make_object(name, number, [outline], is_rectangle=not rotation)


def _decode_brush(value: Mapping[str, Any], height: int, width: int) -> Bitmap:
    """Return the pixels of a brush stroke, cut to their box.

    Raises:
        ValueError: It is not run lengths of an image of this size.
    """
    if value.get("format") != "rle":
        raise ValueError(f"its format is {value.get('format')!r}, not rle")
    values = decode_runs(np.array(value["rle"], np.uint8), height * width * CHANNELS)
    pixels = values.reshape(height, width, CHANNELS)[:, :, -1] > 0
    box = Bitmap(0, 0, pixels).box
    if box is None:
        raise ValueError("its mask is empty")
    x1, y1, x2, y2 = map(int, box)
    return Bitmap(x1, y1, pixels[y1:y2, x1:x2].copy())


def decode_runs(content: np.ndarray, count: int) -> np.ndarray:
    """Decode run lengths as the JavaScript package @thi.ng/rle-pack writes them.

    A header has the number of words (32 bits), the bits of a word less 1 (5 bits) and the bits of four sizes of runs
    less 1 (4 bits each). Each run has a bit for whether one word is repeated, 2 bits for its size, its length less 1,
    and the word, or as many words.

    Args:
        content: uint8 `[n]`.
        count: The number of words that it must have.

    Returns:
        uint8 `[count]`.

    Raises:
        ValueError: It ends early, or has another number of words, or words of more than 8 bits.
    """
    bits = np.unpackbits(content)
    position = 0

    def read(count: int) -> int:
        nonlocal position
        if position + count > len(bits):
            raise ValueError("its run lengths end early")
        number = int("".join(map(str, bits[position : position + count].tolist())) or "0", 2)
        position += count
        return number

    num_words, word_bits = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    if word_bits > 8 or num_words != count:
        raise ValueError("its run lengths do not fill its image with 8 bits for each pixel and channel")
    words, filled = np.zeros(num_words, np.uint8), 0
    weights = 1 << np.arange(word_bits)[::-1]
    while filled < num_words:
        is_repeated = read(1)
        length = read(sizes[read(2)]) + 1
        if is_repeated:
            words[filled : filled + length] = read(word_bits)
        else:
            end = position + length * word_bits
            if end > len(bits) or filled + length > num_words:
                raise ValueError("its run lengths end early")
            words[filled : filled + length] = bits[position:end].reshape(length, word_bits) @ weights
            position = end
        filled += length
    return words
