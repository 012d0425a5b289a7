"""Boxes of COCO files that are something else: corners in place of x, y, width, height."""

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.readers.coco.file import CocoFile

MAX_OUTSIDE = 2  # pixels by which a box may reach out of its image
MIN_OUTSIDE = 0.1  # the fraction of boxes that reach out of their images where they are corners


def refuse_corners(file: CocoFile, image_of: np.ndarray) -> None:
    """Raise RetinueError if the boxes of a file are corners in place of x, y, width, height.

    Then some reach out of their images as x, y, width, height, while all lie in them as corners.

    Args:
        file: The file.
        image_of: int64 `[m]`, the index of each annotation's image; -1 for none of the images.
    """
    boxes = np.array(file.boxes).reshape(-1, 4)
    is_known = (image_of >= 0) & np.isfinite(boxes).all(axis=1)
    sizes = file.sizes[image_of[is_known]][:, ::-1]  # width and height
    boxes, sizes = boxes[is_known][(sizes > 0).all(axis=1)], sizes[(sizes > 0).all(axis=1)]
    if not len(boxes):
        return
    num_outside = int((boxes[:, 2:] > sizes + MAX_OUTSIDE).any(axis=1).sum())
    second = boxes[:, 2:] - boxes[:, :2]  # width and height, or a corner
    are_corners = ((second > boxes[:, :2]) & (second <= sizes + MAX_OUTSIDE)).all()
    if are_corners and num_outside >= max(2, MIN_OUTSIDE * len(boxes)):
        raise RetinueError(
            f"{file.path}: {num_outside:,} of its {len(boxes):,} boxes reach out of their images as x, y, width, "
            "height, but all lie in them as corners x1, y1, x2, y2; write x, y, width, height, or add "
            '"bbox_mode": 0 to each annotation'
        )
