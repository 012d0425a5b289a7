"""How good a net for clips is: the scores of classification, with each stream's beside the fused ones."""

from retinue.tasks.classification.scores import ClassificationEvaluator

COMPARED = ("accuracy", "top5", "balanced_accuracy", "log_loss")


class VideoEvaluator:
    """Scores of clips (headline: accuracy of the fused scores), and those of each stream alone.

    classes: the model's class names; streams: ("spatial", "temporal") or one; bootstrap, seed: as for
    `ClassificationEvaluator`.
    """

    def __init__(self, classes, streams, bootstrap=2000, seed=0):
        self._fused = ClassificationEvaluator(classes, False, bootstrap, seed)
        self._streams = {}
        if len(streams) > 1:
            self._streams = {name: ClassificationEvaluator(classes, False, 0, seed) for name in streams}

    def update(self, predictions, dataset):
        """Add the predictions of all rows of `dataset`, in its order."""
        self._fused.update(predictions, dataset)
        for name, evaluator in self._streams.items():
            evaluator.update([{"scores": prediction[name]} for prediction in predictions], dataset)

    def scores(self):
        """The `Scores`. With two streams `numbers` has "spatial_accuracy" and "temporal_accuracy", and there are the
        tables "streams", a row for each and for both, "confusion_spatial" and "confusion_temporal"."""
        fused = self._fused.scores()
        if not self._streams:
            return fused
        alone = {name: evaluator.scores() for name, evaluator in self._streams.items()}
        fused.numbers |= {f"{name}_accuracy": scores.numbers["accuracy"] for name, scores in alone.items()}
        fused.monitored_metrics = tuple(f"{name}_accuracy" for name in alone)
        fused.tables["streams"] = [
            {"stream": name} | {number: scores.numbers.get(number) for number in COMPARED}
            for name, scores in (*alone.items(), ("both", fused))
        ]
        fused.tables |= {f"confusion_{name}": scores.tables["confusion"] for name, scores in alone.items()}
        recalls = {name: {row["class"]: row["recall"] for row in scores.per_class} for name, scores in alone.items()}
        for row in fused.per_class:
            row |= {f"{name}_recall": recalls[name][row["class"]] for name in alone}
        return fused
