import numpy as np
import pytest

from retinue.tasks import plots
from retinue.tasks.classification.calibration import calibration_section, plot_reliability, wilson_interval
from retinue.tasks.scores import Scores
from retinue.tests.helpers.plot_images import has, pixels


def test_reliability_with_empty_bins():
    table = [
        {"low": 0.0, "high": 0.5, "count": 0, "confidence": None, "accuracy": None},
        {"low": 0.5, "high": 1.0, "count": 8, "confidence": 0.8, "accuracy": 0.75},
    ]
    plot = plot_reliability(table)
    assert plot.name == "calibration" and plot.rows == table and has(pixels(plot), plots.BLUE)


def test_wilson_interval_as_published():
    low, high = wilson_interval(np.array([0.0, 0.5, 1.0]), np.array([10, 10, 10]))
    assert low == pytest.approx([0, 0.2366, 0.7225], abs=1e-3)  # Newcombe 1998, method 3, and by hand
    assert high == pytest.approx([0.2775, 0.7634, 1], abs=1e-3)


@pytest.mark.parametrize(
    "count, accuracy, text",
    [
        (1, 1.0, "The confidence is above 93% for 1 of 4 labels: it is right."),
        (1, 0.0, "The confidence is above 93% for 1 of 4 labels: it is wrong."),
        (3, 1.0, "The confidence is above 93% for 3 of 4 labels: all of them are right."),
        (3, 1 / 3, "The confidence is above 93% for 3 of 4 labels: 1 of these is right (33.3%)."),
        (3, 0.0, "The confidence is above 93% for 3 of 4 labels: none of them is right."),
    ],
)
def test_labels_with_high_confidence_are_described(count, accuracy, text):
    bins = [
        {"low": 0.0, "high": 1 / 15, "count": 4 - count, "confidence": 0.05, "accuracy": 0.0},
        {"low": 14 / 15, "high": 1.0, "count": count, "confidence": 0.99, "accuracy": accuracy},
    ]
    scores = Scores("accuracy", {"accuracy": 0.5, "calibration_error": 0.1}, tables={"calibration": bins})
    assert text in calibration_section(scores).text[0]
