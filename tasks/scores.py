"""`Scores`: the result of an evaluation, in the form that the run folder, the report and the command line use."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from retinue.data.dataset import Dataset


def counted(count: int, noun: str) -> str:
    """Format a number with its noun: "1 file", "12,000 files"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def metric_text(name: str, value: float | None, plain_metrics: Sequence[str] = (), digits: int = 1) -> str:
    """Format a metric for readers.

    Args:
        name: the metric.
        value: its value; None where it is undefined.
        plain_metrics: metrics that are no fractions (see `Scores.plain_metrics`).
        digits: digits of a percentage after the point.

    Returns:
        A percentage; a plain number for losses and for `plain_metrics`; a dash where the metric is undefined.
    """
    if value is None:
        return "–"
    return f"{value:.3f}" if name.endswith("loss") or name in plain_metrics else f"{value:.{digits}%}"


@dataclass
class Scores:
    """The result of an evaluation.

    Attributes:
        primary_metric: name of the number that training maximizes and the command line prints, a key of `metrics`.
        metrics: all metrics by name, None where one is undefined. They go into `scores.json`.
        interval: (low, high), the 95% confidence interval of the primary metric by bootstrap over files, or None.
        count: number of files that were scored.
        per_class: one row for each class, a dict whose first key is "class". It goes into `per_class.csv`.
        tables: further tables by name (confusion, calibration, ...), each a list of rows. Each goes into a CSV file
            beside its plot.
        worst: row numbers of the dataset, the file with the worst prediction first.
        verdict: the result in one plain sentence, for readers who don't know the metrics.
        notes: plain sentences that readers of the numbers must know (classes that were left out, ...).
        worst_classes: the three worst classes with their numbers, one line each, for the command line.
        monitored_metrics: names of further numbers that `metrics.csv` records after every epoch.
        plain_metrics: names of metrics that are no fractions. They are printed as plain numbers, not as percentages.
    """

    primary_metric: str
    metrics: dict[str, Any]
    interval: tuple[float, float] | None = None
    count: int = 0
    per_class: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    worst: list[int] = field(default_factory=list)
    verdict: str = ""
    notes: list[str] = field(default_factory=list)
    worst_classes: list[str] = field(default_factory=list)
    monitored_metrics: Sequence[str] = ()
    plain_metrics: Sequence[str] = ()

    @property
    def value(self) -> float:
        """The value of the primary metric."""
        return self.metrics[self.primary_metric]

    def as_json(self) -> dict[str, Any]:
        """Return the contents of `scores.json`: plain types only, None where a number is undefined."""
        return {
            "primary_metric": self.primary_metric,
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "count": self.count,
            "metrics": self.metrics,
            "verdict": self.verdict,
            "notes": self.notes,
        }


class Evaluator(Protocol):
    """Collects predictions and computes scores from them."""

    def update(self, predictions: Sequence[dict[str, Any]], dataset: "Dataset") -> None:
        """Add the predictions of all records of `dataset`, in its order. Further calls append.

        Args:
            predictions: what `Task.postprocess` returned, one for each record.
            dataset: the records with their ground truth.
        """

    def scores(self) -> Scores:
        """Compute the `Scores` of everything that was added."""
