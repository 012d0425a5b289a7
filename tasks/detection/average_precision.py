"""Average precision as the PASCAL VOC challenges define it (Everingham et al. 2010, section 4.2; devkit of 2010)."""

import numpy as np

from retinue.tasks.detection.numpy_iou import intersection_over_union

OVERLAP = 0.5


def eleven_point(recall, precision):
    """VOC 2007: the mean over recalls 0, 0.1, ..., 1 of the best precision at that recall or a higher one.

    recall, precision: float `[n]` along the falling score; empty without detections. Returns a float.
    """
    best = [max(precision[recall >= point - 1e-12], default=0.0) for point in np.linspace(0, 1, 11)]
    return float(np.mean(best))


def area_under_curve(recall, precision):
    """VOC 2010 and later: the area under the curve, precision made to fall with recall. Arguments as above."""
    recall = np.concatenate([[0.0], recall])
    envelope = np.maximum.accumulate(np.asarray(precision)[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope))


def recall_and_precision(score, hit, passed_over, objects):
    """Float64 `[n]` each, along the falling score; what is passed over is neither right nor wrong.

    score, hit, passed_over: `[n]`; objects: how many there are to find, above 0.
    """
    order = np.argsort(-np.asarray(score), kind="stable")
    counted = ~np.asarray(passed_over, bool)[order]
    hits = np.cumsum(np.asarray(hit, bool)[order][counted])
    return hits / objects, hits / np.maximum(np.arange(1, len(hits) + 1), 1)


def match_voc(boxes, score, truth, difficult):
    """The detections of one class in one picture against its objects, as the devkit matches them.

    Each detection, the best score first, belongs to the object that it overlaps most. Where that is 0.5 or more, it is
    a hit the first time, a false alarm from then on, and passed over where the object is difficult.
    boxes `[m, 4]`, score `[m]`, truth `[n, 4]`, difficult bool `[n]` -> hit bool `[m]`, passed_over bool `[m]`.
    """
    hit, passed_over = np.zeros(len(boxes), bool), np.zeros(len(boxes), bool)
    if not len(truth) or not len(boxes):
        return hit, passed_over
    overlap = intersection_over_union(boxes, truth)
    taken = np.zeros(len(truth), bool)
    for row in np.argsort(-np.asarray(score), kind="stable"):
        best = overlap[row].argmax()
        if overlap[row, best] < OVERLAP:
            continue
        if difficult[best]:
            passed_over[row] = True
        elif not taken[best]:
            taken[best] = hit[row] = True
    return hit, passed_over


def voc_average_precisions(truths, predictions, classes):
    """AP of each class at an overlap of 0.5, by VOC 2007 and by VOC 2010: two lists, None for a class without objects.

    truths: a dict a picture, with boxes `[n, 4]`, labels `[n]`, ignored bool `[n]` (difficult, or a crowd);
    predictions: a dict a picture with boxes `[m, 4]`, scores `[m]`, labels `[m]`. classes: how many.
    """
    found = [[] for _ in range(classes)]
    objects = np.zeros(classes, np.int64)
    for truth, prediction in zip(truths, predictions, strict=True):
        objects += np.bincount(truth["labels"][~truth["ignored"]], minlength=classes)
        for label in np.unique(prediction["labels"]):
            own, of_class = prediction["labels"] == label, truth["labels"] == label
            score = prediction["scores"][own]
            matched = match_voc(prediction["boxes"][own], score, truth["boxes"][of_class], truth["ignored"][of_class])
            found[label].append((score, *matched))
    seven, ten = [], []
    for count, parts in zip(objects, found, strict=True):
        if not count:
            seven.append(None)
            ten.append(None)
            continue
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 3
        curve = recall_and_precision(*columns, count)
        seven.append(eleven_point(*curve))
        ten.append(area_under_curve(*curve))
    return seven, ten
