"""Losses of classification and class weights, computed by hand."""

import math

import numpy as np
import pytest

from retinue.tasks.class_balance import balanced_class_weights, class_weights
from retinue.tasks.classification.losses import sigmoid_cross_entropy, softmax_cross_entropy

ONE_HOT = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
LOGITS = np.array([[math.log(3.0), 0.0], [math.log(3.0), 0.0]], np.float32)  # probabilities 3/4 and 1/4


def test_softmax_cross_entropy_by_hand():
    np.testing.assert_allclose(softmax_cross_entropy(ONE_HOT, LOGITS), [-math.log(0.75), -math.log(0.25)], rtol=1e-6)


def test_label_smoothing_spreads_over_all_classes():
    expected = -(0.9 * math.log(0.75) + 0.1 * math.log(0.25))  # 0.2 spread over two classes: 0.9 and 0.1
    np.testing.assert_allclose(softmax_cross_entropy(ONE_HOT[:1], LOGITS[:1], 0.2), [expected], rtol=1e-6)


def test_class_weights_scale_the_loss_of_their_class():
    weighted = softmax_cross_entropy(ONE_HOT, LOGITS, class_weights=[0.5, 3.0])
    np.testing.assert_allclose(weighted, [-0.5 * math.log(0.75), -3.0 * math.log(0.25)], rtol=1e-6)


def test_sigmoid_cross_entropy_is_the_mean_over_classes():
    targets = np.array([[1.0, 0.0]], np.float32)
    logits = np.array([[math.log(3.0), math.log(3.0)]], np.float32)  # both 3/4
    expected = -(math.log(0.75) + math.log(0.25)) / 2
    np.testing.assert_allclose(sigmoid_cross_entropy(targets, logits), [expected], rtol=1e-6)
    smooth = -(0.9 * math.log(0.75) + 0.1 * math.log(0.25) + 0.1 * math.log(0.75) + 0.9 * math.log(0.25)) / 2
    np.testing.assert_allclose(sigmoid_cross_entropy(targets, logits, 0.2), [smooth], rtol=1e-6)


@pytest.mark.parametrize("loss", [softmax_cross_entropy, sigmoid_cross_entropy])
def test_large_logits_stay_finite(loss):
    values = np.asarray(loss(ONE_HOT, np.array([[1e4, -1e4], [1e4, -1e4]], np.float32)))
    assert np.isfinite(values).all() and values[0] < 1e-3 < values[1]


def test_balanced_weights_have_mean_one_over_the_files():
    weights = balanced_class_weights([30, 10, 0])
    assert weights == pytest.approx([2 / 3, 2.0, 0.0])
    assert 30 * weights[0] + 10 * weights[1] == pytest.approx(40)
    sqrt = balanced_class_weights([36, 4, 0], power=0.5)  # 1/6 and 1/2
    assert sqrt[1] == pytest.approx(3 * sqrt[0]) and 36 * sqrt[0] + 4 * sqrt[1] == pytest.approx(40)


def test_class_balance_chooses_the_class_weights():
    assert class_weights("weights", [30, 10]) == pytest.approx([2 / 3, 2.0])
    assert class_weights("sqrt_weights", [36, 4]) == pytest.approx(balanced_class_weights([36, 4], power=0.5))
    assert class_weights("none", [30, 10]) is None and class_weights("sampler", [30, 10]) is None
    assert class_weights("weights", None) is None  # the class counts are unknown when a trained model is rebuilt
