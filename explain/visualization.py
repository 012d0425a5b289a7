"""Render maps as images: heat maps, signed maps, gradients, grids and contact sheets.

All rendered images are uint8 `[h, w, 3]`, RGB.
"""

import functools
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from retinue.tasks import drawing

# Percentile of the values of a gradient that gets full color. The few values above it would leave the rest dark.
SATURATION_PERCENTILE = 99.5


def overlay(image: np.ndarray, heatmap: np.ndarray, maximum: float | None = None) -> np.ndarray:
    """Draw a map as heat over the grayed image: 0 stays gray, and the maximum is bright.

    Args:
        image: uint8 `[h, w, 3]`.
        heatmap: float `[h', w']`, at least 0; it is resized to the image.
        maximum: The value that is drawn brightest; by default the largest value of the map.

    Returns:
        uint8 `[h, w, 3]`.
    """
    height, width = image.shape[:2]
    heatmap = cv2.resize(np.asarray(heatmap, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    intensity = np.clip(heatmap / max(heatmap.max() if maximum is None else maximum, 1e-12), 0, 1)
    gray = image.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    weight = np.minimum(intensity * 2, 1)[..., None] * 0.72
    mixed = (1 - weight) * (0.25 * image + 0.6 * gray) + weight * _colormap("inferno")(intensity)
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def heatmap(values: np.ndarray) -> np.ndarray:
    """Draw a map of magnitudes, float `[h, w]`: black is 0."""
    maximum = max(np.percentile(values, SATURATION_PERCENTILE), 1e-12)
    return (_colormap("inferno")(np.clip(values / maximum, 0, 1)) + 0.5).astype(np.uint8)


def signed_heatmap(values: np.ndarray) -> np.ndarray:
    """Draw a map with signs, float `[h, w]`: white is 0, red is positive and blue is negative."""
    maximum = max(np.percentile(np.abs(values), SATURATION_PERCENTILE), 1e-12)
    return (_colormap("RdBu_r")(np.clip(values / maximum, -1, 1) / 2 + 0.5) + 0.5).astype(np.uint8)


def gradient_image(gradient: np.ndarray) -> np.ndarray:
    """Draw a gradient, float `[h, w, c]`, in its own colors around gray.

    If there are other than 3 channels, their mean is drawn.
    """
    if gradient.shape[-1] != 3:
        gradient = gradient.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    maximum = max(np.percentile(np.abs(gradient), SATURATION_PERCENTILE), 1e-12)
    return (np.clip(gradient / maximum, -1, 1) * 127 + 128).astype(np.uint8)


def to_rgb_uint8(image: np.ndarray) -> np.ndarray:
    """Round a float image `[h, w, c]`, 0..255, to uint8 `[h, w, 3]`; other than 3 channels are shown by their mean."""
    rounded = (np.clip(image, 0, 255) + 0.5).astype(np.uint8)
    if rounded.shape[-1] == 3:
        return rounded
    return rounded.mean(axis=-1, keepdims=True).repeat(3, axis=-1).astype(np.uint8)


def resize_longer_side(image: np.ndarray, side: int) -> np.ndarray:
    """Resize an image so that its longer side has `side` pixels."""
    scale = side / max(image.shape[:2])
    size = max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0]))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def image_grid(images: np.ndarray, side: int, smooth: bool = False) -> np.ndarray:
    """Arrange images of one size in a grid that is as square as possible, with white gaps.

    Args:
        images: uint8 `[n, h, w, 3]`.
        side: Approximate side of the grid in pixels.
        smooth: Resize with interpolation. Otherwise pixels are enlarged to squares.

    Returns:
        uint8 `[h', w', 3]`.
    """
    columns = int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    gap = max(1, side // 128)
    scale = (side - gap * (columns + 1)) / columns / max(images.shape[1:3])
    if not smooth:
        scale = max(1, int(scale))
    height, width = (max(1, round(scale * length)) for length in images.shape[1:3])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = gap + index // columns * (height + gap), gap + index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = cv2.resize(
            image, (width, height), interpolation=interpolation
        )
    return canvas


def contact_sheet(cells: Sequence[tuple[np.ndarray, Sequence[str]]], columns: int = 4, side: int = 360) -> np.ndarray:
    """Arrange images with captions on one page.

    Args:
        cells: Pairs of an image uint8 `[h, w, 3]` and the lines of its caption.
        columns: Number of columns at most.
        side: Length of the longer side of every image in pixels.

    Returns:
        uint8 `[h', w', 3]`.
    """
    lines = max(len(caption) for _, caption in cells)
    columns = min(columns, len(cells))
    rows = []
    for start in range(0, len(cells), columns):
        row = [(resize_longer_side(image, side), caption) for image, caption in cells[start : start + columns]]
        height = max(image.shape[0] for image, _ in row)
        tiles = [_captioned(image, (height, side), caption, lines) for image, caption in row]
        tiles += [np.full_like(tiles[0], drawing.BACKGROUND_COLOR[0])] * (columns - len(tiles))
        gap = np.full((tiles[0].shape[0], 8, 3), drawing.BACKGROUND_COLOR[0], np.uint8)
        rows.append(np.concatenate([each for tile in tiles for each in (tile, gap)][:-1], axis=1))
    return np.concatenate(rows)


def _captioned(image: np.ndarray, size: tuple[int, int], caption: Sequence[str], lines: int) -> np.ndarray:
    """Center an image in `size` (height, width) and draw the caption below it, with space for `lines` lines."""
    above, left = (size[0] - image.shape[0]) // 2, (size[1] - image.shape[1]) // 2
    pads = ((above, size[0] - image.shape[0] - above), (left, size[1] - image.shape[1] - left), (0, 0))
    rows = [drawing.Row(line) for line in (*caption, *[""] * (lines - len(caption)))]
    return drawing.with_panel(np.pad(image, pads, constant_values=drawing.BACKGROUND_COLOR[0]), rows)


@functools.cache
def _colormap(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from values 0..1 to float RGB 0..255, by Matplotlib's color map of this name."""
    import matplotlib

    table = matplotlib.colormaps[name](np.linspace(0, 1, 1024))[:, :3] * 255
    return lambda values: table[np.int32(np.round(values * 1023))]
