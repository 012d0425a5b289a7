"""Scores a video model: the scores of classification, with those of each stream beside the fused ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from retinue.data.dataset import Dataset
from retinue.tasks.classification.scores import ClassificationEvaluator
from retinue.tasks.scores import Scores

STREAM_METRICS = ("accuracy", "top5", "balanced_accuracy", "log_loss")


class VideoEvaluator:
    """Scores clips (primary metric: accuracy of the fused scores), and each stream alone."""

    def __init__(
        self, classes: Sequence[str], streams: Sequence[str], bootstrap_samples: int = 2000, seed: int = 0
    ) -> None:
        """Start with no predictions.

        Args:
            classes: class names of the model.
            streams: ("spatial", "temporal"), or one of them.
            bootstrap_samples: resamples of the clips for the 95% interval; 0 for no interval.
            seed: of the resampling.
        """
        self._fused = ClassificationEvaluator(classes, False, bootstrap_samples, seed)
        self._streams: dict[str, ClassificationEvaluator] = {}
        if len(streams) > 1:
            self._streams = {name: ClassificationEvaluator(classes, False, 0, seed) for name in streams}

    def update(self, predictions: Sequence[Mapping[str, Any]], dataset: Dataset) -> None:
        """Add the predictions of all rows of a dataset, in its order; several calls append.

        Args:
            predictions: dicts with `scores`, float32 [classes], and with two streams `spatial` and `temporal`.
            dataset: the labels.
        """
        self._fused.update(predictions, dataset)
        for name, evaluator in self._streams.items():
            evaluator.update([{"scores": prediction[name]} for prediction in predictions], dataset)

    def scores(self) -> Scores:
        """Compute the `Scores` of all predictions that were added.

        With two streams, `numbers` also has "spatial_accuracy" and "temporal_accuracy". The table "streams" has a row
        per stream and one for both; the tables "confusion_spatial" and "confusion_temporal" are those of each stream.
        """
        fused = self._fused.scores()
        if not self._streams:
            return fused
        alone = {name: evaluator.scores() for name, evaluator in self._streams.items()}
        fused.metrics |= {f"{name}_accuracy": scores.metrics["accuracy"] for name, scores in alone.items()}
        fused.monitored_metrics = tuple(f"{name}_accuracy" for name in alone)
        fused.tables["streams"] = [
            {"stream": name} | {metric: scores.metrics.get(metric) for metric in STREAM_METRICS}
            for name, scores in (*alone.items(), ("both", fused))
        ]
        fused.tables |= {
            f"confusion_{name}": scores.tables["confusion"]
            for name, scores in alone.items()
            if "confusion" in scores.tables  # there is none for very many classes
        }
        recalls = {name: {row["class"]: row["recall"] for row in scores.per_class} for name, scores in alone.items()}
        for row in fused.per_class:
            row |= {f"{name}_recall": recalls[name][row["class"]] for name in alone}
        return fused
