"""Matching and sampling of anchors and proposals, against results worked out by hand."""

import numpy as np
import tensorflow as tf

from retinue.tasks.detection.matching import IGNORED, IGNORED_LABEL, NEGATIVE, PADDING_LABEL, POSITIVE, match
from retinue.tasks.detection.sampling import sample


def match_one_image(candidates, boxes, labels, **options):
    options = {"fg_iou": 0.7, "bg_iou": 0.3} | options
    matched, assignment = match(
        *(tf.constant(np.array(array, np.float32)[None]) for array in (candidates, boxes)),
        tf.constant(np.array(labels, np.int32)[None]),
        **options,
    )
    return matched[0].numpy().tolist(), assignment[0].numpy().tolist()


LOW_QUALITY = {"allow_low_quality_matches": True}


def strip(iou):
    """A strip of the box (0, 0, 10, 10) that has the given IoU with it."""
    return [0, 0, 10 * iou, 10]


def test_a_candidate_at_a_threshold_is_above_it():
    _, assignment = match_one_image([strip(0.7), strip(0.69), strip(0.3), strip(0.29)], [[0, 0, 10, 10]], [2])
    assert assignment == [POSITIVE, IGNORED, IGNORED, NEGATIVE]


def test_the_best_anchors_of_a_box_are_positive_even_below_the_threshold():
    candidates = [strip(0.2), strip(0.2), strip(0.1), [20, 20, 30, 30]]
    assert match_one_image(candidates, [[0, 0, 10, 10]], [0])[1] == [NEGATIVE] * 4
    assert match_one_image(candidates, [[0, 0, 10, 10]], [0], **LOW_QUALITY)[1] == [
        POSITIVE,
        POSITIVE,
        NEGATIVE,
        NEGATIVE,
    ]


def test_a_box_without_any_overlap_makes_no_candidate_positive():
    assert (
        match_one_image([[20, 20, 30, 30], [40, 40, 50, 50]], [[0, 0, 5, 5]], [0], **LOW_QUALITY)[1] == [NEGATIVE] * 2
    )


def test_the_matched_box_is_that_with_the_largest_iou():
    matched, assignment = match_one_image([[0, 0, 10, 10], [10, 0, 20, 9]], [[11, 0, 20, 10], [0, 0, 10, 9]], [1, 0])
    assert matched == [1, 0] and assignment == [POSITIVE, POSITIVE]


def test_without_boxes_or_with_padding_only_all_candidates_are_negative():
    assert match_one_image([strip(1.0), strip(0.5)], np.zeros((0, 4)), [], **LOW_QUALITY)[1] == [NEGATIVE] * 2
    assert (
        match_one_image([strip(1.0), [0, 0, 0, 0]], [[0, 0, 0, 0]], [PADDING_LABEL], **LOW_QUALITY)[1] == [NEGATIVE] * 2
    )
    # padding that happens to overlap a candidate does not match it either
    assert match_one_image([strip(1.0)], [[0, 0, 10, 10]], [PADDING_LABEL], **LOW_QUALITY)[1] == [NEGATIVE]


def test_candidates_in_a_crowd_are_ignored_unless_they_are_positive():
    boxes, labels = [[0, 0, 100, 100], [0, 0, 10, 10]], [IGNORED_LABEL, 3]
    candidates = [[0, 0, 10, 10], [50, 50, 60, 60], [95, 95, 105, 105], [200, 0, 210, 10]]
    assert match_one_image(candidates, boxes, labels)[1] == [POSITIVE, IGNORED, NEGATIVE, NEGATIVE]


def test_negative_candidates_may_need_a_minimum_iou():
    options = {"fg_iou": 0.5, "bg_iou": 0.5, "bg_iou_low": 0.1}
    assert match_one_image([strip(0.5), strip(0.4), strip(0.1), strip(0.09)], [[0, 0, 10, 10]], [0], **options)[1] == [
        POSITIVE,
        NEGATIVE,
        NEGATIVE,
        IGNORED,
    ]


ASSIGNMENTS = tf.constant([[POSITIVE] * 10 + [IGNORED] * 10 + [NEGATIVE] * 30])


def numbers_of(assignments):
    return tf.range(assignments.shape[1])[None]


def sample_one_image(assignments=ASSIGNMENTS, seed=(1, 2), sample_size=16, max_positives=4, numbers=None):
    numbers = numbers_of(assignments) if numbers is None else numbers
    indices, weights = sample(assignments, numbers, tf.constant([seed]), sample_size, max_positives)
    return indices[0].numpy(), weights[0].numpy()


def test_samples_keep_the_limit_of_positives_and_have_no_duplicates():
    indices, weights = sample_one_image()
    assert (weights == 1).all() and len(set(indices)) == 16
    assert (indices[:4] < 10).all() and (indices[4:] >= 20).all()


def test_few_positives_are_filled_up_with_negatives():
    assignments = tf.constant([[POSITIVE] + [NEGATIVE] * 30])
    indices, weights = sample_one_image(assignments)
    assert indices[0] == 0 and (indices[1:] > 0).all() and weights.sum() == 16


def test_too_few_candidates_have_weight_zero_and_are_never_repeated():
    assignments = tf.constant([[POSITIVE] * 2 + [IGNORED] * 20 + [NEGATIVE] * 3])
    indices, weights = sample_one_image(assignments)
    assert weights.sum() == 5 and set(indices[:5]) == {0, 1, 22, 23, 24} and (weights[5:] == 0).all()
    indices, weights = sample_one_image(tf.constant([[IGNORED] * 3]))
    assert len(indices) == 3 and weights.sum() == 0


def test_the_sample_depends_on_the_seed_of_the_image_only():
    first = sample_one_image()
    np.testing.assert_array_equal(first[0], sample_one_image()[0])
    assert (first[0] != sample_one_image(seed=(1, 3))[0]).any()
    pair, _ = sample(
        tf.concat([tf.reverse(ASSIGNMENTS, [1]), ASSIGNMENTS], 0),
        numbers_of(ASSIGNMENTS),
        tf.constant([[5, 5], [1, 2]]),
        16,
        4,
    )
    np.testing.assert_array_equal(pair[1], first[0])


def test_the_sample_does_not_depend_on_the_padding():
    """Padding is also between the rows of an image, not only behind them, and candidates keep their numbers."""
    kept = np.sort(np.random.default_rng(0).choice(80, 50, replace=False))
    padded, numbers = np.full((1, 80), IGNORED, np.int32), np.zeros((1, 80), np.int32)
    padded[0, kept], numbers[0, kept] = ASSIGNMENTS[0], np.arange(50)
    sampled = sample_one_image(tf.constant(padded), numbers=tf.constant(numbers))
    np.testing.assert_array_equal(sampled[0], kept[sample_one_image()[0]])


def test_every_candidate_has_the_same_probability():
    seeds = tf.stack([tf.range(2000), tf.zeros(2000, tf.int32)], 1)
    indices, _ = sample(tf.repeat(ASSIGNMENTS, 2000, 0), numbers_of(ASSIGNMENTS), seeds, 16, 4)
    counts = np.bincount(indices.numpy().ravel(), minlength=50)
    # 800 are expected of each of 10 positive and 30 negative candidates; 5 standard deviations are about 110
    assert (abs(counts[:10] - 800) < 110).all() and (counts[10:20] == 0).all() and (abs(counts[20:] - 800) < 110).all()
