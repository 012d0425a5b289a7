"""Non-maximum suppression of many groups of boxes in one call, which is what OpenVINO can convert."""

import tensorflow as tf


def kept_by_nms(boxes, scores, columns, rows, threshold):
    """Greedy non-maximum suppression within groups: best score first, what overlaps it by more is dropped.

    Groups are moved apart on a chequerboard, so that boxes of different ones never overlap.
    boxes: float32 `[k, 4]` in pixels, not negative; scores: float32 `[k]`, those of 0 and less are never kept;
    columns, rows: int32 `[k]`, the group of each box; threshold: the largest IoU that is kept.
    Returns bool `[k]`.
    """
    apart = tf.reduce_max(boxes) + 1.0
    shift = tf.cast(tf.stack([columns, rows, columns, rows], -1), tf.float32) * apart
    count = tf.size(scores)
    chosen, valid = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes + shift,
        scores=scores,
        max_output_size=count,
        iou_threshold=threshold,
        score_threshold=0.0,
        pad_to_max_output_size=True,
    )
    # What comes after the valid ones is padding, and goes to a place of its own: OpenVINO's scatter doesn't add up.
    chosen = tf.where(tf.range(count) < valid, chosen, count)
    return tf.scatter_nd(tf.expand_dims(chosen, 1), tf.ones_like(chosen), [count + 1])[:count] > 0
