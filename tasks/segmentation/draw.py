"""Pictures of a segmentation: the mask over the photo, and beside it where it is wrong."""

import numpy as np

from retinue.data.checking.mask_sheet import blend, class_colors
from retinue.data.void_label import VOID
from retinue.tasks import drawing

SHOWN = 6  # classes in the panel
LARGEST = 2048  # pixels of the longer side of what is drawn
GREY = 0.35  # how much of the photo is left under the error map


def draw(image, mask, classes, truth=None):
    """The photo under its mask, with a line a class; with the truth also, side by side, the true mask and the mistakes.

    image: uint8 `[h, w, 3]` RGB. mask, truth: class ids uint8 `[h, w]`. The map of mistakes is red where a pixel is
    wrong, green where it is right, but for the class named background, and white where the truth is void.
    Returns uint8 `[h', w', 3]`; a large picture is made smaller.
    """
    step = -(-max(image.shape[:2]) // LARGEST)
    image = drawing.shrink(image, max(-(-side // step) for side in image.shape[:2]))
    mask, truth = (None if ids is None else _nearest(ids, image.shape[:2]) for ids in (mask, truth))
    colors = class_colors(classes)
    parts = [blend(image, mask, colors)]
    if truth is not None:
        parts += [blend(image, truth, colors), mistakes(image, mask, truth, colors)]
    gap = np.full((image.shape[0], max(2, image.shape[1] // 100), 3), drawing.BACKGROUND_COLOR, np.uint8)
    row = np.concatenate([part for each in parts for part in (gap, each)][1:], axis=1)
    return drawing.with_panel(row, _rows(mask, truth, classes, colors))


def mistakes(image, mask, truth, colors):
    """The photo, faint, with wrong pixels red and right ones green; void is white."""
    grey = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1) * GREY + 255 * (1 - GREY)
    made = grey.astype(np.uint8)
    is_background = colors[truth].sum(axis=-1) == 0
    for where, color in (((mask == truth) & ~is_background, drawing.RIGHT), (mask != truth, drawing.WRONG)):
        made[where] = (0.35 * made[where] + 0.65 * np.array(color)).astype(np.uint8)
    made[truth == VOID] = 255
    return made


def class_shares(mask, truth, classes):
    """[(class, share of the pixels that are given its name, its IoU or None without truth)], the largest first."""
    known = np.ones(mask.shape, bool) if truth is None else truth != VOID
    said, shares = mask[known], []
    true = None if truth is None else truth[known]
    for label, name in enumerate(classes):
        called = said == label
        if truth is None:
            if called.any():
                shares.append((name, called.mean(), None))
            continue
        union = called | (true == label)
        if union.any():
            shares.append((name, called.mean(), float((called & (true == label)).sum() / union.sum())))
    return sorted(shares, key=lambda one: -one[1])


def _rows(mask, truth, classes, colors):
    rows = []
    if truth is not None:
        rows.append(drawing.Row("said | truth | mistakes in red"))
    place = {name: index for index, name in enumerate(classes)}
    for name, share, iou in class_shares(mask, truth, classes)[:SHOWN]:
        color = tuple(int(value) for value in colors[place[name]])
        color = drawing.FAINT if sum(color) == 0 else color
        right = f"{share:.1%} of it" + ("" if iou is None else f", IoU {iou:.0%}")
        rows.append(drawing.Row(name, share, color, right))
    return rows or [drawing.Row("nothing")]


def _nearest(ids, size):
    """Class ids by the nearest pixel: uint8 `[h, w]` -> `size`."""
    if ids.shape == tuple(size):
        return ids
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for new, old in zip(size, ids.shape, strict=True)
    )
    return ids[rows[:, None], columns]
