"""Maps as pictures: heat, signs, gradients, grids and contact sheets. Pictures are uint8 `[h, w, 3]` RGB."""

import functools

import cv2
import numpy as np

from retinue.tasks import drawing

CLEAR = 99.5  # percentile of a gradient's values that gets full colour; the few above would leave the rest dark


def overlay(image, found, top=None):
    """A map as heat over the greyed photo: what is at 0 stays grey, `top` (by default the largest) is bright.

    image: uint8 `[h, w, 3]`; found: float `[h', w']`, at least 0, which is resized to the image.
    """
    height, width = image.shape[:2]
    found = cv2.resize(np.asarray(found, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    share = np.clip(found / max(found.max() if top is None else top, 1e-12), 0, 1)
    grey = image.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    weight = np.minimum(share * 2, 1)[..., None] * 0.72
    mixed = (1 - weight) * (0.25 * image + 0.6 * grey) + weight * _colors("inferno")(share)
    return np.uint8(np.clip(mixed + 0.5, 0, 255))


def heatmap(found):
    """A map of magnitudes, float `[h, w]`: black is none."""
    top = max(np.percentile(found, CLEAR), 1e-12)
    return np.uint8(_colors("inferno")(np.clip(found / top, 0, 1)) + 0.5)


def signed_heatmap(found):
    """A map with signs, float `[h, w]`: white is none, red is for and blue against."""
    top = max(np.percentile(np.abs(found), CLEAR), 1e-12)
    return np.uint8(_colors("RdBu_r")(np.clip(found / top, -1, 1) / 2 + 0.5) + 0.5)


def gradient_image(found):
    """A gradient `[h, w, c]` in its own colours around grey; other than 3 channels by their mean."""
    if found.shape[-1] != 3:
        found = found.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    top = max(np.percentile(np.abs(found), CLEAR), 1e-12)
    return np.uint8(np.clip(found / top, -1, 1) * 127 + 128)


def resize_longer_side(image, side):
    """The picture with its longer side at `side` pixels."""
    scale = side / max(image.shape[:2])
    size = max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0]))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def image_grid(tiles, side, smooth=False):
    """Equal pictures uint8 `[n, h, w, 3]` in a grid as square as can be, about `side` pixels, with white gaps.

    smooth: shrink and enlarge smoothly; else pixels stay squares.
    """
    columns = int(np.ceil(np.sqrt(len(tiles))))
    rows = -(-len(tiles) // columns)
    gap = max(1, side // 128)
    scale = (side - gap * (columns + 1)) / columns / max(tiles.shape[1:3])
    if not smooth:
        scale = max(1, int(scale))
    height, width = (max(1, round(scale * length)) for length in tiles.shape[1:3])
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = gap + index // columns * (height + gap), gap + index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = cv2.resize(tile, (width, height), interpolation=kind)
    return canvas


def contact_sheet(cells, columns=4, side=360):
    """Pictures with a caption each as one page.

    cells: list of (picture uint8 `[h, w, 3]`, list of caption lines). Their longer sides become `side`.
    """
    lines = max(len(caption) for _, caption in cells)
    columns = min(columns, len(cells))
    parts = []
    for first in range(0, len(cells), columns):
        row = [(resize_longer_side(picture, side), caption) for picture, caption in cells[first : first + columns]]
        height = max(picture.shape[0] for picture, _ in row)
        tiles = [_tile(picture, (height, side), caption, lines) for picture, caption in row]
        tiles += [np.full_like(tiles[0], drawing.BACKGROUND_COLOR[0])] * (columns - len(tiles))
        gap = np.full((tiles[0].shape[0], 8, 3), drawing.BACKGROUND_COLOR[0], np.uint8)
        parts.append(np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1))
    return np.concatenate(parts)


def _tile(picture, size, caption, lines):
    """One cell: the picture in the middle of `size`, the caption below, with room for `lines`."""
    above, left = (size[0] - picture.shape[0]) // 2, (size[1] - picture.shape[1]) // 2
    around = ((above, size[0] - picture.shape[0] - above), (left, size[1] - picture.shape[1] - left), (0, 0))
    rows = [drawing.Row(line) for line in (*caption, *[""] * (lines - len(caption)))]
    return drawing.with_panel(np.pad(picture, around, constant_values=drawing.BACKGROUND_COLOR[0]), rows)


@functools.cache
def _colors(name):
    """A function from 0..1 to float colours 0..255."""
    import matplotlib

    table = matplotlib.colormaps[name](np.linspace(0, 1, 1024))[:, :3] * 255
    return lambda share: table[np.int32(np.round(share * 1023))]
