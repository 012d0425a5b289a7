"""Matching and sampling, by hand."""

import numpy as np
import tensorflow as tf

from retinue.tasks.detection.matching import BACKGROUND, IGNORED, NEITHER, OBJECT, PADDING, match
from retinue.tasks.detection.sampling import sample


def matched(candidates, boxes, labels, **rules):
    rules = {"object_from": 0.7, "background_to": 0.3} | rules
    nearest, kind = match(
        *(tf.constant(np.array(part, np.float32)[None]) for part in (candidates, boxes)),
        tf.constant(np.array(labels, np.int32)[None]),
        **rules,
    )
    return nearest[0].numpy().tolist(), kind[0].numpy().tolist()


def row(share):
    """A box whose overlap with (0, 0, 10, 10) is `share`: a strip of it."""
    return [0, 0, 10 * share, 10]


def test_thresholds_belong_to_the_upper_side():
    _, kind = matched([row(0.7), row(0.69), row(0.3), row(0.29)], [[0, 0, 10, 10]], [2])
    assert kind == [OBJECT, NEITHER, NEITHER, BACKGROUND]


def test_the_best_anchor_counts_even_below_the_threshold_with_all_ties():
    candidates = [row(0.2), row(0.2), row(0.1), [20, 20, 30, 30]]
    assert matched(candidates, [[0, 0, 10, 10]], [0])[1] == [BACKGROUND] * 4
    assert matched(candidates, [[0, 0, 10, 10]], [0], best_too=True)[1] == [OBJECT, OBJECT, BACKGROUND, BACKGROUND]


def test_a_box_that_nothing_touches_makes_nothing_an_object():
    assert matched([[20, 20, 30, 30], [40, 40, 50, 50]], [[0, 0, 5, 5]], [0], best_too=True)[1] == [BACKGROUND] * 2


def test_nearest_is_the_box_of_largest_overlap():
    nearest, kind = matched([[0, 0, 10, 10], [10, 0, 20, 9]], [[11, 0, 20, 10], [0, 0, 10, 9]], [1, 0])
    assert nearest == [1, 0] and kind == [OBJECT, OBJECT]


def test_no_boxes_and_padding_alone_make_background():
    assert matched([row(1.0), row(0.5)], np.zeros((0, 4)), [], best_too=True)[1] == [BACKGROUND] * 2
    assert matched([row(1.0), [0, 0, 0, 0]], [[0, 0, 0, 0]], [PADDING], best_too=True)[1] == [BACKGROUND] * 2
    # padding that happens to lie on a candidate does not match it either
    assert matched([row(1.0)], [[0, 0, 10, 10]], [PADDING], best_too=True)[1] == [BACKGROUND]


def test_what_lies_in_a_crowd_is_neither_but_objects_stay_objects():
    boxes, labels = [[0, 0, 100, 100], [0, 0, 10, 10]], [IGNORED, 3]
    candidates = [[0, 0, 10, 10], [50, 50, 60, 60], [95, 95, 105, 105], [200, 0, 210, 10]]
    assert matched(candidates, boxes, labels)[1] == [OBJECT, NEITHER, BACKGROUND, BACKGROUND]


def test_background_may_need_some_overlap():
    rules = {"object_from": 0.5, "background_to": 0.5, "box_bg_iou_low": 0.1}
    assert matched([row(0.5), row(0.4), row(0.1), row(0.09)], [[0, 0, 10, 10]], [0], **rules)[1] == [
        OBJECT,
        BACKGROUND,
        BACKGROUND,
        NEITHER,
    ]


KINDS = tf.constant([[OBJECT] * 10 + [NEITHER] * 10 + [BACKGROUND] * 30])


def places(kinds):
    return tf.range(kinds.shape[1])[None]


def drawn(kinds=KINDS, seed=(1, 2), count=16, most_objects=4, numbers=None):
    numbers = places(kinds) if numbers is None else numbers
    indices, weights = sample(kinds, numbers, tf.constant([seed]), count, most_objects)
    return indices[0].numpy(), weights[0].numpy()


def test_sample_keeps_the_shares_and_draws_none_twice():
    indices, weights = drawn()
    assert (weights == 1).all() and len(set(indices)) == 16
    assert (indices[:4] < 10).all() and (indices[4:] >= 20).all()


def test_few_objects_are_filled_up_with_background():
    kinds = tf.constant([[OBJECT] + [BACKGROUND] * 30])
    indices, weights = drawn(kinds)
    assert indices[0] == 0 and (indices[1:] > 0).all() and weights.sum() == 16


def test_too_few_candidates_have_weight_zero_and_are_never_repeated():
    kinds = tf.constant([[OBJECT] * 2 + [NEITHER] * 20 + [BACKGROUND] * 3])
    indices, weights = drawn(kinds)
    assert weights.sum() == 5 and set(indices[:5]) == {0, 1, 22, 23, 24} and (weights[5:] == 0).all()
    indices, weights = drawn(tf.constant([[NEITHER] * 3]))
    assert len(indices) == 3 and weights.sum() == 0


def test_the_draw_is_a_function_of_the_images_seed_alone():
    first = drawn()
    np.testing.assert_array_equal(first[0], drawn()[0])
    assert (first[0] != drawn(seed=(1, 3))[0]).any()
    pair, _ = sample(tf.concat([tf.reverse(KINDS, [1]), KINDS], 0), places(KINDS), tf.constant([[5, 5], [1, 2]]), 16, 4)
    np.testing.assert_array_equal(pair[1], first[0])


def test_the_draw_does_not_depend_on_where_padding_lies():
    """It lies between the rows of an image, not only behind them: candidates keep their numbers."""
    kept = np.sort(np.random.default_rng(0).choice(80, 50, replace=False))
    padded, numbers = np.full((1, 80), NEITHER, np.int32), np.zeros((1, 80), np.int32)
    padded[0, kept], numbers[0, kept] = KINDS[0], np.arange(50)
    found = drawn(tf.constant(padded), numbers=tf.constant(numbers))
    np.testing.assert_array_equal(found[0], kept[drawn()[0]])


def test_every_candidate_has_the_same_chance():
    seeds = tf.stack([tf.range(2000), tf.zeros(2000, tf.int32)], 1)
    indices, _ = sample(tf.repeat(KINDS, 2000, 0), places(KINDS), seeds, 16, 4)
    counts = np.bincount(indices.numpy().ravel(), minlength=50)
    # expected 800 of 10 objects and of 30 background ones; 5 standard deviations are about 110
    assert (abs(counts[:10] - 800) < 110).all() and (counts[10:20] == 0).all() and (abs(counts[20:] - 800) < 110).all()
