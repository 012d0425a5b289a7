"""Suppression, proposals and detections, by hand."""

import math

import numpy as np
import tensorflow as tf

from retinue.tasks.detection.non_maximum_suppression import kept_by_nms
from retinue.tasks.detection.proposals import Detections, Proposals


def greedy(boxes, scores, groups, threshold):
    """Suppression in the plainest way, one group after another."""
    kept = np.zeros(len(scores), bool)
    for group in np.unique(groups):
        for index in np.argsort(-scores, kind="stable"):
            if groups[index] != group or scores[index] <= 0:
                continue
            rivals = boxes[kept & (groups == group)]
            sides = np.minimum(boxes[index, 2:], rivals[:, 2:]) - np.maximum(boxes[index, :2], rivals[:, :2])
            shared = np.maximum(sides, 0).prod(-1)
            areas = [np.prod(each[..., 2:] - each[..., :2], -1) for each in (boxes[index], rivals)]
            kept[index] = not (shared / (areas[0] + areas[1] - shared) > threshold).any()
    return kept


def test_suppression_by_hand():
    boxes = tf.constant([[0.0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 4], [50, 50, 60, 60], [0, 0, 10, 10]])
    scores, groups = tf.constant([0.8, 0.9, 0.5, 0.1, -1.0]), tf.zeros([5], tf.int32)
    # the first overlaps the second by 9/11; the third overlaps it by 36/104
    np.testing.assert_array_equal(kept_by_nms(boxes, scores, groups, groups, 0.7), [False, True, True, True, False])
    np.testing.assert_array_equal(kept_by_nms(boxes, scores, groups, groups, 0.3), [False, True, False, True, False])


def test_what_a_group_keeps_does_not_hang_on_its_place_in_the_batch():
    # 500 pairs that overlap by all but 0.7: a pixel more or less of the second's width decides. Moved to the
    # place of a ninth picture or class, corners would be rounded by half a thousandth of a pixel.
    random = np.random.default_rng(0)
    low = np.float32(random.uniform(0, 700, (500, 2)))
    side = np.float32(random.uniform(20, 500, (500, 1)))
    first = np.concatenate([low, low + side], 1)
    width = side * np.float32(0.7 + random.uniform(-1e-6, 1e-6, (500, 1)))
    second = np.concatenate([low, low + np.concatenate([width, side], 1)], 1)
    kept = []
    for place in (0, 8):
        found = []
        for pair in np.stack([first, second], 1):
            groups = tf.fill([2], place)
            found.append(kept_by_nms(pair, tf.constant([0.9, 0.8]), groups, groups, 0.7))
        kept.append(np.array(found))
    np.testing.assert_array_equal(*kept)
    assert 0.2 < kept[0][:, 1].mean() < 0.8


def test_groups_are_independent_of_each_other():
    random = np.random.default_rng(0)
    low = random.uniform(0, 80, (300, 2))
    boxes = np.concatenate([low, low + random.uniform(10, 60, (300, 2))], 1).astype(np.float32)
    scores = random.uniform(-0.2, 1, 300).astype(np.float32)
    columns, rows = random.integers(0, 3, 300), random.integers(0, 4, 300)
    kept = kept_by_nms(boxes, scores, columns.astype(np.int32), rows.astype(np.int32), 0.4)
    np.testing.assert_array_equal(kept, greedy(boxes, scores, 4 * columns + rows, 0.4))


def level(logits, anchors):
    count = len(logits)
    return (
        tf.constant([logits], tf.float32),
        tf.zeros([1, count, 4]),
        tf.constant([anchors], tf.float32),
        tf.ones([1, count], tf.bool),
    )


def proposals(levels, size=(40, 40), candidates=10, count=10, smallest=1e-3):
    parts = [list(part) for part in zip(*levels, strict=True)]
    boxes, scores = Proposals(candidates, count, smallest)(*parts, tf.constant([size]))
    good = scores[0] > 0
    return boxes[0][good].numpy(), scores[0][good].numpy()


def test_proposals_are_clipped_suppressed_within_a_level_and_sorted_over_levels():
    first = level([1.0, 3.0, 0.0], [[0, 0, 20, 20], [1, 0, 21, 20], [30, 30, 50, 50]])
    second = level([2.0], [[0, 0, 20, 20]])
    boxes, scores = proposals([first, second])
    # the first loses to the second of its level; the box of the other level stays, though it overlaps both
    np.testing.assert_array_equal(boxes, [[1, 0, 21, 20], [0, 0, 20, 20], [30, 30, 40, 40]])
    np.testing.assert_allclose(scores, [1 / (1 + math.exp(-logit)) for logit in (3, 2, 0)], rtol=1e-6)


def test_candidates_count_and_smallest_side():
    many = level([3.0, 2.0, 1.0], [[0, 0, 5, 5], [10, 10, 15, 15], [20, 20, 30, 30]])
    assert len(proposals([many], candidates=2)[0]) == 2
    assert len(proposals([many], count=1)[0]) == 1
    np.testing.assert_array_equal(proposals([many], smallest=6)[0], [[20, 20, 30, 30]])
    outside = level([3.0], [[41, 0, 50, 9]])
    assert len(proposals([outside])[0]) == 0


def test_anchors_of_the_padding_are_never_proposed():
    logits, deltas, anchors, _ = level([3.0, 9.0], [[0, 0, 5, 5], [10, 10, 15, 15]])
    boxes, _ = proposals([(logits, deltas, anchors, tf.constant([[True, False]]))])
    np.testing.assert_array_equal(boxes, [[0, 0, 5, 5]])


def detections(logits, boxes, scores=None, size=(50, 100), original=(100, 200), count=4, **rules):
    """logits `[r][classes + 1]`; the deltas are zero, so that every class has the proposal's box."""
    rows = len(logits)
    rules = {"score_threshold": 0.1, "nms_threshold": 0.5} | rules
    found = Detections(count=count, **rules)(
        tf.constant([logits], tf.float32),
        tf.zeros([1, rows, 4 * len(logits[0])]),
        tf.constant([boxes], tf.float32),
        tf.constant([scores or [1.0] * rows]),
        tf.constant([size]),
        tf.constant([original]),
    )
    return {name: value[0].numpy() for name, value in found.items()}


def shares(*probabilities):
    return [math.log(share) for share in probabilities]


def test_detections_are_by_class_in_pixels_of_the_original():
    logits = [shares(0.2, 0.7, 0.1), shares(0.1, 0.6, 0.3), shares(0.9, 0.05, 0.05)]
    found = detections(logits, [[0, 0, 10, 20], [0, 0, 11, 20], [50, 20, 60, 30]])
    # of class 0 the second box is suppressed, of class 1 the first is at the threshold and out; the third is background
    assert found["count"] == 2
    np.testing.assert_array_equal(found["labels"], [0, 1, -1, -1])
    np.testing.assert_allclose(found["scores"], [0.7, 0.3, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(found["boxes"][:2], [[0, 0, 20, 40], [0, 0, 22, 40]], rtol=1e-6)
    assert (found["boxes"][2:] == 0).all()


def test_rows_that_only_pad_the_proposals_are_no_detections():
    found = detections([shares(0.1, 0.9), shares(0.2, 0.8)], [[0, 0, 10, 10], [30, 30, 50, 50]], scores=[-1.0, 0.5])
    assert found["count"] == 1 and found["scores"][0] == np.float32(0.8)


def test_the_best_stay_where_there_are_too_many():
    logits = [shares(1 - share, share) for share in (0.3, 0.9, 0.6)]
    found = detections(logits, [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], count=2)
    np.testing.assert_allclose(found["scores"], [0.9, 0.6], rtol=1e-5)


def test_nothing_found():
    found = detections([shares(0.99, 0.01)], [[0, 0, 10, 10]])
    assert found["count"] == 0 and (found["labels"] == -1).all() and (found["scores"] == 0).all()
