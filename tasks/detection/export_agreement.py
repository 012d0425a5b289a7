"""Comparison of the outputs of a detector with those of its export, to verify the export."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from retinue.tasks.detection.numpy_boxes import box_iou

MAX_CORNER_SHIFT = 0.05  # pixels that each corner of a detection may move
NMS_IOU_TOLERANCE = 0.02  # if the IoU of two boxes is this near to the threshold, NMS may or may not remove one

Detections = dict[str, np.ndarray]


def compare(
    outputs: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    tolerance: float,
    score_threshold: float,
    nms_threshold: float,
) -> dict[str, Any]:
    """Compare two batches of outputs of `proposals.PostprocessDetections`.

    A detection of one side needs a counterpart on the other: with the same label, with all corners within 0.05 pixels,
    and with a score within `tolerance`. An image where some detections have none is a near tie if each of these is
    about as good as a detection that would be removed: its score is that near to the threshold or to the last score
    that was kept, or its IoU with another detection is almost exactly `nms_threshold`.

    Args:
        outputs: a batch of outputs of the export.
        reference: the Keras model's outputs for the same batch.
        tolerance: largest difference of scores.
        score_threshold: the detector's `score_threshold`.
        nms_threshold: the detector's `nms_threshold`.

    Returns:
        A dict: largest_difference, a float, between the scores of counterparts; same and near_ties, numbers of images;
        iou, the mean over the detections of `reference` of the largest IoU with a detection of the same label on the
        other side, 1 if there are no detections.
    """
    largest, same, near_ties, best_ious = 0.0, 0, 0, []
    for row in range(len(reference["count"])):
        ours, theirs = (_detections_of_image(batch, row) for batch in (outputs, reference))
        best_ious.append(_best_ious(theirs, ours))
        unmatched: list[tuple[Detections, int]] = []
        for first, second in ((ours, theirs), (theirs, ours)):
            differences = _score_differences(first, second)
            is_matched = np.isfinite(differences)
            largest = max(largest, differences[is_matched].max(initial=0.0))
            unmatched += [(first, int(index)) for index in np.flatnonzero(~is_matched)]
        max_detections = reference["boxes"].shape[1]
        if not unmatched:
            same += 1
        elif all(_is_near_tie(*one, tolerance, score_threshold, nms_threshold, max_detections) for one in unmatched):
            near_ties += 1
    all_ious = np.concatenate(best_ious)
    iou = float(all_ious.mean()) if len(all_ious) else 1.0
    return {"largest_difference": float(largest), "same": same, "near_ties": near_ties, "iou": iou}


def _detections_of_image(outputs: Mapping[str, np.ndarray], row: int) -> Detections:
    """Return boxes, scores and labels of the detections of one image, float64."""
    count = int(outputs["count"][row])
    return {name: np.asarray(outputs[name][row][:count], np.float64) for name in ("boxes", "scores", "labels")}


def _best_ious(first: Detections, second: Detections) -> np.ndarray:
    """For each detection of `first`, return the largest IoU with one of the same label in `second`; 0 without one."""
    if not len(first["scores"]) or not len(second["scores"]):
        return np.zeros(len(first["scores"]))
    iou = box_iou(first["boxes"], second["boxes"])
    return np.where(first["labels"][:, None] == second["labels"][None], iou, 0.0).max(1)


def _score_differences(first: Detections, second: Detections) -> np.ndarray:
    """For each detection of `first`, return the difference to the score of its counterpart; infinite without one."""
    if not len(first["scores"]) or not len(second["scores"]):
        return np.full(len(first["scores"]), np.inf)
    shift = np.abs(first["boxes"][:, None] - second["boxes"][None]).max(-1)
    is_counterpart = (shift <= MAX_CORNER_SHIFT) & (first["labels"][:, None] == second["labels"][None])
    return np.where(is_counterpart, np.abs(first["scores"][:, None] - second["scores"][None]), np.inf).min(1)


def _is_near_tie(
    detections: Detections,
    index: int,
    tolerance: float,
    score_threshold: float,
    nms_threshold: float,
    max_detections: int,
) -> bool:
    """Check whether a detection is about as good as one that would be removed."""
    score = detections["scores"][index]
    if score - score_threshold <= tolerance:
        return True
    if len(detections["scores"]) == max_detections and score - detections["scores"].min() <= tolerance:
        return True
    iou = box_iou(detections["boxes"][index], detections["boxes"])
    return bool((np.abs(iou - nms_threshold) <= NMS_IOU_TOLERANCE).any())
