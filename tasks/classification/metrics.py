"""The metrics of classification as pure functions of arrays. An undefined value is None, never 0 and never NaN."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LABEL_THRESHOLD = 0.5  # multi-label: a score of at least this assigns the label
# A float32 probability of 0 would make the loss of one file infinite; this is the smallest step of a float32 below 1.
MIN_PROBABILITY = float(np.finfo(np.float32).eps)
CALIBRATION_BINS = 15
# `descending_thresholds` returns it and `average_precision` takes it.
Thresholds = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def ratio(numerator: float, denominator: float) -> float | None:
    """Divide two numbers; None if the denominator is 0."""
    return float(numerator) / float(denominator) if denominator else None


def mean_over_classes(per_class: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """Average one number over the classes that have files.

    An undefined number counts as 0, such as the precision of a class that was never predicted (scikit-learn's
    `zero_division=0`). If it were omitted, a model that always predicts the same class would have a good mean
    precision.

    Args:
        per_class: a dict per class with "count" and `key`.
        key: name of the number.

    Returns:
        The mean, or None if no class has a file.
    """
    values = [row[key] or 0.0 for row in per_class if row["count"]]
    return float(np.mean(values)) if values else None


def precision_recall_f1(
    true_positives: int, predicted: int, actual: int
) -> tuple[float | None, float | None, float | None]:
    """Compute precision, recall and F1 from counts.

    Args:
        true_positives: files that are predicted to be of the class and are.
        predicted: files that are predicted to be of the class.
        actual: files that are of the class.

    Returns:
        (precision, recall, F1). The precision of a class that was never predicted, the recall of a class without files
        and the F1 of a class with neither are None.
    """
    return (
        ratio(true_positives, predicted),
        ratio(true_positives, actual),
        ratio(2 * true_positives, predicted + actual),
    )


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the pairs of true and predicted class.

    Args:
        truth: int [n], true class indices.
        predicted: int [n], predicted class indices.
        num_classes: number of classes.

    Returns:
        int64 [num_classes, num_classes], the true class down and the predicted class across.
    """
    cells = np.bincount(truth.astype(np.int64) * num_classes + predicted, minlength=num_classes * num_classes)
    return cells.reshape(num_classes, num_classes)


def wrong_pairs(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the pairs of a true class and another, predicted class. Unlike a matrix, it fits for many classes.

    Args:
        truth: int [n], true class indices.
        predicted: int [n], predicted class indices.
        num_classes: number of classes.

    Returns:
        int64 [pairs, 3], true class, predicted class and count of each pair that occurs, the most frequent first.
    """
    wrong = truth != predicted
    cells, counts = np.unique(truth[wrong].astype(np.int64) * num_classes + predicted[wrong], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return np.stack([cells[order] // num_classes, cells[order] % num_classes, counts[order]], axis=1)


def calibration(confidence: np.ndarray, correct: np.ndarray) -> tuple[list[dict[str, Any]], float]:
    """Compare the confidence of predictions with their accuracy (Guo et al. 2017, section 2).

    There are 15 bins (low, high] of equal width. The expected calibration error is the mean over files of
    |accuracy - confidence| of the file's bin.

    Args:
        confidence: float32 [n] in 0..1.
        correct: bool [n], whether each prediction is correct.

    Returns:
        (a dict per bin with low, high, count, confidence and accuracy, where an empty bin has None; the expected
        calibration error).
    """
    bins = CALIBRATION_BINS
    edges = np.linspace(0, 1, bins + 1).astype(np.float32)
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    confidence_sum = np.bincount(index, weights=confidence, minlength=bins)
    correct_sum = np.bincount(index, weights=correct, minlength=bins)
    rows = [
        {
            "low": number / bins,
            "high": (number + 1) / bins,
            "count": int(count[number]),
            "confidence": ratio(confidence_sum[number], count[number]),
            "accuracy": ratio(correct_sum[number], count[number]),
        }
        for number in range(bins)
    ]
    return rows, float(np.abs(correct_sum - confidence_sum).sum() / len(confidence))


def descending_thresholds(scores: np.ndarray, positive: np.ndarray) -> Thresholds:
    """Sort the files of a class in the order in which a descending threshold accepts them.

    Files of equal score are accepted together. A step ends where files with at least one positive are accepted, since
    recall rises only there.

    Args:
        scores: float [n].
        positive: bool [n], at least one is true.

    Returns:
        (indices of the accepted files, where each step starts in them, indices of the positives, where each step
        starts in them), as `average_precision` takes them.
    """
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], positive[order]
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    hits = np.add.reduceat(positive, np.append(0, ends[:-1] + 1), dtype=np.int64)
    ends, hits = ends[hits > 0], hits[hits > 0]
    starts = np.append(0, ends[:-1] + 1)
    return order[: ends[-1] + 1], starts, order[positive], np.append(0, np.cumsum(hits[:-1]))


def average_precision(thresholds: Thresholds, weights: np.ndarray) -> np.ndarray:
    """Compute the area under the staircase of precision over recall: the sum of (R_k - R_k-1) P_k.

    This is scikit-learn's `average_precision_score`.

    Args:
        thresholds: result of `descending_thresholds`.
        weights: int [b, n], how often each file counts, a row per resample.

    Returns:
        float64 [b]; NaN for a resample without a positive.
    """
    files, starts, positives, positive_starts = thresholds
    accepted = np.cumsum(np.add.reduceat(np.take(weights, files, axis=1), starts, axis=1), axis=1)
    steps = np.add.reduceat(np.take(weights, positives, axis=1), positive_starts, axis=1)
    true_positives = np.cumsum(steps, axis=1)
    precision = true_positives / np.maximum(accepted, 1)
    total = np.where(true_positives[:, -1] > 0, true_positives[:, -1], np.nan)
    return np.sum(steps * precision, axis=1) / total


def bootstrap_accuracy(correct: int, count: int, resamples: int, seed: int) -> tuple[float, float]:
    """Compute the 95% bootstrap interval of the accuracy, by the percentiles over resampled files.

    Of `count` files drawn with replacement, the number of correct ones is binomial, so it is drawn directly.

    Args:
        correct: correctly classified files.
        count: all files.
        resamples: number of bootstrap resamples.
        seed: of the random numbers.

    Returns:
        (low, high).
    """
    return _interval(np.random.default_rng(seed).binomial(count, correct / count, resamples) / count)


def error_free_lower_bound(count: int) -> float:
    """Return the accuracy that `count` correct files and no error prove with 95% confidence.

    The probability of no error in `count` files is accuracy ** count; it is 5% at this accuracy.
    """
    return 0.05 ** (1 / count)


def bootstrap_mean_average_precision(
    scores: np.ndarray, positive: np.ndarray, resamples: int, seed: int
) -> tuple[float, float]:
    """Compute the 95% bootstrap interval of the mean average precision, by the percentiles over resampled files.

    A class without positives in a resample is omitted from the mean of that resample.

    Args:
        scores: float32 [n, classes].
        positive: bool [n, classes].
        resamples: number of bootstrap resamples.
        seed: of the random numbers.

    Returns:
        (low, high).
    """
    count = len(scores)
    # An order that depends on the content alone makes the interval independent of the order of the files.
    order = np.lexsort(np.concatenate([scores, positive], axis=1).T)
    scores, positive = scores[order], positive[order]
    thresholds = [descending_thresholds(scores[:, c], positive[:, c]) for c in np.flatnonzero(positive.any(axis=0))]
    generator = np.random.default_rng(seed)
    means = []
    chunk = max(1, 500_000 // count)  # resamples at a time: as much as the cache of a processor holds
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = generator.integers(0, count, (rows, count)) + np.arange(rows)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.int32)
        by_class = np.array([average_precision(each, weights) for each in thresholds])
        defined = ~np.isnan(by_class)
        usable = defined.any(axis=0)
        sums = np.where(defined, by_class, 0.0).sum(axis=0)
        means.append(sums[usable] / defined.sum(axis=0)[usable])
    return _interval(np.concatenate(means))


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
