"""Which annotated box an anchor or a proposal belongs to (Ren et al. 2015, section 3.1.2).

Labels of annotated boxes: 0 and up is a class; PADDING fills up a batch; IGNORED is a crowd or a difficult object,
which is neither to be found nor to be taken for background.
"""

import tensorflow as tf

from retinue.tasks.detection import boxes as box_functions

PADDING, IGNORED = -1, -2
OBJECT, BACKGROUND, NEITHER = 1, 0, -1  # what an anchor or a proposal is
COVERED = 0.5  # so much of its area in an ignored box makes background into NEITHER


def match(candidates, boxes, labels, *, object_from, background_to, box_bg_iou_low=0.0, best_too=False):
    """Match anchors or proposals with annotated boxes.

    candidates: float32 `[n, a, 4]`; boxes: float32 `[n, m, 4]`; labels: int32 `[n, m]`, see above.
    By the largest IoU with a box of a class: OBJECT from `object_from` up, BACKGROUND from `box_bg_iou_low` to below
    `background_to`, NEITHER otherwise. best_too: the candidates with the largest IoU above 0 for some box, all ties,
    are OBJECT as well, even below `background_to`.
    Returns int32 `[n, a]`, the box with the largest IoU (the first of equals; 0 where there is none), and int32
    `[n, a]`, OBJECT, BACKGROUND or NEITHER. Without boxes all is BACKGROUND, unless `box_bg_iou_low` is above 0.
    """
    boxes = tf.pad(boxes, [[0, 0], [0, 1], [0, 0]])  # so that there is one to take the largest of
    labels = tf.pad(labels, [[0, 0], [0, 1]], constant_values=PADDING)
    overlap = tf.where(labels[:, None, :] >= 0, box_functions.overlaps(candidates, boxes), -1.0)
    largest = tf.reduce_max(overlap, -1)
    is_object = largest >= object_from
    if best_too:
        best = tf.reduce_max(overlap, 1, keepdims=True)
        is_object |= tf.reduce_any((overlap == best) & (best > 0.0), -1)
    largest = tf.maximum(largest, 0.0)
    is_background = (largest < background_to) & (largest >= box_bg_iou_low)
    is_background &= ~_covered(candidates, boxes, labels == IGNORED)
    kind = tf.where(is_object, OBJECT, tf.where(is_background, BACKGROUND, NEITHER))
    return tf.argmax(overlap, -1, tf.int32), kind


def _covered(candidates, boxes, is_ignored):
    """Whether COVERED of a candidate's area lies in one ignored box: bool `[n, a]`."""
    shared = tf.where(is_ignored[:, None, :], box_functions.intersections(candidates, boxes), 0.0)
    area = box_functions.areas(candidates)
    return (tf.reduce_max(shared, -1) >= COVERED * area) & (area > 0.0)
