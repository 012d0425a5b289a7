"""The numbers of classification as pure functions on arrays. Undefined is None, never 0 and never not-a-number."""

import numpy as np

# A float32 probability of 0 would make one file's loss infinite; this is its smallest step below 1.
SMALLEST = float(np.finfo(np.float32).eps)
BINS = 15


def ratio(part, whole):
    """part / whole as a float, or None when whole is 0."""
    return float(part) / float(whole) if whole else None


def mean_over_classes(per_class, key):
    """The mean of `row[key]` over the classes that have files; None where there are none.

    Undefined counts as 0: the precision of a class that was never predicted (scikit-learn's `zero_division=0`). Left
    out, a model that always gives the same answer would have a good mean precision.
    """
    values = [row[key] or 0.0 for row in per_class if row["count"]]
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


def falling_thresholds(scores, positive):
    """The order in which a falling threshold takes the files of a class, for `average_precision`.

    scores: float `[n]`; positive: bool `[n]`, at least one true. Files of equal score are taken together; a step ends
    where files with a positive among them are taken, since recall rises only there.
    Returns (rows of the files taken, where each step starts in them, rows of the positives, where each step starts).
    """
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], positive[order]
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    hits = np.add.reduceat(positive, np.append(0, ends[:-1] + 1), dtype=np.int64)
    ends, hits = ends[hits > 0], hits[hits > 0]
    starts = np.append(0, ends[:-1] + 1)
    return order[: ends[-1] + 1], starts, order[positive], np.append(0, np.cumsum(hits[:-1]))


def average_precision(thresholds, weights):
    """Area under the staircase of precision over recall: the sum of (R_k - R_k-1) P_k over falling thresholds.

    This is scikit-learn's `average_precision_score`. thresholds: of `falling_thresholds`. weights: int `[b, n]`, how
    often each file counts, a row a resample. Returns float64 `[b]`, not-a-number where a resample has no positive.
    """
    files, starts, positives, positive_starts = thresholds
    taken = np.cumsum(np.add.reduceat(np.take(weights, files, axis=1), starts, axis=1), axis=1)
    steps = np.add.reduceat(np.take(weights, positives, axis=1), positive_starts, axis=1)
    found = np.cumsum(steps, axis=1)
    precision = found / np.maximum(taken, 1)
    return np.sum(steps * precision, axis=1) / np.where(found[:, -1] > 0, found[:, -1], np.nan)


def bootstrap_accuracy(right, count, resamples, seed):
    """95% interval (low, high) of the share `right` / `count`, by the percentiles of resampled files.

    Of `count` files drawn with replacement a binomial number is right, so that number is drawn directly.
    """
    shares = np.random.default_rng(seed).binomial(count, right / count, resamples) / count
    return _interval(shares)


def least_share(count):
    """The share of right files that `count` right ones and no wrong one prove with 95% confidence.

    The chance of no mistake in `count` files is share ** count; it is 5% at this share.
    """
    return 0.05 ** (1 / count)


def bootstrap_mean_average_precision(scores, positive, resamples, seed):
    """95% interval (low, high) of the mean average precision, by the percentiles of resampled files.

    scores: float32 `[n, classes]`; positive: bool `[n, classes]`. A class without positives in a resample is left out
    of that resample's mean.
    """
    count, classes = scores.shape
    # An order that depends on the content alone makes the interval independent of the order of the files.
    order = np.lexsort(np.concatenate([scores, positive], axis=1).T)
    scores, positive = scores[order], positive[order]
    thresholds = [falling_thresholds(scores[:, c], positive[:, c]) for c in np.flatnonzero(positive.any(axis=0))]
    generator = np.random.default_rng(seed)
    means = []
    at_once = max(1, 500_000 // count)  # as much as a processor's cache holds
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = generator.integers(0, count, (rows, count)) + np.arange(rows)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.int32)
        by_class = np.array([average_precision(each, weights) for each in thresholds])
        defined = ~np.isnan(by_class)
        usable = defined.any(axis=0)
        sums = np.where(defined, by_class, 0.0).sum(axis=0)
        means.append(sums[usable] / defined.sum(axis=0)[usable])
    return _interval(np.concatenate(means))


def _interval(values):
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
