"""Non-maximum suppression of many groups of boxes in one call, which is what OpenVINO can convert."""

import tensorflow as tf

GRID = 1024.0  # places a pixel


def kept_by_nms(boxes, scores, columns, rows, threshold):
    """Greedy non-maximum suppression within groups: best score first, what overlaps it by more is dropped.

    Groups are moved apart on a chequerboard, so that boxes of different ones never overlap. Corners are set to the
    nearest 1/1024 of a pixel before that, so that they move without rounding (as far as 16,384 pixels): what a group
    keeps does not hang on where in the batch it is.
    boxes: float32 `[k, 4]` in pixels, not negative; scores: float32 `[k]`, those of 0 and less are never kept;
    columns, rows: int32 `[k]`, the group of each box; threshold: the largest IoU that is kept.
    Returns bool `[k]`.
    """
    boxes = tf.round(boxes * GRID) / GRID
    apart = tf.math.ceil(tf.reduce_max(boxes)) + 1.0
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
