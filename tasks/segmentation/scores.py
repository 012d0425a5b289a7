"""How good a segmentation is: everything from confusion matrices, at the original resolution.

Pixel accuracy, mean accuracy, mean IoU and frequency-weighted IoU as in Long et al. 2015 (arXiv 1411.4038, section 5).
"""

import numpy as np

from retinue.data.void_label import VOID
from retinue.tasks.scores import Scores, counted
from retinue.tasks.segmentation.boundaries import boundary_scores
from retinue.tasks.segmentation.truth import read_truth

NAMED = 5  # so many class names fit into a sentence
BATCH = 100  # resamples at a time


class SegmentationEvaluator:
    """Collects predictions and gives `Scores`; the headline is mean IoU.

    classes: the model's class names. bootstrap: resamples of the pictures for the 95% interval, 0 for none; then the
    boundary score, which takes time, is left out, too. seed: of the resampling.
    """

    def __init__(self, classes, bootstrap=2000, seed=0):
        self.classes, self.bootstrap, self.seed = tuple(classes), bootstrap, seed
        self._matrix = np.zeros((len(classes), len(classes)), np.int64)
        self._right, self._true, self._said = [], [], []  # pixels of each class, an array a picture
        self._boundaries = []

    def update(self, predictions, dataset):
        """Add the predictions of all rows of `dataset`, in its order; several calls append.

        predictions: dicts with `mask`, uint8 `[H, W]`, class ids of the original picture. Raises RetinueError for a
        true mask that can't be read.
        """
        for prediction, record in zip(predictions, dataset, strict=True):
            said = np.asarray(prediction["mask"])
            truth = read_truth(dataset, record, self.classes, said.shape)
            matrix = confusion_matrix(truth, said, len(self.classes))
            self._matrix += matrix
            self._right.append(np.diagonal(matrix).copy())
            self._true.append(matrix.sum(axis=1))
            self._said.append(matrix.sum(axis=0))
            if self.bootstrap:
                self._boundaries.append(boundary_scores(truth, said, len(self.classes)))

    def scores(self):
        """The `Scores` of everything that was added."""
        right, true, said = (np.array(rows, np.int64) for rows in (self._right, self._true, self._said))
        numbers, iou = summary(self._matrix)
        boundary = None
        if self._boundaries:
            boundary = _mean_without_nan(np.array(self._boundaries), axis=0)
            numbers["boundary_f"] = _number(_mean_without_nan(boundary))
        there = self._matrix.sum(axis=1) > 0
        per_class = self._per_class(iou, boundary, true)
        interval = self._interval(right, true, said)
        each = picture_iou(right, true, said)
        wrong = np.flatnonzero(each < 1)
        value = numbers["mean_iou"]
        verdict = "There is no pixel to score."
        if value is not None:
            verdict = (
                f"On average over the classes, {value:.1%} of what the model and the truth call by a name lies on each "
                f"other; {numbers['pixel_accuracy']:.1%} of all pixels are right."
            )
        return Scores(
            primary_metric="mean_iou",
            numbers=numbers,
            interval=interval,
            count=len(each),
            per_class=per_class,
            tables={"confusion": self._confusion_rows()},
            worst=[int(row) for row in wrong[np.argsort(each[wrong], kind="stable")]],
            verdict=verdict,
            notes=self._notes(there, len(each)),
            worst_classes=_worst_classes(per_class),
        )

    def _per_class(self, iou, boundary, true):
        matrix, rows = self._matrix, []
        for index, name in enumerate(self.classes):
            right, of_class, called = matrix[index, index], matrix[index].sum(), matrix[:, index].sum()
            rows.append(
                {
                    "class": name,
                    "count": int((true[:, index] > 0).sum()) if len(true) else 0,
                    "iou": _number(iou[index]),
                    "precision": _share(right, called) if called else (0.0 if of_class else None),
                    "recall": _share(right, of_class),
                    "f1": _share(2 * right, of_class + called) if of_class else None,
                    "boundary_f": None if boundary is None else _number(boundary[index]),
                    "share_of_pixels": _share(of_class, matrix.sum()),
                }
            )
        return rows

    def _confusion_rows(self):
        return [
            {"truth/predicted": name} | dict(zip(self.classes, row.tolist(), strict=True))
            for name, row in zip(self.classes, self._matrix, strict=True)
        ]

    def _interval(self, right, true, said):
        """2.5% and 97.5% of the mean IoU over resampled pictures."""
        if not self.bootstrap or len(right) < 2:
            return None
        random, means = np.random.default_rng(self.seed), []
        for first in range(0, self.bootstrap, BATCH):
            draws = min(BATCH, self.bootstrap - first)
            times = random.multinomial(len(right), np.full(len(right), 1 / len(right)), draws)
            hit, of_class, called = times @ right, times @ true, times @ said
            means.append(_mean_without_nan(_iou(hit, of_class, called), axis=1))
        low, high = np.nanquantile(np.concatenate(means), (0.025, 0.975))
        return float(low), float(high)

    def _notes(self, there, count):
        notes = []
        missing = [name for name, is_there in zip(self.classes, there, strict=True) if not is_there]
        if missing:
            names = ", ".join(missing[:NAMED]) + (f" and {len(missing) - NAMED} more" if len(missing) > NAMED else "")
            noun = "class has" if len(missing) == 1 else "classes have"
            notes.append(
                f"{len(missing)} {noun} no pixel in the truth ({names}); the means over classes leave them out."
            )
        if count < 10:
            notes.append(f"The interval resamples {counted(count, 'picture')}; so few say little.")
        return notes


def confusion_matrix(truth, said, classes):
    """int64 `[classes, classes]`, pixels of true class i that are called j; void, 255 in truth, is left out."""
    known = truth != VOID
    pairs = truth[known].astype(np.int64) * classes + said[known]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def summary(matrix):
    """(the four numbers by name, IoU a class float `[classes]`, NaN for classes that have no true pixel).

    Means over classes leave those out; pixels wrongly called by their name count against the others.
    """
    right, true, said = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    iou, total = _iou(right, true, said), matrix.sum()
    with np.errstate(invalid="ignore"):
        accuracy = right / np.where(true > 0, true, np.nan)
    numbers = {
        "mean_iou": _number(_mean_without_nan(iou)),
        "pixel_accuracy": _share(right.sum(), total),
        "mean_accuracy": _number(_mean_without_nan(accuracy)),
        "frequency_weighted_iou": _number(np.nansum(iou * true) / total) if total else None,
    }
    return numbers, iou


def picture_iou(right, true, said):
    """The mean IoU of each picture over the classes in its truth or its prediction: float `[n]`; 1 without any."""
    union = true + said - right
    with np.errstate(invalid="ignore"):
        iou = right / np.where(union > 0, union, np.nan)
    return np.nan_to_num(_mean_without_nan(iou, axis=-1), nan=1.0) if len(right) else np.zeros(0)


def _iou(right, true, said):
    with np.errstate(invalid="ignore"):
        return np.where(true > 0, right / np.where(true > 0, true + said - right, 1), np.nan)


def _mean_without_nan(values, axis=None):
    there = ~np.isnan(values)
    count = there.sum(axis=axis)
    return np.where(count > 0, np.where(there, values, 0).sum(axis=axis) / np.maximum(count, 1), np.nan)


def _share(part, whole):
    return float(part / whole) if whole else None


def _number(value):
    return None if np.isnan(value) else float(value)


def _worst_classes(per_class, most=3):
    """The classes with the lowest IoU, a line each."""
    rows = sorted((row for row in per_class if row["iou"] is not None), key=lambda row: row["iou"])[:most]
    width = max((len(row["class"]) for row in rows), default=0)
    return [
        f"  {row['class']:<{width}}  IoU {row['iou']:.2f}, {row['recall']:.0%} of its pixels found, "
        f"{row['precision']:.0%} right where said"
        for row in rows
    ]
