"""Scores a segmentation model at the original resolution, from confusion matrices.

Pixel accuracy, mean accuracy, mean IoU and frequency-weighted IoU as in Long et al. 2015 (arXiv 1411.4038, section 5).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retinue.data.dataset import Dataset
from retinue.data.void_label import VOID
from retinue.tasks.class_tables import confusion_rows, quoted_names, worst_class_lines
from retinue.tasks.scores import Scores, counted
from retinue.tasks.segmentation.boundaries import boundary_scores
from retinue.tasks.segmentation.ground_truth import read_ground_truth

RESAMPLES_PER_STEP = 100
FEW_IMAGES = 10  # below this number of images a note warns that the interval is unreliable


class SegmentationEvaluator:
    """Collects predictions and computes `Scores`; the primary metric is mean IoU."""

    def __init__(
        self, classes: Sequence[str], bootstrap_samples: int = 2000, seed: int = 0, resize_masks: bool = False
    ) -> None:
        """Start with no predictions.

        Args:
            classes: class names of the model.
            bootstrap_samples: resamples of the images for the 95% interval. With 0 there is no interval, and no
                boundary score either, since that takes time.
            seed: of the resampling.
            resize_masks: whether a true mask of another size is resized, as segmentation.resize_masks.
        """
        self.classes, self.bootstrap_samples, self.seed = tuple(classes), bootstrap_samples, seed
        self._resize_masks = resize_masks
        self._matrix = np.zeros((len(classes), len(classes)), np.int64)
        # Pixels of each class, an int64 [classes] per image.
        self._correct: list[np.ndarray] = []
        self._actual: list[np.ndarray] = []
        self._predicted: list[np.ndarray] = []
        self._boundaries: list[np.ndarray] = []

    def update(self, predictions: Sequence[Mapping[str, Any]], dataset: Dataset) -> None:
        """Add the predictions of all rows of a dataset, in its order; several calls append.

        Args:
            predictions: dicts with `mask`, uint8 [H, W], class ids at the size of the original image.
            dataset: the true masks, whose classes are matched to the model's by name.

        Raises:
            RetinueError: a true mask can't be read, or a prediction has another size than its image.
        """
        for prediction, record in zip(predictions, dataset, strict=True):
            predicted = np.asarray(prediction["mask"])
            truth = read_ground_truth(dataset, record, self.classes, predicted.shape, self._resize_masks)
            matrix = confusion_matrix(truth, predicted, len(self.classes))
            self._matrix += matrix
            self._correct.append(np.diagonal(matrix).copy())
            self._actual.append(matrix.sum(axis=1))
            self._predicted.append(matrix.sum(axis=0))
            if self.bootstrap_samples:
                self._boundaries.append(boundary_scores(truth, predicted, len(self.classes)))

    def scores(self) -> Scores:
        """Compute the `Scores` of all predictions that were added."""
        correct, actual, predicted = (
            np.array(rows, np.int64) for rows in (self._correct, self._actual, self._predicted)
        )
        numbers, iou = summarize(self._matrix)
        boundary = None
        if self._boundaries:
            boundary = _mean_without_nan(np.array(self._boundaries), axis=0)
            numbers["boundary_f"] = _none_if_nan(_mean_without_nan(boundary))
        per_class = self._per_class(iou, boundary, actual)
        image_iou = mean_iou_per_image(correct, actual, predicted)
        wrong = np.flatnonzero(image_iou < 1)
        value = numbers["mean_iou"]
        verdict = "There is no pixel to score."
        if value is not None:
            verdict = (
                f"The predicted and the true region of a class have a mean IoU of {value:.1%} over the classes; "
                f"{numbers['pixel_accuracy']:.1%} of all pixels are correct."
            )
        return Scores(
            primary_metric="mean_iou",
            metrics=numbers,
            interval=self._interval(correct, actual, predicted),
            count=len(image_iou),
            per_class=per_class,
            tables={"confusion": confusion_rows(self.classes, self._matrix)},
            worst=[int(row) for row in wrong[np.argsort(image_iou[wrong], kind="stable")]],
            verdict=verdict,
            notes=self._notes(len(image_iou)),
            worst_classes=worst_class_lines(per_class, "iou", "IoU"),
        )

    def _per_class(self, iou: np.ndarray, boundary: np.ndarray | None, actual: np.ndarray) -> list[dict[str, Any]]:
        """Return the rows of `per_class.csv`; actual: int64 [images, classes], true pixels."""
        matrix, rows = self._matrix, []
        for index, name in enumerate(self.classes):
            true_positives = matrix[index, index]
            actual_pixels, predicted_pixels = matrix[index].sum(), matrix[:, index].sum()
            precision = _ratio(true_positives, predicted_pixels)
            if not predicted_pixels and actual_pixels:
                precision = 0.0
            rows.append(
                {
                    "class": name,
                    "count": int((actual[:, index] > 0).sum()) if len(actual) else 0,
                    "iou": _none_if_nan(iou[index]),
                    "precision": precision,
                    "recall": _ratio(true_positives, actual_pixels),
                    "f1": _ratio(2 * true_positives, actual_pixels + predicted_pixels) if actual_pixels else None,
                    "boundary_f": None if boundary is None else _none_if_nan(boundary[index]),
                    "pixel_fraction": _ratio(actual_pixels, matrix.sum()),
                }
            )
        return rows

    def _interval(self, correct: np.ndarray, actual: np.ndarray, predicted: np.ndarray) -> tuple[float, float] | None:
        """Return the 2.5% and 97.5% quantile of the mean IoU over resampled images; None for fewer than two images."""
        count = len(correct)
        if not self.bootstrap_samples or count < 2:
            return None
        random, means = np.random.default_rng(self.seed), []
        for first in range(0, self.bootstrap_samples, RESAMPLES_PER_STEP):
            resamples = min(RESAMPLES_PER_STEP, self.bootstrap_samples - first)
            weights = random.multinomial(count, np.full(count, 1 / count), resamples)
            iou = _class_iou(weights @ correct, weights @ actual, weights @ predicted)
            means.append(_mean_without_nan(iou, axis=1))
        low, high = np.nanquantile(np.concatenate(means), (0.025, 0.975))
        return float(low), float(high)

    def _notes(self, count: int) -> list[str]:
        notes = []
        missing = [name for name, pixels in zip(self.classes, self._matrix.sum(axis=1), strict=True) if not pixels]
        if missing:
            noun = "class has" if len(missing) == 1 else "classes have"
            notes.append(
                f"{len(missing)} {noun} no pixel in the true masks ({quoted_names(missing)}); the means over classes "
                f"omit {'it' if len(missing) == 1 else 'them'}."
            )
        if count < FEW_IMAGES:
            notes.append(f"The interval resamples only {counted(count, 'image')}, which makes it unreliable.")
        return notes


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the pixels of each pair of true and predicted class.

    Args:
        truth: uint8, true class ids; void pixels (255) are ignored.
        predicted: uint8 of the same shape, predicted class ids.
        num_classes: number of classes.

    Returns:
        int64 [num_classes, num_classes], the true class down and the predicted class across.
    """
    valid = truth != VOID
    pairs = truth[valid].astype(np.int64) * num_classes + predicted[valid]
    return np.bincount(pairs, minlength=num_classes * num_classes).reshape(num_classes, num_classes)


def summarize(matrix: np.ndarray) -> tuple[dict[str, float | None], np.ndarray]:
    """Compute the four metrics of Long et al.

    Means over classes omit the classes without true pixels; pixels that are wrongly predicted to be of such a class
    still count as errors of the others.

    Args:
        matrix: int64 [classes, classes], of `confusion_matrix`.

    Returns:
        (mean_iou, pixel_accuracy, mean_accuracy and frequency_weighted_iou by name, the IoU of each class: float
        [classes], NaN for a class without true pixels).
    """
    correct, actual, predicted = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    iou, total = _class_iou(correct, actual, predicted), matrix.sum()
    with np.errstate(invalid="ignore"):
        accuracy = correct / np.where(actual > 0, actual, np.nan)
    numbers = {
        "mean_iou": _none_if_nan(_mean_without_nan(iou)),
        "pixel_accuracy": _ratio(correct.sum(), total),
        "mean_accuracy": _none_if_nan(_mean_without_nan(accuracy)),
        "frequency_weighted_iou": _none_if_nan(np.nansum(iou * actual) / total) if total else None,
    }
    return numbers, iou


def mean_iou_per_image(correct: np.ndarray, actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Compute the mean IoU of each image over the classes in its true or its predicted mask.

    Args:
        correct: int64 [images, classes], correct pixels.
        actual: int64 [images, classes], true pixels.
        predicted: int64 [images, classes], predicted pixels.

    Returns:
        float [images]; 1 for an image without any class.
    """
    union = actual + predicted - correct
    with np.errstate(invalid="ignore"):
        iou = correct / np.where(union > 0, union, np.nan)
    return np.nan_to_num(_mean_without_nan(iou, axis=-1), nan=1.0) if len(correct) else np.zeros(0)


def _class_iou(correct: np.ndarray, actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the IoU of each class; NaN without true pixels."""
    with np.errstate(invalid="ignore"):
        return np.where(actual > 0, correct / np.where(actual > 0, actual + predicted - correct, 1), np.nan)


def _mean_without_nan(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return the mean over the values that are not NaN; NaN if there are none."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=axis)
    total = np.where(defined, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _ratio(numerator: float, denominator: float) -> float | None:
    return float(numerator / denominator) if denominator else None


def _none_if_nan(value: float | np.ndarray) -> float | None:
    return None if np.isnan(value) else float(value)
