"""The recall of proposals: the metric of a region proposal network by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retinue.tasks.detection.numpy_boxes import box_iou

COUNTS = (50, 100, 300, 1000)
IOU_THRESHOLDS = np.arange(0.5, 0.96, 0.05)


def proposal_recall(
    proposals: Sequence[np.ndarray], truths: Sequence[Mapping[str, Any]], counts: Sequence[int] = COUNTS
) -> list[dict[str, Any]]:
    """Compute the recall of the best proposals of each image, of any class (Ren et al. 2015, section 4.1, figure 4).

    An object counts as detected if the IoU of one of the proposals with it is large enough. Two objects may share a
    proposal.

    Args:
        proposals: one array `[m, 4]` for each image, the best proposal first.
        truths: one dict for each image, with boxes `[n, 4]` and optionally ignored bool `[n]` (crowds and difficult
            objects, which do not count).
        counts: numbers of proposals per image.

    Returns:
        One row for each count, `{"proposals", "recall", "average_recall"}`: the recall at an IoU of 0.5, and its mean
        over the IoUs 0.5, 0.55, ..., 0.95. Both are None without objects.
    """
    best: list[list[np.ndarray]] = [[] for _ in counts]
    for boxes, truth in zip(proposals, truths, strict=True):
        objects = np.asarray(truth["boxes"], np.float64).reshape(-1, 4)
        if "ignored" in truth:
            objects = objects[~np.asarray(truth["ignored"], bool)]
        iou = box_iou(boxes, objects)
        for index, count in enumerate(counts):
            best[index].append(iou[:count].max(axis=0, initial=0.0))
    rows = []
    for count, parts in zip(counts, best, strict=True):
        ious = np.concatenate(parts) if parts else np.zeros(0)
        is_detected = ious[:, None] >= IOU_THRESHOLDS - 1e-9
        recall = (float(is_detected[:, 0].mean()), float(is_detected.mean())) if len(ious) else (None, None)
        rows.append({"proposals": count, "recall": recall[0], "average_recall": recall[1]})
    return rows
