"""Average precision as VOC defines it, against values computed by hand."""

import numpy as np
import pytest

from retinue.tasks.detection.average_precision import (
    area_under_curve,
    eleven_point_ap,
    match_voc,
    precision_recall_curve,
    voc_average_precisions,
)


def test_the_curve_and_both_averages_equal_values_computed_by_hand():
    # Five objects; right, wrong, right, right, wrong, right by descending score.
    true_positive = [True, False, True, True, False, True]
    recall, precision = precision_recall_curve([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], true_positive, [False] * 6, 5)
    np.testing.assert_allclose(recall, [0.2, 0.2, 0.4, 0.6, 0.6, 0.8])
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 3 / 4, 3 / 5, 4 / 6])
    # Best precision at recall 0, .1, .2: 1; .3 to .6: 3/4; .7, .8: 2/3; .9, 1: 0.
    assert eleven_point_ap(recall, precision) == pytest.approx((3 * 1 + 4 * 0.75 + 2 * 2 / 3) / 11)
    assert area_under_curve(recall, precision) == pytest.approx(0.2 * 1 + 0.4 * 0.75 + 0.2 * 2 / 3)


def test_the_order_is_by_score_and_ignored_detections_do_not_count():
    recall, precision = precision_recall_curve([0.1, 0.9, 0.5], [True, False, False], [False, False, True], 2)
    np.testing.assert_allclose(recall, [0, 0.5])
    np.testing.assert_allclose(precision, [0, 0.5])


def test_without_detections_both_averages_are_zero():
    recall, precision = precision_recall_curve([], [], [], 3)
    assert eleven_point_ap(recall, precision) == area_under_curve(recall, precision) == 0


def test_matching_gives_true_positives_and_ignored_detections():
    truth = np.array([[0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10]], float)
    boxes = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [100, 0, 110, 5], [200, 0, 210, 4.9], [100, 0, 110, 10]], float)
    true_positive, ignored = match_voc(boxes, [0.5, 0.9, 0.8, 0.7, 0.6], truth, np.array([False, True, False]))
    assert true_positive.tolist() == [False, True, False, False, False]  # a second one on an object is a false positive
    assert ignored.tolist() == [False, False, True, False, True]  # any number on a difficult object; 0.5 is enough
    assert match_voc(np.zeros((0, 4)), [], truth, np.zeros(3, bool))[0].tolist() == []


def test_a_detection_of_a_matched_object_is_not_matched_to_its_second_best_object():
    truth = np.array([[0, 0, 10, 10], [0, 0, 10, 8]], float)
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10]], float)
    true_positive, _ = match_voc(boxes, [0.9, 0.8], truth, np.zeros(2, bool))
    assert true_positive.tolist() == [True, False]  # both have the largest IoU with the first object


def test_average_precisions_over_images_and_classes():
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
    voc2007, voc2010 = voc_average_precisions(truths, predictions, 3)
    assert voc2010 == [pytest.approx(0.5 * 0.5), None, None]
    assert voc2007 == [pytest.approx(6 * 0.5 / 11), None, None]
