"""How many of the objects the proposals find: the measure of a region proposal network by itself."""

import numpy as np

from retinue.tasks.detection.numpy_iou import intersection_over_union

COUNTS = (50, 100, 300, 1000)
OVERLAPS = np.arange(0.5, 0.96, 0.05)


def proposal_recall(proposals, truths, counts=COUNTS):
    """Recall of the best proposals of each picture, of whatever class (Ren et al. 2015, section 4.1, figure 4).

    An object is found when one of the proposals overlaps it enough; two objects may share a proposal.
    proposals: an array `[m, 4]` a picture, the best first; truths: a dict a picture with boxes `[n, 4]` and, if there
    are such, ignored bool `[n]` (crowds and difficult objects, which do not count).
    Returns rows `{"proposals", "recall", "average_recall"}`, a count each: recall at an overlap of 0.5, and its mean
    over 0.5, 0.55, ..., 0.95; None without objects.
    """
    best = [[] for _ in counts]
    for boxes, truth in zip(proposals, truths, strict=True):
        objects = np.asarray(truth["boxes"], np.float64).reshape(-1, 4)
        if "ignored" in truth:
            objects = objects[~np.asarray(truth["ignored"], bool)]
        overlap = intersection_over_union(boxes, objects)
        for place, count in enumerate(counts):
            best[place].append(overlap[:count].max(axis=0, initial=0.0))
    rows = []
    for count, parts in zip(counts, best, strict=True):
        overlaps = np.concatenate(parts) if parts else np.zeros(0)
        found = overlaps[:, None] >= OVERLAPS - 1e-9
        recall = (float(found[:, 0].mean()), float(found.mean())) if len(overlaps) else (None, None)
        rows.append({"proposals": count, "recall": recall[0], "average_recall": recall[1]})
    return rows
