"""How well anchors fit the objects of a dataset, computed before training.

An object without a near anchor is hardly trained on.

Ren et al. 2015 ("Faster R-CNN"), section 3.1.1 for the anchors and 3.1.2 for the IoU thresholds that label them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

POSITIVE_IOU_THRESHOLD, NEGATIVE_IOU_THRESHOLD = 0.7, 0.3
CHUNK = 65536  # boxes at once, to bound the memory


@dataclass(frozen=True)
class AnchorLayout:
    """The anchors at every position of one or more feature maps, and how images are resized before.

    The defaults are those of feature pyramids (Lin et al. 2017, section 4.1), without resizing.

    Attributes:
        sizes: For each feature map, the square roots of the anchors' areas in pixels of the resized image.
        strides: The stride of each feature map in pixels.
        aspect_ratios: Height divided by width.
        min_size: The shorter side of the resized image in pixels, unless the longer side would exceed `max_size`. None
            where images are not resized.
        max_size: The largest longer side of the resized image in pixels, None for no limit.
    """

    sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    strides: tuple[int, ...] = (4, 8, 16, 32, 64)
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    min_size: int | None = None
    max_size: int | None = None


def best_anchor_iou(boxes: ArrayLike, image_sizes: ArrayLike, layout: AnchorLayout) -> np.ndarray:
    """Return the largest IoU that any anchor has with each box.

    Anchors that cross the edge of the image count, too. The anchors of each shape lie around the multiples of the
    feature map's stride, and among those of one shape the anchor nearest to the box has the largest IoU, so only that
    one is computed.

    Args:
        boxes: float `[m, 4]`, x1, y1, x2, y2 in pixels of the image.
        image_sizes: int `[m, 2]`, height and width of each box's image in pixels.
        layout: The anchors.

    Returns:
        float32 `[m]`.
    """
    boxes, image_sizes = np.asarray(boxes, np.float64), np.asarray(image_sizes, np.float64)
    best = np.zeros(len(boxes), np.float32)
    for start in range(0, len(boxes), CHUNK):
        chunk = slice(start, start + CHUNK)
        scales = _resize_scales(image_sizes[chunk], layout)
        best[chunk] = _best_iou_of_resized(boxes[chunk] * scales[:, None], layout)
    return best


def iou_summary(ious: np.ndarray) -> dict[str, list[int] | int]:
    """Summarize the best IoU of each object.

    Args:
        ious: float `[m]`, from `best_anchor_iou`.

    Returns:
        A dict of plain values. `histogram`: the number of objects in ten bins of 0.1. `below_negative`: the number of
        objects whose best IoU is below 0.3; the best anchor is still positive for them, but has to be moved far.
        `below_positive`: the number of those below 0.7, which have only that one positive anchor.
    """
    return {
        "histogram": np.histogram(ious, bins=10, range=(0, 1))[0].tolist(),
        "below_negative": int((ious < NEGATIVE_IOU_THRESHOLD).sum()),
        "below_positive": int((ious < POSITIVE_IOU_THRESHOLD).sum()),
    }


def _resize_scales(image_sizes: np.ndarray, layout: AnchorLayout) -> np.ndarray:
    """Return the factor by which each image is resized, float `[m]`."""
    if layout.min_size is None:
        return np.ones(len(image_sizes))
    scales = layout.min_size / np.maximum(image_sizes.min(axis=1), 1)
    if layout.max_size is None:
        return scales
    return np.minimum(scales, layout.max_size / np.maximum(image_sizes.max(axis=1), 1))


def _best_iou_of_resized(boxes: np.ndarray, layout: AnchorLayout) -> np.ndarray:
    centers, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    best = np.zeros(len(boxes))
    for stride, sizes in zip(layout.strides, layout.sizes, strict=True):
        distances = np.abs(centers - np.round(centers / stride) * stride)
        for size in sizes:
            for ratio in layout.aspect_ratios:
                anchor = size * np.array([1 / np.sqrt(ratio), np.sqrt(ratio)])
                intersection = np.clip((sides + anchor) / 2 - distances, 0, np.minimum(sides, anchor)).prod(axis=1)
                union = sides.prod(axis=1) + anchor.prod() - intersection
                best = np.maximum(best, intersection / union)
    return best
