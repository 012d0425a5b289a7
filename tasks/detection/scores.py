"""Metrics of detection: `DetectionEvaluator` collects predictions and computes `Scores`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.tasks.class_tables import model_class_indices, quoted_names, worst_class_lines
from retinue.tasks.detection.average_precision import voc_average_precisions
from retinue.tasks.detection.coco_scores import RECALLS, CocoScores, Matches, bootstrap_ap, coco_scores
from retinue.tasks.detection.error_summary import FALSE_POSITIVE, assign_detections, false_negatives
from retinue.tasks.detection.proposal_recall import proposal_recall
from retinue.tasks.scores import Scores, counted

# The last column and the last row of the confusion matrix.
FALSE_NEGATIVES, FALSE_POSITIVES = "false negative", "false positive"
MAX_CURVES = 10  # with more classes, the precision-recall table has no column for each of them
MONITORED_METRICS = ("ap50", "proposal_recall_100")  # recorded after every epoch
DEFAULT_THRESHOLD = 0.5  # if no detection is right, so that no score is the best


class DetectionEvaluator:
    """Computes COCO's metrics, VOC's, and counts of errors at the score with the best F1.

    The primary metric is COCO's AP over the IoUs 0.5 to 0.95. COCO's metrics treat difficult objects like all others
    and ignore crowds. VOC's metrics and the counts ignore both.
    """

    def __init__(self, classes: Sequence[str], bootstrap_samples: int = 2000, seed: int = 0) -> None:
        """Initialize the evaluator.

        Args:
            classes: the model's class names.
            bootstrap_samples: resamples of the images for the 95% confidence interval. 0 for no interval.
            seed: seed of the resampling.
        """
        self.classes = tuple(classes)
        self.bootstrap_samples = bootstrap_samples
        self.seed = seed
        self._truths: list[dict[str, np.ndarray]] = []
        self._predictions: list[dict[str, np.ndarray]] = []
        self._proposals: list[np.ndarray] = []

    def update(self, predictions: Sequence[Mapping[str, Any]], dataset: Dataset) -> None:
        """Add the predictions of all records of `dataset`, in its order. Further calls append.

        Args:
            predictions: dicts with boxes float32 `[m, 4]` (x1, y1, x2, y2 in pixels of the image), scores float32
                `[m]`, labels int `[m]` and, if the proposals are to be scored, proposals float32 `[r, 4]`.
            dataset: the records with their annotations. Its classes are matched to the model's by name.

        Raises:
            RetinueError: an object has a class that the model does not know, or a box or score is not finite.
        """
        if len(predictions) != len(dataset):
            raise ValueError(f"there are {len(predictions)} predictions for {len(dataset)} files")
        model_labels = model_class_indices(dataset, self.classes, ignore_unused=True)
        for record, prediction in zip(dataset, predictions, strict=True):
            boxes = np.asarray(prediction["boxes"], np.float64).reshape(-1, 4)
            scores = np.asarray(prediction["scores"], np.float64)
            if not np.isfinite(boxes).all() or not np.isfinite(scores).all():
                raise RetinueError(
                    f"{record['file']}: the model predicts boxes or scores that are not finite numbers, because its "
                    "training has diverged; train again with a lower learning rate"
                )
            labels = np.asarray(prediction["labels"], np.int64)
            self._predictions.append({"boxes": boxes, "scores": scores, "labels": labels})
            if "proposals" in prediction:
                self._proposals.append(prediction["proposals"])
            self._truths.append(truth_of_record(record, model_labels))

    def scores(self) -> Scores:
        """Compute the scores of everything that was added.

        Raises:
            RetinueError: there is no annotated object.
        """
        object_counts = self._object_counts()
        if not object_counts.sum():
            raise RetinueError(
                f"there is no score, because there is no annotated object in the "
                f"{counted(len(self._truths), 'file')} to score; check that this is the right split"
            )
        coco = coco_scores(self._truths, self._predictions, len(self.classes))
        voc2007, voc2010 = voc_average_precisions(self._truths, self._predictions, len(self.classes))
        threshold = best_threshold(coco.matches)
        matrix, mistakes = self._confusion_matrix(threshold)
        per_class = self._per_class(coco, matrix)
        numbers: dict[str, Any] = coco.metrics | {"voc07_ap50": _mean(voc2007), "voc10_ap50": _mean(voc2010)}
        numbers |= self._counts(matrix) | {"best_threshold": threshold}
        tables = {"precision_recall": self._curves(coco), "confusion": self._confusion_rows(matrix)}
        if self._proposals:
            tables["proposal_recall"] = proposal_recall(self._proposals, self._truths)
            numbers |= {f"proposal_recall_{row['proposals']}": row["recall"] for row in tables["proposal_recall"]}
        interval, notes = None, self._notes(object_counts)
        if self.bootstrap_samples:
            low, high, resamples = bootstrap_ap(coco.matches, self.bootstrap_samples, self.seed)
            interval = (low, high)
            if resamples < self.bootstrap_samples:
                notes.append(f"The interval is based on {resamples} resamples, to save time with so many detections.")
        order = np.lexsort((-mistakes[:, 1], -mistakes[:, 0]))
        return Scores(
            primary_metric="ap",
            metrics=numbers,
            interval=interval,
            count=len(self._truths),
            per_class=per_class,
            tables=tables,
            worst=[int(row) for row in order if mistakes[row, 0]],
            verdict=_verdict(matrix, threshold),
            notes=notes,
            worst_classes=worst_class_lines(per_class, "ap", "AP") if len(per_class) > 1 else [],
            monitored_metrics=MONITORED_METRICS if self._proposals else MONITORED_METRICS[:1],
        )

    def _object_counts(self) -> np.ndarray:
        """Count the objects of each class that COCO counts, int64 `[classes]`."""
        counts = np.zeros(len(self.classes), np.int64)
        for truth in self._truths:
            counts += np.bincount(truth["labels"][~truth["crowd"]], minlength=len(self.classes))
        return counts

    def _confusion_matrix(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Count which class was predicted for which, of the detections that score `threshold` or more.

        Returns:
            int64 `[classes + 1, classes + 1]`, one row for each true class (the last row has the false positives) and
            one column for each predicted class (the last column has the false negatives); and float64 `[n, 2]`, the
            number of mistakes in each image and the sum of the scores of its false positives.
        """
        classes = len(self.classes)
        matrix, mistakes = np.zeros((classes + 1, classes + 1), np.int64), np.zeros((len(self._truths), 2))
        for row, (truth, prediction) in enumerate(zip(self._truths, self._predictions, strict=True)):
            is_counted = prediction["scores"] >= threshold
            boxes, scores, labels = (prediction[name][is_counted] for name in ("boxes", "scores", "labels"))
            assigned = assign_detections(boxes, scores, labels, truth["boxes"], truth["labels"], truth["ignored"])
            missing = false_negatives(assigned, truth["ignored"])
            is_false_positive = assigned == FALSE_POSITIVE
            pairs = [
                (truth["labels"][assigned[assigned >= 0]], labels[assigned >= 0]),
                (np.full(is_false_positive.sum(), classes), labels[is_false_positive]),
                (truth["labels"][missing], np.full(missing.sum(), classes)),
            ]
            true, predicted = (np.concatenate(column) for column in zip(*pairs, strict=True))
            np.add.at(matrix, (true, predicted), 1)
            mistakes[row] = (true != predicted).sum(), scores[is_false_positive].sum()
        return matrix, mistakes

    def _confusion_rows(self, matrix: np.ndarray) -> list[dict[str, Any]]:
        """Return the confusion matrix as rows with names."""
        columns = [*self.classes, FALSE_NEGATIVES]
        return [
            {"truth/predicted": name} | dict(zip(columns, row, strict=True))
            for name, row in zip((*self.classes, FALSE_POSITIVES), matrix.tolist(), strict=True)
        ]

    def _per_class(self, coco: CocoScores, matrix: np.ndarray) -> list[dict[str, Any]]:
        """Return the numbers of each class."""
        rows = []
        for label, name in enumerate(self.classes):
            objects, detections = matrix[label].sum(), matrix[:, label].sum()
            rows.append(
                {"class": name, "count": int(objects), "predicted": int(detections)}
                | {"ap": coco.ap[label], "ap50": coco.ap50[label]}
                | _precision_recall_f1(matrix[label, label], detections, objects)
            )
        return rows

    def _counts(self, matrix: np.ndarray) -> dict[str, float | None]:
        """Return precision, recall and F1 over all classes."""
        return _precision_recall_f1(np.trace(matrix[:-1, :-1]), matrix[:, :-1].sum(), matrix[:-1].sum())

    def _curves(self, coco: CocoScores) -> list[dict[str, float]]:
        """Return precision over recall at an IoU of 0.5: the mean over classes, and each class if there are few."""
        known = [label for label in range(len(self.classes)) if coco.ap50[label] is not None]
        columns = {"all classes": coco.precision[:, known].mean(axis=1)}
        if 1 < len(known) <= MAX_CURVES:
            columns |= {self.classes[label]: coco.precision[:, label] for label in known}
        return [
            {"recall": float(recall)} | {name: float(column[index]) for name, column in columns.items()}
            for index, recall in enumerate(RECALLS)
        ]

    def _notes(self, object_counts: np.ndarray) -> list[str]:
        """Return sentences about classes without objects and about difficult objects."""
        notes = []
        missing = [name for name, count in zip(self.classes, object_counts, strict=True) if not count]
        if missing:
            subject, verb = ("1 class", "has") if len(missing) == 1 else (f"{len(missing)} classes", "have")
            notes.append(
                f"{subject} {verb} no object in these files and {verb} no part in the means: {quoted_names(missing)}."
            )
        difficult = sum(int((truth["ignored"] & ~truth["crowd"]).sum()) for truth in self._truths)
        if difficult:
            verb = "is" if difficult == 1 else "are"
            notes.append(
                f"{counted(difficult, 'object')} {verb} marked as difficult: COCO's metrics (AP, AR) count them, VOC's "
                "metrics and the counts of errors ignore them."
            )
        return notes


def truth_of_record(record: Mapping[str, Any], model_labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the ground truth of one record of a detection dataset, for the metrics.

    Args:
        record: a record of the dataset.
        model_labels: int64, the model's label of each class of the dataset.

    Returns:
        A dict of boxes float64 `[n, 4]`, labels int64 `[n]`, crowd and ignored (crowd or difficult) bool `[n]`, and
        area float64 `[n]` in square pixels.
    """
    boxes = np.asarray(record["boxes"], np.float64).reshape(-1, 4)
    sides = boxes[:, 2:] - boxes[:, :2]
    crowd = np.asarray(record["crowd"], bool)
    return {
        "boxes": boxes,
        "labels": model_labels[record["labels"]],
        "crowd": crowd,
        "ignored": crowd | np.asarray(record["difficult"], bool),
        "area": np.asarray(record.get("area", sides.prod(axis=1)), np.float64),
    }


def best_threshold(matches: Sequence[Matches]) -> float:
    """Find the score threshold at which the detections of all classes together have the best F1 at an IoU of 0.5.

    Args:
        matches: the matches of each class.

    Returns:
        The threshold; 0.5 if no detection is right.
    """
    score = np.concatenate([one.score for one in matches])
    order = np.argsort(-score, kind="stable")
    true_positives = np.cumsum(np.concatenate([one.true_positive[0] for one in matches])[order])
    detections = true_positives + np.cumsum(np.concatenate([one.false_positive[0] for one in matches])[order])
    if not len(true_positives) or not true_positives[-1]:
        return DEFAULT_THRESHOLD
    objects = sum(int(one.object_count.sum()) for one in matches)
    f1 = 2 * true_positives / (detections + objects)
    is_last_of_score = np.append(np.diff(score[order]) < 0, True)  # equal scores are counted all or none
    return float(score[order][np.where(is_last_of_score, f1, -1).argmax()])


def _verdict(matrix: np.ndarray, threshold: float) -> str:
    """Return the result in one sentence."""
    right, detections, objects = np.trace(matrix[:-1, :-1]), matrix[:, :-1].sum(), matrix[:-1].sum()
    if not detections:
        return f"Detects none of {counted(objects, 'object')}."
    confused = matrix[:-1, :-1].sum() - right
    text = f"Detects {right:,} of {counted(objects, 'object')}, and {right:,} of its {detections:,} boxes are right"
    text += f"; {confused:,} {'has' if confused == 1 else 'have'} the wrong class" if confused else ""
    return f"{text} (boxes with a score of {threshold:.2f} or more)."


def _precision_recall_f1(true_positives: int, detections: int, objects: int) -> dict[str, float | None]:
    """Compute precision, recall and F1 from counts.

    A value is None if its denominator is 0, but the precision is 0 if there are objects and no detections.
    """
    precision = true_positives / detections if detections else (0.0 if objects else None)
    recall = true_positives / objects if objects else None
    f1 = 2 * true_positives / (detections + objects) if objects else None
    return {
        name: None if value is None else float(value)
        for name, value in (("precision", precision), ("recall", recall), ("f1", f1))
    }


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None, or None."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
