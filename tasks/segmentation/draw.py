"""Draws a segmentation: the mask over the image, and beside it the true mask and the errors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from retinue.data.checking.mask_sheet import blend, class_colors
from retinue.data.void_label import VOID
from retinue.tasks import drawing

MAX_CLASSES = 6  # classes in the panel
MAX_SIDE = 2048  # pixels of the longer side of a drawing
GRAY_OPACITY = 0.35  # of the grayscale image under the error map
ERROR_OPACITY = 0.65  # of the colors of the error map


class ClassFraction(NamedTuple):
    """How much of an image was predicted to be of a class.

    Attributes:
        name: of the class.
        fraction: of the pixels that are not void.
        iou: IoU of prediction and truth, or None if the truth is unknown.
    """

    name: str
    fraction: float
    iou: float | None


def draw(image: np.ndarray, mask: np.ndarray, classes: Sequence[str], truth: np.ndarray | None = None) -> np.ndarray:
    """Draw the image under its mask above a line per class; if the truth is known, the true mask and the errors beside.

    In the error map wrong pixels are red, correct ones are green (except for the class named background), and void ones
    are white.

    Args:
        image: uint8 [h, w, 3], RGB. A large image is shrunk.
        mask: uint8 [h, w], predicted class ids.
        classes: class names.
        truth: uint8 [h, w], true class ids, or None.

    Returns:
        uint8 [h', w', 3].
    """
    step = -(-max(image.shape[:2]) // MAX_SIDE)
    image = drawing.shrink(image, max(-(-side // step) for side in image.shape[:2]))
    mask = _resize_nearest(mask, image.shape[:2])
    colors = class_colors(classes)
    panels = [blend(image, mask, colors)]
    if truth is not None:
        truth = _resize_nearest(truth, image.shape[:2])
        panels += [blend(image, truth, colors), error_map(image, mask, truth, colors)]
    gap = np.full((image.shape[0], max(2, image.shape[1] // 100), 3), drawing.BACKGROUND_COLOR, np.uint8)
    row = np.concatenate([part for panel in panels for part in (gap, panel)][1:], axis=1)
    return drawing.with_panel(row, _rows(mask, truth, classes, colors))


def error_map(image: np.ndarray, mask: np.ndarray, truth: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Draw the image faintly in gray, with wrong pixels red, correct ones green and void ones white.

    Args:
        image: uint8 [h, w, 3].
        mask: uint8 [h, w], predicted class ids.
        truth: uint8 [h, w], true class ids.
        colors: uint8 [256, 3], of `class_colors`; correct pixels of a black class (background) are not colored.

    Returns:
        uint8 [h, w, 3].
    """
    gray = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1) * GRAY_OPACITY + 255 * (1 - GRAY_OPACITY)
    result = gray.astype(np.uint8)
    is_background = colors[truth].sum(axis=-1) == 0
    for where, color in (((mask == truth) & ~is_background, drawing.RIGHT), (mask != truth, drawing.WRONG)):
        result[where] = ((1 - ERROR_OPACITY) * result[where] + ERROR_OPACITY * np.array(color)).astype(np.uint8)
    result[truth == VOID] = 255
    return result


def class_fractions(mask: np.ndarray, truth: np.ndarray | None, classes: Sequence[str]) -> list[ClassFraction]:
    """Measure the classes of a mask and of its truth.

    Args:
        mask: uint8 [h, w], predicted class ids.
        truth: uint8 [h, w], true class ids, or None; void pixels are ignored.
        classes: class names.

    Returns:
        The classes in either mask, the largest predicted fraction first.
    """
    valid = np.ones(mask.shape, bool) if truth is None else truth != VOID
    predicted_ids, true_ids = mask[valid], None if truth is None else truth[valid]
    rows = []
    for label, name in enumerate(classes):
        predicted = predicted_ids == label
        if true_ids is None:
            if predicted.any():
                rows.append(ClassFraction(name, predicted.mean(), None))
            continue
        actual = true_ids == label
        union = predicted | actual
        if union.any():
            rows.append(ClassFraction(name, predicted.mean(), float((predicted & actual).sum() / union.sum())))
    return sorted(rows, key=lambda row: -row.fraction)


def _rows(mask: np.ndarray, truth: np.ndarray | None, classes: Sequence[str], colors: np.ndarray) -> list[drawing.Row]:
    rows = []
    if truth is not None:
        rows.append(drawing.Row("prediction | truth | errors in red"))
    index = {name: position for position, name in enumerate(classes)}
    for name, fraction, iou in class_fractions(mask, truth, classes)[:MAX_CLASSES]:
        red, green, blue = (int(value) for value in colors[index[name]])
        color = (red, green, blue) if red + green + blue else drawing.FAINT
        text = f"{fraction:.1%} of the pixels" + ("" if iou is None else f", IoU {iou:.0%}")
        rows.append(drawing.Row(name, fraction, color, text))
    return rows or [drawing.Row("no pixel of any class")]


def _resize_nearest(ids: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Resize class ids, uint8 [h, w], to (height, width) by the nearest pixel."""
    if ids.shape == tuple(size):
        return ids
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for new, old in zip(size, ids.shape, strict=True)
    )
    return ids[rows[:, None], columns]
