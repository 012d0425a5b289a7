"""Fusion of two streams: averages by hand, and an SVM that weighs the better stream more."""

import keras
import numpy as np
import pytest

from retinue.configs.load import load_config
from retinue.tasks.video import fusion
from retinue.tasks.video.layers import ScoreFusion
from retinue.tasks.video.model import average_streams


def video_config(**settings):
    return load_config(options={f"video.{key}": value for key, value in settings.items()}).video


def test_averages_by_hand():
    spatial, temporal = np.float32([[0.8, 0.2]]), np.float32([[0.3, 0.7]])
    np.testing.assert_allclose(average_streams(spatial, temporal, video_config()), [[0.55, 0.45]], rtol=1e-6)
    weighted = average_streams(spatial, temporal, video_config(fusion="weighted", fusion_weights=[1.0, 1.5]))
    np.testing.assert_allclose(weighted, [[(0.8 + 0.45) / 2.5, (0.2 + 1.05) / 2.5]], rtol=1e-6)


def test_squared_hinge_by_hand():
    """Two points at -1 and 1, penalty C: by symmetry no bias, and w = 4 C / (1 + 4 C)."""
    weights, bias = fusion.fit_squared_hinge(np.array([[-1.0], [1.0]]), np.array([-1.0, 1.0]), 2.0)
    assert weights[0] == pytest.approx(8 / 9) and bias == pytest.approx(0, abs=1e-6)


def test_the_svm_trusts_the_better_stream():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 120)
    good = 0.1 + 0.7 * np.eye(3)[labels] + random.uniform(0, 0.1, (120, 3))
    bad = 0.1 + 2.0 * np.eye(3)[random.integers(0, 3, 120)]  # more confident, and wrong in two of three clips
    good, bad = (scores / scores.sum(axis=1, keepdims=True) for scores in (good, bad))
    mean = ((good + bad) / 2).argmax(axis=1) == labels
    kernel, bias, penalty = fusion.fit(bad[:60], good[:60], labels[:60])
    predicted = (fusion.stack_scores(bad[60:], good[60:]) @ kernel + bias).argmax(axis=1)
    assert mean.mean() < 0.9 and (predicted == labels[60:]).mean() > 0.98 and penalty in fusion.PENALTIES


def test_the_scores_of_the_svm_are_calibrated():
    """Both streams are correct in the same 90% of the clips, so the confidence must be 0.9."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 400)
    stream_labels = np.where(random.uniform(size=400) < 0.9, labels, (labels + 1) % 3)
    scores = 0.02 + 0.94 * np.eye(3)[stream_labels]
    kernel, bias, _ = fusion.fit(scores[:200], scores[:200], labels[:200])
    margins = fusion.stack_scores(scores[200:], scores[200:]) @ kernel + bias
    confidence = (np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)).max(axis=1).mean()
    assert abs(confidence - 0.9) < 0.06
    assert fusion.log_loss(np.array([[0.0, 0.0], [0.0, np.log(3)]]), np.array([0, 1])) == pytest.approx(
        (np.log(2) + np.log(4 / 3)) / 2
    )


def test_the_layer_computes_the_same_as_numpy():
    random = np.random.default_rng(1)
    spatial, temporal = (random.dirichlet(np.ones(3), 5).astype(np.float32) for _ in range(2))
    layer = ScoreFusion()
    inputs = [keras.ops.convert_to_tensor(scores) for scores in (spatial, temporal)]
    np.testing.assert_allclose(  # before it is fitted: the sum of both, normalized
        layer(inputs), sum(s / np.linalg.norm(s, axis=1, keepdims=True) for s in (spatial, temporal)), rtol=1e-5
    )
    kernel, bias = random.normal(size=(6, 3)).astype(np.float32), np.float32([1, 2, 3])
    layer.set_weights([kernel, bias])
    np.testing.assert_allclose(
        layer(inputs), fusion.stack_scores(spatial, temporal) @ kernel + bias, rtol=1e-4, atol=1e-5
    )
    assert not layer.trainable_weights


def test_a_class_without_clips_is_never_predicted():
    labels = np.array([0, 0, 0, 0, 0, 2, 2, 2, 2, 2])
    scores = 0.1 + 0.7 * np.eye(3)[labels]
    kernel, bias, _ = fusion.fit(scores, scores, labels)
    assert set((fusion.stack_scores(scores, scores) @ kernel + bias).argmax(axis=1)) == {0, 2}
