"""How well anchors fit the objects of a dataset, found before training: what no anchor overlaps is hardly learnt.

Ren et al. 2015 ("Faster R-CNN"), section 3.1.1 for anchors and 3.1.2 for the overlaps that label them.
"""

from dataclasses import dataclass

import numpy as np

POSITIVE, NEGATIVE = 0.7, 0.3
CHUNK = 65536  # boxes at once, to bound the memory


@dataclass(frozen=True)
class AnchorGrid:
    """Anchors of every place of one or more feature maps.

    sizes: for each map, a tuple of square roots of anchor areas in pixels of the resized picture. strides: of each map.
    ratios: height to width. shorter, longest: the sides of the resized picture (the shorter side is brought to
    `shorter` unless the longer one would be above `longest`); None where pictures are not resized.
    The default is that of feature pyramids (Lin et al. 2017, section 4.1), without resizing.
    """

    sizes: tuple = ((32,), (64,), (128,), (256,), (512,))
    strides: tuple = (4, 8, 16, 32, 64)
    ratios: tuple = (0.5, 1.0, 2.0)
    shorter: int = None
    longest: int = None


def best_anchor_overlap(boxes, image_sizes, grid):
    """The best intersection over union that any anchor of the grid has with each box, float32 `[m]`.

    boxes: float `[m, 4]`, x1, y1, x2, y2 in pixels of the picture; image_sizes: int `[m, 2]`, height and width of each
    box's picture. Anchors that cross the picture's edge count, too; those of each shape lie around the multiples of the
    map's stride, and of one shape the one nearest to the box overlaps it most, so only that is looked at.
    """
    boxes, image_sizes = np.asarray(boxes, np.float64), np.asarray(image_sizes, np.float64)
    best = np.zeros(len(boxes), np.float32)
    for start in range(0, len(boxes), CHUNK):
        part = slice(start, start + CHUNK)
        best[part] = _best(boxes[part] * _scales(image_sizes[part], grid)[:, None], grid)
    return best


def overlap_summary(overlaps):
    """What a report says of best overlaps, float `[m]`: a dict of plain values.

    histogram: objects in ten steps of 0.1. below_negative: objects that no anchor overlaps by 0.3: the best one is
    still taken for them, but must learn to move far. below_positive: those under 0.7, which have but that one anchor.
    """
    return {
        "histogram": np.histogram(overlaps, bins=10, range=(0, 1))[0].tolist(),
        "below_negative": int((overlaps < NEGATIVE).sum()),
        "below_positive": int((overlaps < POSITIVE).sum()),
    }


def _scales(image_sizes, grid):
    if grid.shorter is None:
        return np.ones(len(image_sizes))
    scales = grid.shorter / np.maximum(image_sizes.min(axis=1), 1)
    return scales if grid.longest is None else np.minimum(scales, grid.longest / np.maximum(image_sizes.max(axis=1), 1))


def _best(boxes, grid):
    centre, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    best = np.zeros(len(boxes))
    for stride, sizes in zip(grid.strides, grid.sizes, strict=True):
        away = np.abs(centre - np.round(centre / stride) * stride)
        for size in sizes:
            for ratio in grid.ratios:
                anchor = size * np.array([1 / np.sqrt(ratio), np.sqrt(ratio)])
                common = np.clip((sides + anchor) / 2 - away, 0, np.minimum(sides, anchor)).prod(axis=1)
                best = np.maximum(best, common / (sides.prod(axis=1) + anchor.prod() - common))
    return best
