"""Whether two runs of one detector give the same answer: the proof of an export."""

import numpy as np

from retinue.tasks.detection import boxes

SAME_PLACE = 0.05  # pixels that each corner of a detection may move
NEAR_OVERLAP = 0.02  # two boxes whose overlap is this near to the threshold may or may not suppress each other


def compare(given, truth, tolerance, score_threshold, nms_threshold):
    """Compare two batches of `proposals.Detections`' outputs, dicts of numpy arrays.

    A detection of one side needs a partner on the other: same label, all corners within 0.05 pixels, scores within
    `tolerance`. Pictures where some have none are near ties if each of those is about as good as one that would be left
    out: its score is as near to the threshold or to the last one that was kept, or it overlaps another detection by
    almost exactly `nms_threshold`.
    Returns a dict: largest_difference, of the scores of partners, float; same and near_ties, numbers of pictures; iou,
    of each detection of `truth` with the best of its label on the other side, on average: 1 where there are none.
    """
    largest, same, near, best = 0.0, 0, 0, []
    for row in range(len(truth["count"])):
        mine, theirs = (_of_picture(outputs, row) for outputs in (given, truth))
        best.append(_best_overlaps(theirs, mine))
        alone = []
        for first, second in ((mine, theirs), (theirs, mine)):
            differences = _nearest_score(first, second)
            paired = np.isfinite(differences)
            largest = max(largest, differences[paired].max(initial=0.0))
            alone += [(first, index) for index in np.flatnonzero(~paired)]
        most = truth["boxes"].shape[1]
        if not alone:
            same += 1
        elif all(_is_near_tie(*each, tolerance, score_threshold, nms_threshold, most) for each in alone):
            near += 1
    best = np.concatenate(best)
    iou = float(best.mean()) if len(best) else 1.0
    return {"largest_difference": float(largest), "same": same, "near_ties": near, "iou": iou}


def _of_picture(outputs, row):
    count = int(outputs["count"][row])
    return {name: np.asarray(outputs[name][row][:count], np.float64) for name in ("boxes", "scores", "labels")}


def _best_overlaps(first, second):
    """For each detection of `first`, its overlap with the nearest of the same label in `second`; 0 without one."""
    if not len(first["scores"]) or not len(second["scores"]):
        return np.zeros(len(first["scores"]))
    shared = boxes.overlaps(first["boxes"][None], second["boxes"][None])[0].numpy()
    return np.where(first["labels"][:, None] == second["labels"][None], shared, 0.0).max(1)


def _nearest_score(first, second):
    """For each detection of `first`, how far the score of its partner in `second` is; infinite without one."""
    if not len(first["scores"]) or not len(second["scores"]):
        return np.full(len(first["scores"]), np.inf)
    moved = np.abs(first["boxes"][:, None] - second["boxes"][None]).max(-1)
    fits = (moved <= SAME_PLACE) & (first["labels"][:, None] == second["labels"][None])
    return np.where(fits, np.abs(first["scores"][:, None] - second["scores"][None]), np.inf).min(1)


def _is_near_tie(found, index, tolerance, score_threshold, nms_threshold, most):
    score = found["scores"][index]
    if score - score_threshold <= tolerance:
        return True
    if len(found["scores"]) == most and score - found["scores"].min() <= tolerance:
        return True
    box, others = found["boxes"][index], found["boxes"]
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.maximum(high - low, 0.0).prod(-1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(-1) - shared
    overlaps = shared / np.maximum(union, 1e-9)
    return bool((np.abs(overlaps - nms_threshold) <= NEAR_OVERLAP).any())
