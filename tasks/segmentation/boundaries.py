"""How well the edges of classes lie on the true ones: the boundary F1 score (Csurka et al. 2013, "What is a good
evaluation measure for semantic segmentation?", section 2.3).
"""

import cv2
import numpy as np

from retinue.data.void_label import VOID

TOLERANCE = 0.0075  # of the picture's diagonal, as in the paper


def boundary_scores(truth, said, classes):
    """F1 of each class's boundary in one picture: float `[classes]`, NaN for a class that is in neither mask.

    truth, said: uint8 `[h, w]`, class ids; pixels that are 255 in truth are left out of both. A boundary pixel of one
    mask is right when one of the other mask is no further than 0.75% of the diagonal (at least a pixel). A class
    without boundary in one of the masks, but not in the other, has 0; without any in both, 1.
    """
    known = truth != VOID
    distance = max(1.0, TOLERANCE * float(np.hypot(*truth.shape)))
    scores = np.full(classes, np.nan)
    for label in np.union1d(np.unique(truth[known]), np.unique(said[known])):
        true, given = (boundary((mask == label) & known) & known for mask in (truth, said))
        if not true.any() and not given.any():
            in_both = (truth[known] == label).any() and (said[known] == label).any()
            scores[label] = float(in_both)
            continue
        precision, recall = _near(given, true, distance), _near(true, given, distance)
        scores[label] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return scores


def boundary(region):
    """bool `[h, w]`: the pixels of a region that have a neighbour, above, below, left or right, outside of it."""
    inner = region.copy()
    inner[1:] &= region[:-1]
    inner[:-1] &= region[1:]
    inner[:, 1:] &= region[:, :-1]
    inner[:, :-1] &= region[:, 1:]
    return region & ~inner


def _near(pixels, others, distance):
    """The share of `pixels` with one of `others` within `distance`; 0 without any."""
    if not pixels.any() or not others.any():
        return 0.0
    away = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((away[pixels] <= distance).mean())
