"""Scores a classifier: `ClassificationEvaluator` collects predictions and computes `Scores`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.tasks.class_tables import confusion_rows, model_class_indices, quoted_names, worst_class_lines
from retinue.tasks.classification import metrics
from retinue.tasks.scores import Scores, counted

MAX_CLASSES_OF_MATRIX = 1000  # with more there is a table of the confused pairs: the matrix would take gigabytes


class ClassificationEvaluator:
    """Scores one label per file (primary metric: accuracy) or several (primary metric: mean average precision)."""

    def __init__(
        self,
        classes: Sequence[str],
        multi_label: bool = False,
        bootstrap_samples: int = 2000,
        seed: int = 0,
        threshold: float = metrics.LABEL_THRESHOLD,
    ) -> None:
        """Start with no predictions.

        Args:
            classes: class names of the model.
            multi_label: whether a file may have several labels.
            bootstrap_samples: resamples of the files for the 95% interval; 0 for no interval.
            seed: of the resampling.
            threshold: multi-label: a score of at least this assigns the label.
        """
        self.classes = tuple(classes)
        self.multi_label = multi_label
        self.bootstrap_samples = bootstrap_samples
        self.seed = seed
        self.threshold = threshold
        self._batches: list[tuple[np.ndarray, ...]] = []

    def update(self, predictions: Sequence[Mapping[str, Any]], dataset: Dataset) -> None:
        """Add the predictions of all rows of a dataset; several calls append.

        Args:
            predictions: dicts with `scores`, float32 [classes], in the order of the dataset.
            dataset: the labels, which are matched to the model's classes by name.

        Raises:
            RetinueError: the dataset has a class that the model does not know, or a score is not a finite number.
        """
        if len(predictions) != len(dataset):
            raise ValueError(f"{len(predictions)} predictions for {len(dataset)} files")
        if not len(dataset):
            return
        scores = np.stack([np.asarray(prediction["scores"], np.float32) for prediction in predictions])
        if scores.shape[1] != len(self.classes):
            raise ValueError(f"predictions have {scores.shape[1]} scores for {len(self.classes)} classes")
        invalid = ~np.isfinite(scores).all(axis=1)
        if invalid.any():
            raise RetinueError(
                f"{dataset.files[np.flatnonzero(invalid)[0]]}: the model's scores are not numbers ({invalid.sum()} of "
                f"{len(dataset)} files). The training has diverged; train again with a lower learning rate"
            )
        class_indices = model_class_indices(dataset, self.classes)
        if self.multi_label:
            labels = dataset.columns["labels"]
            positive = np.zeros(scores.shape, bool)
            positive[labels.value_rowids(), class_indices[labels.values]] = True
            self._batches.append((scores, positive))
        else:
            self._batches.append(_single_label_columns(scores, class_indices[dataset.columns["label"]]))

    def scores(self) -> Scores:
        """Compute the `Scores` of all predictions that were added.

        Raises:
            RetinueError: no prediction was added, or no file of a multi-label dataset has a label.
        """
        if not self._batches:
            raise RetinueError("there are no files to score; is the split empty?")
        columns = [np.concatenate(arrays) for arrays in zip(*self._batches, strict=True)]
        return self._multi_label_scores(*columns) if self.multi_label else self._single_label_scores(*columns)

    def _single_label_scores(
        self,
        truth: np.ndarray,
        predicted: np.ndarray,
        rank: np.ndarray,
        confidence: np.ndarray,
        truth_score: np.ndarray,
    ) -> Scores:
        count, num_classes = len(truth), len(self.classes)
        correct = predicted == truth
        loss = -np.log(np.maximum(truth_score.astype(np.float64), metrics.MIN_PROBABILITY))
        files = np.bincount(truth, minlength=num_classes)
        pairs = metrics.wrong_pairs(truth, predicted, num_classes)
        calibration, calibration_error = metrics.calibration(confidence, correct)
        per_class = self._single_label_rows(truth, predicted, confidence, pairs)
        recall = metrics.mean_over_classes(per_class, "recall")
        numbers: dict[str, float | None] = {"accuracy": float(correct.mean())}
        if num_classes > 5:
            numbers["top5"] = float((rank < 5).mean())
        numbers |= {
            "balanced_accuracy": recall,
            "macro_precision": metrics.mean_over_classes(per_class, "precision"),
            "macro_recall": recall,
            "macro_f1": metrics.mean_over_classes(per_class, "f1"),
            "log_loss": float(loss.mean()),
            "calibration_error": calibration_error,
        }
        interval = None
        if self.bootstrap_samples:
            interval = metrics.bootstrap_accuracy(int(correct.sum()), count, self.bootstrap_samples, self.seed)
        wrong_rows = np.flatnonzero(~correct)
        largest = int(files.argmax())
        verdict = f"Correct on {correct.sum():,} of {counted(count, 'file')}."
        if files[largest] < count:
            baseline = files[largest] / count
            verdict += f" Always predicting “{self.classes[largest]}” would be correct on {baseline:.1%}."
        notes = _missing_class_notes(self.classes, files)
        if interval and correct.all():
            claim = "the model classifies at least {} of such files correctly"
            bound = metrics.error_free_lower_bound(count)
            notes.append(_zero_width_note("The model made no error", claim, bound, count))
        elif interval and not correct.any():
            claim = "the model classifies at most {} of such files correctly"
            bound = 1 - metrics.error_free_lower_bound(count)
            notes.append(_zero_width_note("The model made no correct prediction", claim, bound, count))
        return Scores(
            primary_metric="accuracy",
            metrics=numbers,
            interval=interval,
            count=count,
            per_class=per_class,
            tables=self._confusion_table(truth, predicted, files, pairs) | {"calibration": calibration},
            worst=[int(row) for row in wrong_rows[np.argsort(-loss[wrong_rows], kind="stable")]],
            verdict=verdict,
            notes=notes,
            worst_classes=worst_class_lines(per_class, "f1", "F1"),
        )

    def _confusion_table(
        self, truth: np.ndarray, predicted: np.ndarray, files: np.ndarray, pairs: np.ndarray
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the confusion matrix, or for too many classes the pairs in it that are wrong, by the table's name."""
        num_classes = len(self.classes)
        if num_classes <= MAX_CLASSES_OF_MATRIX:
            matrix = metrics.confusion_matrix(truth, predicted, num_classes)
            return {"confusion": confusion_rows(self.classes, matrix)}
        rows = [
            {
                "truth": self.classes[true_class],
                "predicted": self.classes[predicted_class],
                "count": number,
                "fraction": number / int(files[true_class]),
            }
            for true_class, predicted_class, number in pairs.tolist()
        ]
        return {"confused_pairs": rows}

    def _single_label_rows(
        self, truth: np.ndarray, predicted: np.ndarray, confidence: np.ndarray, pairs: np.ndarray
    ) -> list[dict[str, Any]]:
        """Return the rows of `per_class.csv`. The arguments are those of `_single_label_scores` and `wrong_pairs`."""
        num_classes = len(self.classes)
        files_of, predicted_as, correct = (
            np.bincount(labels, minlength=num_classes).tolist()
            for labels in (truth, predicted, truth[truth == predicted])
        )
        confidence_sum = np.bincount(truth, weights=confidence, minlength=num_classes)
        most_confused: dict[int, str] = {}
        for true_class, predicted_class, _ in pairs.tolist():
            most_confused.setdefault(true_class, self.classes[predicted_class])
        rows = []
        for index, name in enumerate(self.classes):
            precision, recall, f1 = metrics.precision_recall_f1(correct[index], predicted_as[index], files_of[index])
            rows.append(
                {
                    "class": name,
                    "count": files_of[index],
                    "predicted": predicted_as[index],
                    "precision": precision,
                    "recall": recall,
                    "f1": f1,
                    "confidence": metrics.ratio(confidence_sum[index], files_of[index]),
                    "most_confused_with": most_confused.get(index),
                }
            )
        return rows

    def _multi_label_scores(self, scores: np.ndarray, positive: np.ndarray) -> Scores:
        predicted = scores >= self.threshold
        wrong = predicted != positive
        probability = np.where(positive, scores, 1 - scores).astype(np.float64)
        loss = -np.log(np.maximum(probability, metrics.MIN_PROBABILITY))
        calibration, calibration_error = metrics.calibration(scores.ravel(), positive.ravel())
        per_class = self._multi_label_rows(scores, predicted, positive)
        micro = metrics.precision_recall_f1((predicted & positive).sum(), predicted.sum(), positive.sum())
        numbers = {
            "mean_average_precision": metrics.mean_over_classes(per_class, "average_precision"),
            "micro_precision": micro[0],
            "micro_recall": micro[1],
            "micro_f1": micro[2],
            "macro_f1": metrics.mean_over_classes(per_class, "f1"),
            "exact_match": float((~wrong.any(axis=1)).mean()),
            "log_loss": float(loss.mean()),
            "calibration_error": calibration_error,
            "threshold": self.threshold,
        }
        if numbers["mean_average_precision"] is None:
            raise RetinueError("no scored file has a label, so there is nothing to score; is the split the right one?")
        interval = None
        if self.bootstrap_samples:
            interval = metrics.bootstrap_mean_average_precision(scores, positive, self.bootstrap_samples, self.seed)
        notes = _missing_class_notes(self.classes, positive.sum(axis=0))
        if interval and numbers["mean_average_precision"] == 1:
            observed = "Every file that has a label is ranked before every file without it"
            bound = metrics.error_free_lower_bound(len(scores))
            notes.append(
                _zero_width_note(observed, "at least {} of such files are ranked correctly", bound, len(scores))
            )
        file_loss = loss.sum(axis=1)
        wrong_rows = np.flatnonzero(wrong.any(axis=1))
        precision = (
            "The model predicts no label" if micro[0] is None else f"{micro[0]:.1%} of the predicted labels are correct"
        )
        return Scores(
            primary_metric="mean_average_precision",
            metrics=numbers,
            interval=interval,
            count=len(scores),
            per_class=per_class,
            tables={"calibration": calibration},
            worst=[int(row) for row in wrong_rows[np.argsort(-file_loss[wrong_rows], kind="stable")]],
            verdict=f"{precision}, and {micro[1]:.1%} of the true labels are predicted; all labels are correct for "
            f"{numbers['exact_match']:.1%} of {counted(len(scores), 'file')}.",
            notes=notes,
            worst_classes=worst_class_lines(per_class, "f1", "F1"),
        )

    def _multi_label_rows(
        self, scores: np.ndarray, predicted: np.ndarray, positive: np.ndarray
    ) -> list[dict[str, Any]]:
        """Return the rows of `per_class.csv`."""
        each_once = np.ones((1, len(scores)), np.int64)
        rows = []
        for index, name in enumerate(self.classes):
            files = int(positive[:, index].sum())
            true_positives = (predicted & positive)[:, index].sum()
            precision, recall, f1 = metrics.precision_recall_f1(true_positives, predicted[:, index].sum(), files)
            area = None
            if files:
                thresholds = metrics.descending_thresholds(scores[:, index], positive[:, index])
                area = float(metrics.average_precision(thresholds, each_once)[0])
            rows.append(
                {
                    "class": name,
                    "count": files,
                    "predicted": int(predicted[:, index].sum()),
                    "average_precision": area,
                    "precision": precision,
                    "recall": recall,
                    "f1": f1,
                    "confidence": metrics.ratio(scores[positive[:, index], index].sum(dtype=np.float64), files),
                }
            )
        return rows


def _single_label_columns(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, ...]:
    """Reduce scores [n, classes] and true classes [n] to what the metrics need.

    Equal scores rank in the order of the classes, as argmax does, so that a prediction is correct exactly if the rank
    of the truth is 0.

    Returns:
        (truth, predicted, rank of the truth, confidence, score of the truth), each [n].
    """
    predicted = scores.argmax(axis=1)
    rows = np.arange(len(scores))
    truth_score = scores[rows, truth]
    before = np.arange(scores.shape[1]) < truth[:, None]
    rank = (scores > truth_score[:, None]).sum(axis=1) + ((scores == truth_score[:, None]) & before).sum(axis=1)
    integers = [column.astype(np.int32) for column in (truth, predicted, rank)]
    return *integers, scores[rows, predicted], truth_score


def _missing_class_notes(classes: Sequence[str], counts: np.ndarray) -> list[str]:
    missing = [name for name, count in zip(classes, counts, strict=True) if not count]
    if not missing:
        return []
    if len(missing) == 1:
        return [f"The class {quoted_names(missing)} has no scored file; the means over classes omit it."]
    return [f"{len(missing)} classes have no scored file ({quoted_names(missing)}); the means over classes omit them."]


def _zero_width_note(observed: str, claim: str, bound: float, count: int) -> str:
    return (
        f"{observed}, so the bootstrap interval has zero width; {counted(count, 'file')} prove with 95% confidence "
        f"only that {claim.format(f'{bound:.1%}')}."
    )
