"""Non-maximum suppression, proposals and detections, against results worked out by hand."""

import math

import numpy as np
import tensorflow as tf

from retinue.tasks.detection.non_maximum_suppression import grouped_nms
from retinue.tasks.detection.numpy_boxes import box_iou
from retinue.tasks.detection.proposals import FilterProposals, PostprocessDetections


def plain_nms(boxes, scores, groups, threshold):
    """The plainest implementation, one group after another."""
    kept = np.zeros(len(scores), bool)
    for group in np.unique(groups):
        for index in np.argsort(-scores, kind="stable"):
            if groups[index] != group or scores[index] <= 0:
                continue
            better = boxes[kept & (groups == group)]
            kept[index] = not (box_iou(boxes[index], better) > threshold).any()
    return kept


def test_nms_removes_what_overlaps_a_better_box_too_much():
    boxes = tf.constant([[0.0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 4], [50, 50, 60, 60], [0, 0, 10, 10]])
    scores, groups = tf.constant([0.8, 0.9, 0.5, 0.1, -1.0]), tf.zeros([5], tf.int32)
    # the IoU of the first with the second is 9/11; that of the third with it is 36/104
    np.testing.assert_array_equal(grouped_nms(boxes, scores, groups, groups, 0.7), [False, True, True, True, False])
    np.testing.assert_array_equal(grouped_nms(boxes, scores, groups, groups, 0.3), [False, True, False, True, False])


def test_the_result_for_a_group_does_not_depend_on_its_index_in_the_batch():
    # 500 pairs whose IoU is almost exactly 0.7, so that a tiny difference of the second's width decides. Moved to the
    # position of the ninth image or class, corners would be rounded by half a thousandth of a pixel.
    random = np.random.default_rng(0)
    low = np.float32(random.uniform(0, 700, (500, 2)))
    side = np.float32(random.uniform(20, 500, (500, 1)))
    first = np.concatenate([low, low + side], 1)
    width = side * np.float32(0.7 + random.uniform(-1e-6, 1e-6, (500, 1)))
    second = np.concatenate([low, low + np.concatenate([width, side], 1)], 1)
    kept = []
    for index in (0, 8):
        results = []
        for pair in np.stack([first, second], 1):
            groups = tf.fill([2], index)
            results.append(grouped_nms(pair, tf.constant([0.9, 0.8]), groups, groups, 0.7))
        kept.append(np.array(results))
    np.testing.assert_array_equal(*kept)
    assert 0.2 < kept[0][:, 1].mean() < 0.8


def test_groups_do_not_influence_each_other():
    random = np.random.default_rng(0)
    low = random.uniform(0, 80, (300, 2))
    boxes = np.concatenate([low, low + random.uniform(10, 60, (300, 2))], 1).astype(np.float32)
    scores = random.uniform(-0.2, 1, 300).astype(np.float32)
    columns, rows = random.integers(0, 3, 300), random.integers(0, 4, 300)
    kept = grouped_nms(boxes, scores, columns.astype(np.int32), rows.astype(np.int32), 0.4)
    np.testing.assert_array_equal(kept, plain_nms(boxes, scores, 4 * columns + rows, 0.4))


def level(logits, anchors):
    count = len(logits)
    return (
        tf.constant([logits], tf.float32),
        tf.zeros([1, count, 4]),
        tf.constant([anchors], tf.float32),
        tf.ones([1, count], tf.bool),
    )


def proposals(levels, size=(40, 40), pre_nms_top_n=10, post_nms_top_n=10, min_size=1e-3):
    parts = [list(part) for part in zip(*levels, strict=True)]
    boxes, scores = FilterProposals(pre_nms_top_n, post_nms_top_n, 0.7, min_size)(*parts, tf.constant([size]))
    is_proposal = scores[0] > 0
    return boxes[0][is_proposal].numpy(), scores[0][is_proposal].numpy()


def test_proposals_are_clipped_filtered_within_a_level_and_sorted_over_levels():
    first = level([1.0, 3.0, 0.0], [[0, 0, 20, 20], [1, 0, 21, 20], [30, 30, 50, 50]])
    second = level([2.0], [[0, 0, 20, 20]])
    boxes, scores = proposals([first, second])
    # the second box of the level removes the first; the box of the other level is kept, though it overlaps both
    np.testing.assert_array_equal(boxes, [[1, 0, 21, 20], [0, 0, 20, 20], [30, 30, 40, 40]])
    np.testing.assert_allclose(scores, [1 / (1 + math.exp(-logit)) for logit in (3, 2, 0)], rtol=1e-6)


def test_the_limits_before_and_after_nms_and_the_minimum_size():
    many = level([3.0, 2.0, 1.0], [[0, 0, 5, 5], [10, 10, 15, 15], [20, 20, 30, 30]])
    assert len(proposals([many], pre_nms_top_n=2)[0]) == 2
    assert len(proposals([many], post_nms_top_n=1)[0]) == 1
    np.testing.assert_array_equal(proposals([many], min_size=6)[0], [[20, 20, 30, 30]])
    outside = level([3.0], [[41, 0, 50, 9]])
    assert len(proposals([outside])[0]) == 0


def test_anchors_in_the_padding_are_never_proposed():
    logits, deltas, anchors, _ = level([3.0, 9.0], [[0, 0, 5, 5], [10, 10, 15, 15]])
    boxes, _ = proposals([(logits, deltas, anchors, tf.constant([[True, False]]))])
    np.testing.assert_array_equal(boxes, [[0, 0, 5, 5]])


def detections(logits, boxes, scores=None, size=(50, 100), original=(100, 200), max_detections=4, **options):
    """logits: `[r][classes + 1]`. The deltas are zero, so that every class has the proposal's box."""
    rows = len(logits)
    options = {"score_threshold": 0.1, "nms_threshold": 0.5} | options
    outputs = PostprocessDetections(max_detections=max_detections, **options)(
        tf.constant([logits], tf.float32),
        tf.zeros([1, rows, 4 * len(logits[0])]),
        tf.constant([boxes], tf.float32),
        tf.constant([scores or [1.0] * rows]),
        tf.constant([size]),
        tf.constant([original]),
    )
    return {name: value[0].numpy() for name, value in outputs.items()}


def logits_of(*probabilities):
    return [math.log(probability) for probability in probabilities]


def test_detections_are_made_by_class_in_pixels_of_the_original_image():
    logits = [logits_of(0.2, 0.7, 0.1), logits_of(0.1, 0.6, 0.3), logits_of(0.9, 0.05, 0.05)]
    outputs = detections(logits, [[0, 0, 10, 20], [0, 0, 11, 20], [50, 20, 60, 30]])
    # NMS removes the second box of class 0; the first of class 1 is at the threshold, too low; the third is background
    assert outputs["count"] == 2
    np.testing.assert_array_equal(outputs["labels"], [0, 1, -1, -1])
    np.testing.assert_allclose(outputs["scores"], [0.7, 0.3, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(outputs["boxes"][:2], [[0, 0, 20, 40], [0, 0, 22, 40]], rtol=1e-6)
    assert (outputs["boxes"][2:] == 0).all()


def test_padding_of_the_proposals_makes_no_detections():
    outputs = detections(
        [logits_of(0.1, 0.9), logits_of(0.2, 0.8)], [[0, 0, 10, 10], [30, 30, 50, 50]], scores=[-1.0, 0.5]
    )
    assert outputs["count"] == 1 and outputs["scores"][0] == np.float32(0.8)


def test_the_best_detections_are_kept_if_there_are_too_many():
    logits = [logits_of(1 - score, score) for score in (0.3, 0.9, 0.6)]
    outputs = detections(logits, [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], max_detections=2)
    np.testing.assert_allclose(outputs["scores"], [0.9, 0.6], rtol=1e-5)


def test_there_may_be_no_detections():
    outputs = detections([logits_of(0.99, 0.01)], [[0, 0, 10, 10]])
    assert outputs["count"] == 0 and (outputs["labels"] == -1).all() and (outputs["scores"] == 0).all()
