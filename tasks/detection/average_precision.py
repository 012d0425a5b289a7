"""Average precision (AP) as the PASCAL VOC challenges define it.

Everingham et al. 2010, section 4.2, and the development kit of 2010.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from retinue.tasks.detection.numpy_boxes import box_iou

IOU_THRESHOLD = 0.5  # smallest IoU of a true positive with its object


def eleven_point_ap(recall: np.ndarray, precision: np.ndarray) -> float:
    """Compute AP as VOC 2007 does: the mean over recalls 0, 0.1, ..., 1 of the best precision at that recall or higher.

    Args:
        recall: float64 `[n]`, by descending score. Empty without detections.
        precision: float64 `[n]`.
    """
    best = [max(precision[recall >= point - 1e-12], default=0.0) for point in np.linspace(0, 1, 11)]
    return float(np.mean(best))


def area_under_curve(recall: np.ndarray, precision: np.ndarray) -> float:
    """Compute AP as VOC does since 2010: the area under the curve whose precision was made monotonically decreasing.

    Args:
        recall: float64 `[n]`, by descending score. Empty without detections.
        precision: float64 `[n]`.
    """
    recall = np.concatenate([[0.0], recall])
    envelope = np.maximum.accumulate(np.asarray(precision)[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope))


def precision_recall_curve(
    scores: ArrayLike, true_positive: ArrayLike, ignored: ArrayLike, object_count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute recall and precision after each detection, by descending score.

    Args:
        scores: float `[n]`.
        true_positive: bool `[n]`.
        ignored: bool `[n]`, the detections that count neither as true nor as false positives.
        object_count: number of objects, above 0.

    Returns:
        Recall and precision, float64 `[m]` each, where m is the number of detections that are not ignored.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    is_counted = ~np.asarray(ignored, bool)[order]
    true_positives = np.cumsum(np.asarray(true_positive, bool)[order][is_counted])
    return true_positives / object_count, true_positives / np.maximum(np.arange(1, len(true_positives) + 1), 1)


def match_voc(
    boxes: np.ndarray, scores: ArrayLike, truth: np.ndarray, difficult: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Match the detections of one class in one image with its objects, as VOC's development kit does.

    Each detection, by descending score, belongs to the object with which it has the largest IoU. If that IoU is 0.5 or
    more, the detection is ignored if the object is difficult; otherwise the first detection of an object is a true
    positive and all others are false positives.

    Args:
        boxes: float `[m, 4]`, the detections, x1, y1, x2, y2 in pixels.
        scores: float `[m]`.
        truth: float `[n, 4]`, the objects.
        difficult: bool `[n]`.

    Returns:
        bool `[m]`, which detections are true positives; and bool `[m]`, which are ignored.
    """
    true_positive, ignored = np.zeros(len(boxes), bool), np.zeros(len(boxes), bool)
    if not len(truth) or not len(boxes):
        return true_positive, ignored
    iou = box_iou(boxes, truth)
    is_matched = np.zeros(len(truth), bool)
    for row in np.argsort(-np.asarray(scores), kind="stable"):
        best = iou[row].argmax()
        if iou[row, best] < IOU_THRESHOLD:
            continue
        if difficult[best]:
            ignored[row] = True
        elif not is_matched[best]:
            is_matched[best] = true_positive[row] = True
    return true_positive, ignored


def voc_average_precisions(
    truths: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]], classes: int
) -> tuple[list[float | None], list[float | None]]:
    """Compute the AP of each class at an IoU of 0.5, as in VOC 2007 and as in VOC 2010.

    Args:
        truths: one dict for each image, with boxes `[n, 4]`, labels int `[n]`, and ignored bool `[n]` (difficult
            objects and crowds).
        predictions: one dict for each image, with boxes `[m, 4]`, scores `[m]` and labels int `[m]`.
        classes: number of classes.

    Returns:
        Two lists with one value for each class, None for a class without objects.
    """
    matches: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = [[] for _ in range(classes)]
    object_counts = np.zeros(classes, np.int64)
    for truth, prediction in zip(truths, predictions, strict=True):
        object_counts += np.bincount(truth["labels"][~truth["ignored"]], minlength=classes)
        for label in np.unique(prediction["labels"]):
            rows, objects = prediction["labels"] == label, truth["labels"] == label
            scores = prediction["scores"][rows]
            matched = match_voc(prediction["boxes"][rows], scores, truth["boxes"][objects], truth["ignored"][objects])
            matches[label].append((scores, *matched))
    voc2007: list[float | None] = []
    voc2010: list[float | None] = []
    for count, parts in zip(object_counts, matches, strict=True):
        if not count:
            voc2007.append(None)
            voc2010.append(None)
            continue
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 3
        scores, true_positive, ignored = columns
        curve = precision_recall_curve(scores, true_positive, ignored, int(count))
        voc2007.append(eleven_point_ap(*curve))
        voc2010.append(area_under_curve(*curve))
    return voc2007, voc2010
