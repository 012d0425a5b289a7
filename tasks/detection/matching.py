"""Matching of anchors and proposals with annotated boxes (Ren et al. 2015, section 3.1.2).

The label of an annotated box is 0 or more for a class; `PADDING_LABEL` for rows that fill up a batch; `IGNORED_LABEL`
for crowds and difficult objects, which should neither be detected nor be taken for background.
"""

import tensorflow as tf

from retinue.tasks.detection.boxes import box_area, box_intersection, box_iou

PADDING_LABEL, IGNORED_LABEL = -1, -2
POSITIVE, NEGATIVE, IGNORED = 1, 0, -1  # what an anchor or proposal is in training
MIN_COVERED_FRACTION = 0.5  # a candidate with at least this fraction inside an ignored box is not negative but ignored


def match(
    candidates: tf.Tensor,
    boxes: tf.Tensor,
    labels: tf.Tensor,
    *,
    fg_iou: float,
    bg_iou: float,
    bg_iou_low: float = 0.0,
    allow_low_quality_matches: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Match anchors or proposals with annotated boxes by their IoU.

    A candidate is positive if its largest IoU with a box of a class is `fg_iou` or more, negative if it is from
    `bg_iou_low` to below `bg_iou`, and ignored otherwise. Without boxes all candidates are negative, unless
    `bg_iou_low` is above 0.

    Args:
        candidates: float32 `[n, a, 4]`, anchors or proposals in pixels.
        boxes: float32 `[n, m, 4]`, annotated boxes in pixels.
        labels: int32 `[n, m]`, see the module's docstring.
        fg_iou: smallest IoU of a positive candidate.
        bg_iou: upper limit (exclusive) of the IoU of a negative candidate.
        bg_iou_low: smallest IoU of a negative candidate.
        allow_low_quality_matches: whether the candidates with the largest IoU above 0 for some box, including all ties,
            are positive as well, even if that IoU is below `fg_iou`.

    Returns:
        int32 `[n, a]`, the index of the box with the largest IoU (the first of equals, 0 if there is no box); and int32
        `[n, a]`, POSITIVE, NEGATIVE or IGNORED.
    """
    boxes = tf.pad(boxes, [[0, 0], [0, 1], [0, 0]])  # so that the maximum is over at least one box
    labels = tf.pad(labels, [[0, 0], [0, 1]], constant_values=PADDING_LABEL)
    iou = tf.where(labels[:, None, :] >= 0, box_iou(candidates, boxes), -1.0)
    largest = tf.reduce_max(iou, -1)
    is_positive = largest >= fg_iou
    if allow_low_quality_matches:
        best = tf.reduce_max(iou, 1, keepdims=True)
        is_positive |= tf.reduce_any((iou == best) & (best > 0.0), -1)
    largest = tf.maximum(largest, 0.0)
    is_negative = (largest < bg_iou) & (largest >= bg_iou_low)
    is_negative &= ~_is_covered(candidates, boxes, labels == IGNORED_LABEL)
    assignment = tf.where(is_positive, POSITIVE, tf.where(is_negative, NEGATIVE, IGNORED))
    return tf.argmax(iou, -1, tf.int32), assignment


def _is_covered(candidates: tf.Tensor, boxes: tf.Tensor, is_ignored: tf.Tensor) -> tf.Tensor:
    """Check whether enough of a candidate's area lies in one ignored box: bool `[n, a]`."""
    intersection = tf.where(is_ignored[:, None, :], box_intersection(candidates, boxes), 0.0)
    area = box_area(candidates)
    return (tf.reduce_max(intersection, -1) >= MIN_COVERED_FRACTION * area) & (area > 0.0)
