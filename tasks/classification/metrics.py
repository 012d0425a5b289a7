"""The numbers of classification as pure functions on arrays. Undefined is None, never 0 and never not-a-number."""

import numpy as np

# A float32 probability of 0 would make one file's loss infinite; this is its smallest step below 1.
SMALLEST = float(np.finfo(np.float32).eps)
BINS = 15


def ratio(part, whole):
    """part / whole as a float, or None when whole is 0."""
    return float(part) / float(whole) if whole else None


def mean_over_classes(per_class, key):
    """The mean of `row[key]` over the classes that have files and a value; None where there are none."""
    values = [row[key] for row in per_class if row["count"] and row[key] is not None]
    return float(np.mean(values)) if values else None


def precision_recall_f1(true_positives, predicted, actual):
    """(precision, recall, F1) of counts: right, said to be the class, truly of the class.

    Undefined (None): precision of a class never predicted, recall of one without files, F1 of one with neither.
    """
    return (
        ratio(true_positives, predicted),
        ratio(true_positives, actual),
        ratio(2 * true_positives, predicted + actual),
    )


def confusion_matrix(truth, predicted, classes):
    """Counts int64 `[classes, classes]`, rows the truth and columns the prediction, from int `[n]` and int `[n]`."""
    cells = np.bincount(truth.astype(np.int64) * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


def calibration(confidence, right):
    """How far confidence can be believed: (rows a bin, expected calibration error).

    confidence: float32 `[n]` in 0..1; right: bool `[n]`. 15 bins (low, high] of equal width, as in Guo et al. 2017,
    section 2: the error is the mean over files of |accuracy - confidence| of the file's bin. Empty bins have None.
    """
    edges = np.linspace(0, 1, BINS + 1).astype(np.float32)
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    confidence_sum = np.bincount(bins, weights=confidence, minlength=BINS)
    right_sum = np.bincount(bins, weights=right, minlength=BINS)
    rows = [
        {
            "low": index / BINS,
            "high": (index + 1) / BINS,
            "count": int(count[index]),
            "confidence": ratio(confidence_sum[index], count[index]),
            "accuracy": ratio(right_sum[index], count[index]),
        }
        for index in range(BINS)
    ]
    return rows, float(np.abs(right_sum - confidence_sum).sum() / len(confidence))


def average_precision(scores, positive, weights):
    """Area under the staircase of precision over recall: the sum of (R_k - R_k-1) P_k over falling thresholds.

    This is scikit-learn's `average_precision_score`; files with equal scores pass the threshold together.
    scores: float `[n]`; positive: bool `[n]`; weights: int `[b, n]`, how often each file counts, a row a resample.
    Returns float64 `[b]`, not-a-number where a resample has no positive.
    """
    order = np.argsort(-scores, kind="stable")
    scores, positive, weights = scores[order], positive[order], weights[:, order]
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # the last file of each group of equal scores
    # Only groups with a positive raise the recall, and there are few of them.
    hits = np.add.reduceat(positive, np.append(0, ends[:-1] + 1), dtype=np.int64)
    ends = ends[hits > 0]
    found = np.cumsum(weights * positive, axis=1)[:, ends]
    taken = np.cumsum(weights, axis=1)[:, ends]
    precision = found / np.maximum(taken, 1)
    steps = np.diff(found, axis=1, prepend=0)
    total = found[:, -1] if len(ends) else np.zeros(len(weights))
    with np.errstate(invalid="ignore"):
        return np.sum(steps * precision, axis=1) / np.where(total > 0, total, np.nan)


def bootstrap_accuracy(right, count, resamples, seed):
    """95% interval (low, high) of the share `right` / `count`, by the percentiles of resampled files.

    Of `count` files drawn with replacement a binomial number is right, so that number is drawn directly.
    """
    shares = np.random.default_rng(seed).binomial(count, right / count, resamples) / count
    return _interval(shares)


def bootstrap_mean_average_precision(scores, positive, resamples, seed):
    """95% interval (low, high) of the mean average precision, by the percentiles of resampled files.

    scores: float32 `[n, classes]`; positive: bool `[n, classes]`. A class without positives in a resample is left out
    of that resample's mean.
    """
    count, classes = scores.shape
    # An order that depends on the content alone makes the interval independent of the order of the files.
    order = np.lexsort(np.concatenate([scores, positive], axis=1).T)
    scores, positive = scores[order], positive[order]
    generator = np.random.default_rng(seed)
    means = []
    at_once = max(1, 4_000_000 // count)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = generator.integers(0, count, (rows, count)) + np.arange(rows)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        by_class = [average_precision(scores[:, c], positive[:, c], weights) for c in np.flatnonzero(positive.any(0))]
        by_class = np.array(by_class)
        defined = ~np.isnan(by_class)
        usable = defined.any(axis=0)
        sums = np.where(defined, by_class, 0.0).sum(axis=0)
        means.append(sums[usable] / defined.sum(axis=0)[usable])
    return _interval(np.concatenate(means))


def _interval(values):
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
