"""Non-maximum suppression (NMS) of many groups of boxes in one call, in operations that OpenVINO can convert."""

import tensorflow as tf

STEPS_PER_PIXEL = 1024.0  # resolution to which corners are rounded


def grouped_nms(
    boxes: tf.Tensor, scores: tf.Tensor, columns: tf.Tensor, rows: tf.Tensor, iou_threshold: float
) -> tf.Tensor:
    """Apply greedy NMS within groups: by descending score, a box removes those whose IoU with it is too large.

    The groups are moved apart on a checkerboard, so that boxes of different groups never overlap. Before that, corners
    are rounded to 1/1024 of a pixel, so that they can be moved without rounding (as far as 16,384 pixels): the result
    for a group does not depend on its index in the batch.

    Args:
        boxes: float32 `[k, 4]` in pixels, not negative.
        scores: float32 `[k]`. Boxes with scores of 0 and less are always removed.
        columns: int32 `[k]`; columns and rows together identify the group of each box.
        rows: int32 `[k]`.
        iou_threshold: largest IoU of two boxes of which both are kept.

    Returns:
        bool `[k]`, whether each box is kept.
    """
    boxes = tf.round(boxes * STEPS_PER_PIXEL) / STEPS_PER_PIXEL
    distance = tf.math.ceil(tf.reduce_max(boxes)) + 1.0
    offset = tf.cast(tf.stack([columns, rows, columns, rows], -1), tf.float32) * distance
    count = tf.size(scores)
    kept, valid = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes + offset,
        scores=scores,
        max_output_size=count,
        iou_threshold=iou_threshold,
        score_threshold=0.0,
        pad_to_max_output_size=True,
    )
    # Indices behind the valid ones are padding. They go to a slot of their own, as OpenVINO's scatter doesn't add up.
    kept = tf.where(tf.range(count) < valid, kept, count)
    return tf.scatter_nd(tf.expand_dims(kept, 1), tf.ones_like(kept), [count + 1])[:count] > 0
