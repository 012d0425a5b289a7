"""VOC's average precisions by hand."""

import numpy as np
import pytest

from retinue.tasks.detection.average_precision import (
    area_under_curve,
    eleven_point,
    match_voc,
    recall_and_precision,
    voc_average_precisions,
)


def test_a_curve_by_hand():
    # Five objects; right, wrong, right, right, wrong, right by falling score.
    hit = [True, False, True, True, False, True]
    recall, precision = recall_and_precision([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], hit, [False] * 6, 5)
    np.testing.assert_allclose(recall, [0.2, 0.2, 0.4, 0.6, 0.6, 0.8])
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 3 / 4, 3 / 5, 4 / 6])
    # Best precision at recall 0, .1, .2: 1; .3 to .6: 3/4; .7, .8: 2/3; .9, 1: 0.
    assert eleven_point(recall, precision) == pytest.approx((3 * 1 + 4 * 0.75 + 2 * 2 / 3) / 11)
    assert area_under_curve(recall, precision) == pytest.approx(0.2 * 1 + 0.4 * 0.75 + 0.2 * 2 / 3)


def test_order_is_by_score_and_what_is_passed_over_counts_nowhere():
    recall, precision = recall_and_precision([0.1, 0.9, 0.5], [True, False, False], [False, False, True], 2)
    np.testing.assert_allclose(recall, [0, 0.5])
    np.testing.assert_allclose(precision, [0, 0.5])


def test_no_detections():
    recall, precision = recall_and_precision([], [], [], 3)
    assert eleven_point(recall, precision) == area_under_curve(recall, precision) == 0


def test_matching():
    truth = np.array([[0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10]], float)
    boxes = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [100, 0, 110, 5], [200, 0, 210, 4.9], [100, 0, 110, 10]], float)
    hit, passed = match_voc(boxes, [0.5, 0.9, 0.8, 0.7, 0.6], truth, np.array([False, True, False]))
    assert hit.tolist() == [False, True, False, False, False]  # the second on the first object is a false alarm
    assert passed.tolist() == [False, False, True, False, True]  # on a difficult one any number; 0.5 is enough
    assert match_voc(np.zeros((0, 4)), [], truth, np.zeros(3, bool))[0].tolist() == []


def test_an_object_that_is_taken_is_not_replaced_by_the_second_best():
    truth = np.array([[0, 0, 10, 10], [0, 0, 10, 8]], float)
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10]], float)
    hit, _ = match_voc(boxes, [0.9, 0.8], truth, np.zeros(2, bool))
    assert hit.tolist() == [True, False]  # both overlap the first object most


def test_over_pictures_and_classes():
    box = np.array([[0, 0, 10, 10]], float)
    truths = [
        {"boxes": box, "labels": np.array([0]), "ignored": np.array([False])},
        {"boxes": box, "labels": np.array([0]), "ignored": np.array([False])},
        {"boxes": box, "labels": np.array([2]), "ignored": np.array([True])},
    ]
    predictions = [
        {"boxes": box, "scores": np.array([0.5]), "labels": np.array([0])},
        {"boxes": box + 50, "scores": np.array([0.9]), "labels": np.array([0])},
        {"boxes": box, "scores": np.array([0.9]), "labels": np.array([1])},
    ]
    seven, ten = voc_average_precisions(truths, predictions, 3)
    assert ten == [pytest.approx(0.5 * 0.5), None, None]
    assert seven == [pytest.approx(6 * 0.5 / 11), None, None]
