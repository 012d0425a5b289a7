"""How good a detector is: `DetectionEvaluator` collects predictions and gives `Scores`."""

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.tasks.detection.average_precision import voc_average_precisions
from retinue.tasks.detection.coco_scores import RECALLS, bootstrap_ap, coco_scores
from retinue.tasks.detection.error_summary import FALSE_ALARM, judge
from retinue.tasks.detection.proposal_recall import proposal_recall
from retinue.tasks.scores import Scores, counted

FALSE_NEGATIVE, FALSE_POSITIVE = "false negative", "false positive"
NAMED = 5  # so many class names fit into a sentence
CURVES = 10  # classes with a column of their own in the precision-recall table
MONITORED_METRICS = ("ap50", "proposal_recall_100")  # after every epoch
WORST = 3  # classes that the screen names
NO_THRESHOLD = 0.5  # where nothing was found, so that no score is the best


class DetectionEvaluator:
    """COCO's scores (headline: AP over overlaps 0.5 to 0.95), VOC's, and counts at the score with the best F1.

    classes: the model's class names. resamples: for the 95% interval, 0 for none. seed: of the resampling.
    COCO's scores treat difficult objects as any other and pass over crowds; VOC's, and the counts, pass over both.
    """

    def __init__(self, classes, resamples=2000, seed=0):
        self.classes = tuple(classes)
        self.resamples = resamples
        self.seed = seed
        self._truths, self._predictions, self._proposals = [], [], []

    def update(self, predictions, dataset):
        """Add the predictions of all rows of `dataset`, in its order; several calls append.

        predictions: dicts with boxes float32 `[m, 4]` (x1, y1, x2, y2 in the picture's pixels), scores float32 `[m]`,
        labels int `[m]`, and, where the proposals are to be scored, proposals float32 `[r, 4]`. The dataset's classes
        are matched to the model's by name. Raises RetinueError for an object of a class that the model does not know
        and for numbers that are none.
        """
        if len(predictions) != len(dataset):
            raise ValueError(f"{len(predictions)} predictions for {len(dataset)} files")
        to_model = self._class_map(dataset)
        for record, prediction in zip(dataset, predictions, strict=True):
            boxes = np.asarray(prediction["boxes"], np.float64).reshape(-1, 4)
            scores = np.asarray(prediction["scores"], np.float64)
            if not np.isfinite(boxes).all() or not np.isfinite(scores).all():
                raise RetinueError(
                    f"{record['file']}: the model's boxes or scores are not numbers; its training has diverged, "
                    "train again with a lower rate"
                )
            labels = np.asarray(prediction["labels"], np.int64)
            self._predictions.append({"boxes": boxes, "scores": scores, "labels": labels})
            if "proposals" in prediction:
                self._proposals.append(prediction["proposals"])
            self._truths.append(truth_of(record, to_model))

    def scores(self):
        """The `Scores` of everything that was added. Raises RetinueError when there is no object to find."""
        counts = self._object_counts()
        if not counts.sum():
            raise RetinueError(
                f"there is no object in the {counted(len(self._truths), 'file')} to score, so there is no score; "
                "is the split the right one?"
            )
        coco = coco_scores(self._truths, self._predictions, len(self.classes))
        seven, ten = voc_average_precisions(self._truths, self._predictions, len(self.classes))
        threshold = best_threshold(coco.matches)
        table, mistakes = self._confusion(threshold)
        per_class = self._per_class(coco, table)
        numbers = coco.numbers | {"voc07_ap50": _mean(seven), "voc10_ap50": _mean(ten)}
        numbers |= self._counts(table) | {"best_threshold": threshold}
        tables = {"precision_recall": self._curves(coco), "confusion": self._confusion_rows(table)}
        if self._proposals:
            tables["proposal_recall"] = proposal_recall(self._proposals, self._truths)
            numbers |= {f"proposal_recall_{row['proposals']}": row["recall"] for row in tables["proposal_recall"]}
        interval, notes = None, self._notes(counts)
        if self.resamples:
            low, high, done = bootstrap_ap(coco.matches, self.resamples, self.seed)
            interval = (low, high)
            if done < self.resamples:
                notes.append(f"The interval is from {done} resamples: so many detections take their time.")
        return Scores(
            primary_metric="ap",
            numbers=numbers,
            interval=interval,
            count=len(self._truths),
            per_class=per_class,
            tables=tables,
            worst=[int(row) for row in np.lexsort((-mistakes[:, 1], -mistakes[:, 0])) if mistakes[row, 0]],
            verdict=self._verdict(table, threshold),
            notes=notes,
            worst_classes=_worst_classes(per_class),
            monitored_metrics=MONITORED_METRICS if self._proposals else MONITORED_METRICS[:1],
        )

    def _class_map(self, dataset):
        """int64 `[dataset's classes]`: the model's index of each; -1 for an unknown one, which has no objects."""
        index = {name: position for position, name in enumerate(self.classes)}
        counts = dataset.class_counts()
        unknown = [name for name, count in zip(dataset.classes, counts, strict=True) if name not in index and count]
        if unknown:
            raise RetinueError(
                f"{dataset.source or 'the data'}: the model does not know the class {_names(unknown)}; it knows "
                f"{_names(self.classes)}; rename or remove it, or train on this data"
            )
        return np.array([index.get(name, -1) for name in dataset.classes], np.int64)

    def _object_counts(self):
        """Objects of each class that COCO counts, int64 `[classes]`."""
        counts = np.zeros(len(self.classes), np.int64)
        for truth in self._truths:
            counts += np.bincount(truth["labels"][~truth["crowd"]], minlength=len(self.classes))
        return counts

    def _confusion(self, threshold):
        """int64 `[classes + 1, classes + 1]`, truth down (last: false alarms), answers across (last: missed); and for
        each picture how many mistakes there are in it and the sum of its false alarms' scores, float64 `[n, 2]`."""
        classes = len(self.classes)
        table, mistakes = np.zeros((classes + 1, classes + 1), np.int64), np.zeros((len(self._truths), 2))
        for row, (truth, prediction) in enumerate(zip(self._truths, self._predictions, strict=True)):
            said = prediction["scores"] >= threshold
            boxes, scores, labels = (prediction[name][said] for name in ("boxes", "scores", "labels"))
            taken_for = judge(boxes, scores, labels, truth["boxes"], truth["labels"], truth["ignored"])
            missed = ~truth["ignored"]
            missed[taken_for[taken_for >= 0]] = False
            pairs = [
                (truth["labels"][taken_for[taken_for >= 0]], labels[taken_for >= 0]),
                (np.full((taken_for == FALSE_ALARM).sum(), classes), labels[taken_for == FALSE_ALARM]),
                (truth["labels"][missed], np.full(missed.sum(), classes)),
            ]
            true, answer = (np.concatenate(column) for column in zip(*pairs, strict=True))
            np.add.at(table, (true, answer), 1)
            mistakes[row] = (true != answer).sum(), scores[taken_for == FALSE_ALARM].sum()
        return table, mistakes

    def _confusion_rows(self, table):
        columns = [*self.classes, FALSE_NEGATIVE]
        return [
            {"truth/predicted": name} | dict(zip(columns, row, strict=True))
            for name, row in zip((*self.classes, FALSE_POSITIVE), table.tolist(), strict=True)
        ]

    def _per_class(self, coco, table):
        rows = []
        for label, name in enumerate(self.classes):
            objects, said, right = table[label].sum(), table[:, label].sum(), table[label, label]
            rows.append(
                {"class": name, "count": int(objects), "predicted": int(said)}
                | {"ap": coco.ap[label], "ap50": coco.ap50[label]}
                | _precision_recall_f1(right, said, objects)
            )
        return rows

    def _counts(self, table):
        right = np.trace(table[:-1, :-1])
        return _precision_recall_f1(right, table[:, :-1].sum(), table[:-1].sum())

    def _curves(self, coco):
        """Precision at each recall, overlap 0.5: the mean over classes, and each class where they are few."""
        known = [label for label in range(len(self.classes)) if coco.ap50[label] is not None]
        columns = {"all classes": coco.precision[:, known].mean(axis=1)}
        if 1 < len(known) <= CURVES:
            columns |= {self.classes[label]: coco.precision[:, label] for label in known}
        return [
            {"recall": float(recall)} | {name: float(column[place]) for name, column in columns.items()}
            for place, recall in enumerate(RECALLS)
        ]

    def _verdict(self, table, threshold):
        right, said, objects = np.trace(table[:-1, :-1]), table[:, :-1].sum(), table[:-1].sum()
        if not said:
            return f"Finds none of {counted(objects, 'object')}."
        mixed = table[:-1, :-1].sum() - right
        text = f"Finds {right:,} of {counted(objects, 'object')}, and {right:,} of its {said:,} boxes are right"
        text += f"; {mixed:,} have the wrong class" if mixed else ""
        return f"{text} (boxes with a score of {threshold:.2f} or more)."

    def _notes(self, counts):
        notes = []
        missing = [name for name, count in zip(self.classes, counts, strict=True) if not count]
        if missing:
            verb = "class has" if len(missing) == 1 else "classes have"
            notes.append(f"{len(missing)} {verb} no object here ({_names(missing)}) and no part in the means.")
        difficult = sum(int((truth["ignored"] & ~truth["crowd"]).sum()) for truth in self._truths)
        if difficult:
            notes.append(
                f"{counted(difficult, 'object')} marked as difficult: COCO's scores (AP, AR) count them, VOC's scores "
                "and the counts pass over them."
            )
        return notes


def truth_of(record, to_model):
    """The truth of one record of a detection dataset, for scores and pictures.

    to_model: int64 `[dataset's classes]`. Returns a dict of boxes float64 `[n, 4]`, labels int64 `[n]` (the model's),
    crowd and ignored (crowd or difficult) bool `[n]`, area float64 `[n]`.
    """
    boxes = np.asarray(record["boxes"], np.float64).reshape(-1, 4)
    sides = boxes[:, 2:] - boxes[:, :2]
    crowd = np.asarray(record["crowd"], bool)
    return {
        "boxes": boxes,
        "labels": to_model[record["labels"]],
        "crowd": crowd,
        "ignored": crowd | np.asarray(record["difficult"], bool),
        "area": np.asarray(record.get("area", sides.prod(axis=1)), np.float64),
    }


def best_threshold(matches):
    """The score from which on the detections of all classes together have the best F1 at an overlap of 0.5.

    matches: `Matches` a class. 0.5 where nothing is right.
    """
    score = np.concatenate([found.score for found in matches])
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(np.concatenate([found.hit[0] for found in matches])[order])
    said = hits + np.cumsum(np.concatenate([found.miss[0] for found in matches])[order])
    if not len(hits) or not hits[-1]:
        return NO_THRESHOLD
    objects = sum(int(found.objects.sum()) for found in matches)
    f1 = 2 * hits / (said + objects)
    last_of_score = np.append(np.diff(score[order]) < 0, True)  # equal scores come together or not at all
    return float(score[order][np.where(last_of_score, f1, -1).argmax()])


def _worst_classes(per_class):
    """The three classes with the lowest AP, a line each; none where there is but one class."""
    rows = sorted((row for row in per_class if row["ap"] is not None), key=lambda row: row["ap"])[:WORST]
    if len(per_class) < 2:
        return []
    width = max((len(row["class"]) for row in rows), default=0)
    lines = []
    for row in rows:
        found = "-" if row["recall"] is None else f"{row['recall']:.0%}"
        right = "-" if row["precision"] is None else f"{row['precision']:.0%}"
        lines.append(f"  {row['class']:<{width}}  AP {row['ap']:.2f}, {found} found, {right} of its boxes right")
    return lines


def _precision_recall_f1(right, said, objects):
    """Of counts; None where there is nothing to divide by, but a precision of 0 where objects are and none is found."""
    precision = right / said if said else (0.0 if objects else None)
    recall = right / objects if objects else None
    f1 = 2 * right / (said + objects) if objects else None
    return {
        name: None if value is None else float(value)
        for name, value in (("precision", precision), ("recall", recall), ("f1", f1))
    }


def _mean(values):
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _names(names):
    shown = ", ".join(f"“{name}”" for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
