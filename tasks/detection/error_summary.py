"""Assignment of detections to objects: which are true positives, confusions of classes, and false positives."""

import numpy as np
from numpy.typing import ArrayLike

from retinue.tasks.detection.numpy_boxes import box_iou, covered_fraction

IOU_THRESHOLD = 0.5  # smallest IoU of a detection with its object
MIN_COVERED_FRACTION = 0.5  # a detection with at least this fraction inside an ignored object is ignored
FALSE_POSITIVE, IGNORED = -1, -2


def assign_detections(
    boxes: np.ndarray,
    scores: ArrayLike,
    labels: ArrayLike,
    truth_boxes: np.ndarray,
    truth_labels: ArrayLike,
    ignored: ArrayLike,
) -> np.ndarray:
    """Assign each detection of an image to an object. Each object is assigned at most once.

    First, by descending score, each detection is assigned to the free object of its class with the largest IoU, if that
    is 0.5 or more. Then the remaining detections are assigned to free objects of other classes in the same way: these
    are confusions. A detection that still remains is a false positive, or ignored if half of it lies on an ignored
    object.

    Args:
        boxes: float `[m, 4]`, the detections, x1, y1, x2, y2 in pixels.
        scores: float `[m]`.
        labels: `[m]`, class indices or names.
        truth_boxes: float `[n, 4]`, the objects.
        truth_labels: `[n]`, class indices or names.
        ignored: bool `[n]`, crowds and difficult objects.

    Returns:
        int64 `[m]`: the index of the object, FALSE_POSITIVE or IGNORED.
    """
    assigned = np.full(len(boxes), FALSE_POSITIVE, np.int64)
    if not len(boxes) or not len(truth_boxes):
        return assigned
    labels, truth_labels, ignored = np.asarray(labels), np.asarray(truth_labels), np.asarray(ignored, bool)
    iou = box_iou(boxes, truth_boxes)
    iou[:, ignored] = 0
    same_class = labels[:, None] == truth_labels[None, :]
    order = np.argsort(-np.asarray(scores), kind="stable")
    is_free = np.ones(len(truth_boxes), bool)
    for is_allowed in (same_class, ~same_class):
        for row in order:
            if assigned[row] != FALSE_POSITIVE:
                continue
            candidates = np.where(is_allowed[row] & is_free, iou[row], 0)
            best = candidates.argmax()
            if candidates[best] >= IOU_THRESHOLD:
                assigned[row] = best
                is_free[best] = False
    covered = covered_fraction(boxes, np.asarray(truth_boxes)[ignored])
    is_covered = (covered >= MIN_COVERED_FRACTION).any(axis=1)
    assigned[(assigned == FALSE_POSITIVE) & is_covered] = IGNORED
    return assigned


def false_negatives(assigned: np.ndarray, ignored: ArrayLike) -> np.ndarray:
    """Find the objects to which no detection is assigned.

    Args:
        assigned: int64 `[m]`, what `assign_detections` returned.
        ignored: bool `[n]`, objects that are never false negatives.

    Returns:
        bool `[n]`.
    """
    missing = ~np.asarray(ignored, bool)
    missing[assigned[assigned >= 0]] = False
    return missing
