"""How good a classifier is: `ClassificationEvaluator` collects predictions and gives `Scores`."""

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.tasks.classification import metrics
from retinue.tasks.scores import Scores, counted

NAMED = 5  # so many class names fit into a sentence


class ClassificationEvaluator:
    """Scores of one label a file (headline: accuracy) or of several (headline: mean average precision).

    classes: the model's class names. bootstrap: resamples for the 95% interval, 0 for none. seed: of the resampling.
    threshold: with several labels, a score of at least this says that the file has the label.
    """

    def __init__(self, classes, multi_label=False, bootstrap=2000, seed=0, threshold=0.5):
        self.classes = tuple(classes)
        self.multi_label = multi_label
        self.bootstrap = bootstrap
        self.seed = seed
        self.threshold = threshold
        self._parts = []

    def update(self, predictions, dataset):
        """Add the predictions of all rows of `dataset`, in its order; several calls append.

        predictions: dicts with `scores`, float32 `[classes]`. The dataset's labels are matched to the model's by name.
        Raises `RetinueError` for a class that the model does not know and for scores that are not numbers.
        """
        if len(predictions) != len(dataset):
            raise ValueError(f"{len(predictions)} predictions for {len(dataset)} files")
        if not len(dataset):
            return
        scores = np.stack([np.asarray(prediction["scores"], np.float32) for prediction in predictions])
        if scores.shape[1] != len(self.classes):
            raise ValueError(f"predictions have {scores.shape[1]} scores for {len(self.classes)} classes")
        broken = ~np.isfinite(scores).all(axis=1)
        if broken.any():
            raise RetinueError(
                f"{dataset.files[np.flatnonzero(broken)[0]]}: the model's scores are not numbers ({broken.sum()} of "
                f"{len(dataset)} files); its training has diverged, train again with a lower rate"
            )
        to_model = self._class_map(dataset)
        if self.multi_label:
            labels = dataset.columns["labels"]
            positive = np.zeros(scores.shape, bool)
            positive[np.repeat(np.arange(len(dataset)), np.diff(labels.offsets)), to_model[labels.values]] = True
            self._parts.append((scores, positive))
        else:
            self._parts.append(_single_label_columns(scores, to_model[dataset.columns["label"]]))

    def scores(self):
        """The `Scores` of everything that was added. Raises `RetinueError` when that is nothing."""
        if not self._parts:
            raise RetinueError("there are no files to score; is the split empty?")
        columns = [np.concatenate(parts) for parts in zip(*self._parts, strict=True)]
        return self._multi_label_scores(*columns) if self.multi_label else self._single_label_scores(*columns)

    def _class_map(self, dataset):
        """int64 `[dataset's classes]`: the model's index of each class of the dataset."""
        index = {name: position for position, name in enumerate(self.classes)}
        unknown = [name for name in dataset.classes if name not in index]
        if unknown:
            raise RetinueError(
                f"{dataset.source or 'the data'}: the model does not know the class {_names(unknown)}; it knows "
                f"{_names(self.classes)}; rename or remove it, or train on this data"
            )
        return np.array([index[name] for name in dataset.classes], np.int64)

    def _single_label_scores(self, truth, predicted, rank, confidence, truth_score):
        count, classes = len(truth), len(self.classes)
        right = predicted == truth
        loss = -np.log(np.maximum(truth_score.astype(np.float64), metrics.SMALLEST))
        matrix = metrics.confusion_matrix(truth, predicted, classes)
        calibration, calibration_error = metrics.calibration(confidence, right)
        confidence_sum = np.bincount(truth, weights=confidence, minlength=classes)
        per_class = []
        for index, name in enumerate(self.classes):
            files, said = int(matrix[index].sum()), int(matrix[:, index].sum())
            precision, recall, f1 = metrics.precision_recall_f1(matrix[index, index], said, files)
            wrong = matrix[index].copy()
            wrong[index] = 0
            per_class.append(
                {
                    "class": name,
                    "count": files,
                    "predicted": said,
                    "precision": precision,
                    "recall": recall,
                    "f1": f1,
                    "confidence": metrics.ratio(confidence_sum[index], files),
                    "mistaken_for": self.classes[wrong.argmax()] if wrong.any() else None,
                }
            )
        recall = metrics.mean_over_classes(per_class, "recall")
        numbers = {"accuracy": float(right.mean())}
        if classes > 5:
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
        if self.bootstrap:
            interval = metrics.bootstrap_accuracy(int(right.sum()), count, self.bootstrap, self.seed)
        wrong_rows = np.flatnonzero(~right)
        largest = int(matrix.sum(axis=1).argmax())
        verdict = f"Right on {right.sum():,} of {counted(count, 'file')}."
        if matrix[largest].sum() < count:
            baseline = matrix[largest].sum() / count
            verdict += f" Always answering “{self.classes[largest]}” would be right on {baseline:.1%}."
        notes = _missing_note(self.classes, matrix.sum(axis=1))
        if interval and right.all():
            claim = "the model is right on at least {} of such files"
            notes.append(_no_width_note("No mistake was seen", claim, metrics.least_share(count), count))
        elif interval and not right.any():
            claim = "the model is right on at most {} of such files"
            notes.append(_no_width_note("No right answer was seen", claim, 1 - metrics.least_share(count), count))
        return Scores(
            primary_metric="accuracy",
            numbers=numbers,
            interval=interval,
            count=count,
            per_class=per_class,
            tables={"confusion": _confusion_rows(self.classes, matrix), "calibration": calibration},
            worst=[int(row) for row in wrong_rows[np.argsort(-loss[wrong_rows], kind="stable")]],
            verdict=verdict,
            notes=notes,
            worst_classes=_worst_classes(per_class),
        )

    def _multi_label_scores(self, scores, positive):
        said = scores >= self.threshold
        wrong = said != positive
        probability = np.where(positive, scores, 1 - scores).astype(np.float64)
        loss = -np.log(np.maximum(probability, metrics.SMALLEST))
        calibration, calibration_error = metrics.calibration(scores.ravel(), positive.ravel())
        once = np.ones((1, len(scores)), np.int64)
        per_class = []
        for index, name in enumerate(self.classes):
            files = int(positive[:, index].sum())
            hits = (said & positive)[:, index].sum()
            precision, recall, f1 = metrics.precision_recall_f1(hits, said[:, index].sum(), files)
            area = None
            if files:
                thresholds = metrics.falling_thresholds(scores[:, index], positive[:, index])
                area = float(metrics.average_precision(thresholds, once)[0])
            per_class.append(
                {
                    "class": name,
                    "count": files,
                    "predicted": int(said[:, index].sum()),
                    "average_precision": area,
                    "precision": precision,
                    "recall": recall,
                    "f1": f1,
                    "confidence": metrics.ratio(scores[positive[:, index], index].sum(dtype=np.float64), files),
                }
            )
        hits = (said & positive).sum()
        micro = metrics.precision_recall_f1(hits, said.sum(), positive.sum())
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
        if self.bootstrap:
            interval = metrics.bootstrap_mean_average_precision(scores, positive, self.bootstrap, self.seed)
        notes = _missing_note(self.classes, positive.sum(axis=0))
        if interval and numbers["mean_average_precision"] == 1:
            seen = "No file without a label was ranked before one that has it"
            claim = "at least {} of such files are in their right place"
            notes.append(_no_width_note(seen, claim, metrics.least_share(len(scores)), len(scores)))
        file_loss = loss.sum(axis=1)
        wrong_rows = np.flatnonzero(wrong.any(axis=1))
        correct = "It gives no label" if micro[0] is None else f"{micro[0]:.1%} of the labels it gives are right"
        return Scores(
            primary_metric="mean_average_precision",
            numbers=numbers,
            interval=interval,
            count=len(scores),
            per_class=per_class,
            tables={"calibration": calibration},
            worst=[int(row) for row in wrong_rows[np.argsort(-file_loss[wrong_rows], kind="stable")]],
            verdict=f"{correct}, and it finds {micro[1]:.1%} of the true ones; all labels of a file are right on "
            f"{numbers['exact_match']:.1%} of {counted(len(scores), 'file')}.",
            notes=notes,
            worst_classes=_worst_classes(per_class),
        )


def _worst_classes(per_class, most=3):
    """The classes with the lowest F1, a line each."""
    rows = sorted((row for row in per_class if row["f1"] is not None), key=lambda row: row["f1"])[:most]
    width = max((len(row["class"]) for row in rows), default=0)
    return [
        f"  {row['class']:<{width}}  F1 {row['f1']:.2f}, {_share(row['recall'])} found, "
        f"{_share(row['precision'])} right when said"
        for row in rows
    ]


def _share(value):
    return "-" if value is None else f"{value:.0%}"


def _single_label_columns(scores, truth):
    """(truth, predicted, rank of the truth, confidence, score of the truth), each `[n]`: all that the scores need.

    Equal scores rank in the order of the classes, as argmax does, so that rank 0 and a right prediction are the same.
    """
    predicted = scores.argmax(axis=1)
    rows = np.arange(len(scores))
    truth_score = scores[rows, truth]
    before = np.arange(scores.shape[1]) < truth[:, None]
    rank = (scores > truth_score[:, None]).sum(axis=1) + ((scores == truth_score[:, None]) & before).sum(axis=1)
    whole = [column.astype(np.int32) for column in (truth, predicted, rank)]
    return *whole, scores[rows, predicted], truth_score


def _confusion_rows(classes, matrix):
    """The matrix as a table with the truth down and the prediction across."""
    return [
        {"truth/predicted": name} | dict(zip(classes, row.tolist(), strict=True))
        for name, row in zip(classes, matrix, strict=True)
    ]


def _missing_note(classes, counts):
    missing = [name for name, count in zip(classes, counts, strict=True) if not count]
    if not missing:
        return []
    if len(missing) == 1:
        return [f"The class {_names(missing)} has no scored file; it is left out of the means over classes."]
    return [f"{len(missing)} classes have no scored file ({_names(missing)}); the means over classes leave them out."]


def _no_width_note(seen, claim, share, count):
    return (
        f"{seen}, which gives the bootstrap interval no width; from {counted(count, 'file')} one can say with 95% "
        f"confidence only that {claim.format(f'{share:.1%}')}."
    )


def _names(names):
    shown = ", ".join(f"“{name}”" for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
