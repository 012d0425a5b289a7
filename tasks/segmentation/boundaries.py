"""How close the predicted boundaries of classes are to the true ones: the boundary F1 score.

Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?", section 2.3.
"""

import cv2
import numpy as np

from retinue.data.void_label import VOID

TOLERANCE = 0.0075  # of the image's diagonal, as in the paper


def boundary_scores(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Compute the F1 score of each class's boundary in one image.

    A boundary pixel of one mask is correct if a boundary pixel of the other mask is at most 0.75% of the diagonal (at
    least one pixel) away. A class that has a boundary in only one of the masks scores 0; a class that has none in
    either scores 1.

    Args:
        truth: uint8 [h, w], true class ids; void pixels (255) are ignored in both masks.
        predicted: uint8 [h, w], predicted class ids.
        num_classes: number of classes.

    Returns:
        float [num_classes]; NaN for a class that is in neither mask.
    """
    valid = truth != VOID
    distance = max(1.0, TOLERANCE * float(np.hypot(*truth.shape)))
    scores = np.full(num_classes, np.nan)
    for label in np.union1d(np.unique(truth[valid]), np.unique(predicted[valid])):
        true_edge, predicted_edge = (inner_boundary((mask == label) & valid) & valid for mask in (truth, predicted))
        if not true_edge.any() and not predicted_edge.any():
            in_both = (truth[valid] == label).any() and (predicted[valid] == label).any()
            scores[label] = float(in_both)
            continue
        precision = _fraction_within(predicted_edge, true_edge, distance)
        recall = _fraction_within(true_edge, predicted_edge, distance)
        scores[label] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return scores


def inner_boundary(region: np.ndarray) -> np.ndarray:
    """Find the pixels of a region that have a neighbor (above, below, left or right) outside of it.

    Args:
        region: bool [h, w]. The border of the image is not a boundary.

    Returns:
        bool [h, w].
    """
    inner = region.copy()
    inner[1:] &= region[:-1]
    inner[:-1] &= region[1:]
    inner[:, 1:] &= region[:, :-1]
    inner[:, :-1] &= region[:, 1:]
    return region & ~inner


def _fraction_within(pixels: np.ndarray, others: np.ndarray, max_distance: float) -> float:
    """Return the fraction of `pixels` within a distance of one of `others`, both bool [h, w]; 0 if one is empty."""
    if not pixels.any() or not others.any():
        return 0.0
    distance = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[pixels] <= max_distance).mean())
