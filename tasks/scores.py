"""`Scores`: the result of an evaluation, in the form that the run folder, the report and the command line use."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


def counted(count: int, noun: str) -> str:
    """Format a number with its noun: "1 file", "12,000 files"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


@dataclass
class Scores:
    """The result of an evaluation.

    Attributes:
        primary_metric: name of the number that training maximizes and the command line prints, a key of `numbers`.
        numbers: all metrics by name, None where one is undefined. They go into `scores.json`.
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
    """

    primary_metric: str
    numbers: dict[str, Any]
    interval: tuple[float, float] | None = None
    count: int = 0
    per_class: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    worst: list[int] = field(default_factory=list)
    verdict: str = ""
    notes: list[str] = field(default_factory=list)
    worst_classes: list[str] = field(default_factory=list)
    monitored_metrics: Sequence[str] = ()

    @property
    def value(self) -> float:
        """The value of the primary metric."""
        return self.numbers[self.primary_metric]

    def as_json(self) -> dict[str, Any]:
        """Return the contents of `scores.json`: plain types only, None where a number is undefined."""
        return {
            "primary_metric": self.primary_metric,
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "count": self.count,
            "numbers": self.numbers,
            "verdict": self.verdict,
            "notes": self.notes,
        }
