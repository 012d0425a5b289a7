"""Which detections of a picture are right, which take one class for another, which see what is not there."""

import numpy as np

from retinue.tasks.detection.numpy_iou import intersection_over_first, intersection_over_union

OVERLAP = 0.5
FALSE_ALARM, PASSED_OVER = -1, -2


def judge(boxes, scores, labels, truth_boxes, truth_labels, ignored):
    """The object that each detection is taken for, each object at most once.

    First, by falling score, each detection takes the free object of its own class that it overlaps most, if by 0.5 or
    more; then those that are left take free objects of other classes in the same way: these are mix-ups. What is left
    is a false alarm, or is passed over where half of it lies on an ignored object.

    boxes `[m, 4]`, scores `[m]`, labels `[m]`; truth_boxes `[n, 4]`, truth_labels `[n]`; ignored bool `[n]`: crowds and
    difficult objects. Labels are numbers or names. Returns int64 `[m]`: the object's index, FALSE_ALARM or PASSED_OVER.
    """
    taken_for = np.full(len(boxes), FALSE_ALARM, np.int64)
    if not len(boxes) or not len(truth_boxes):
        return taken_for
    labels, truth_labels, ignored = np.asarray(labels), np.asarray(truth_labels), np.asarray(ignored, bool)
    overlap = intersection_over_union(boxes, truth_boxes)
    overlap[:, ignored] = 0
    same = labels[:, None] == truth_labels[None, :]
    order = np.argsort(-np.asarray(scores), kind="stable")
    free = np.ones(len(truth_boxes), bool)
    for allowed in (same, ~same):
        for row in order:
            if taken_for[row] != FALSE_ALARM:
                continue
            candidates = np.where(allowed[row] & free, overlap[row], 0)
            best = candidates.argmax()
            if candidates[best] >= OVERLAP:
                taken_for[row] = best
                free[best] = False
    inside = intersection_over_first(boxes, np.asarray(truth_boxes)[ignored])
    on_ignored = (inside >= OVERLAP).any(axis=1)
    taken_for[(taken_for == FALSE_ALARM) & on_ignored] = PASSED_OVER
    return taken_for
