"""`Scores`: what an evaluation says, in a form that the run folder, the report and the screen all take."""

from dataclasses import dataclass, field


def counted(count, noun):
    """A number with its noun: "1 file", "12,000 files"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


@dataclass
class Scores:
    """headline: name of the number that training maximises and the screen shows, a key of `numbers`.

    numbers: name -> float (None where undefined), all that goes into `scores.json`.
    interval: (low, high), the 95% interval of the headline by bootstrap over files, or None.
    count: files that were scored.
    per_class: list of dicts, a row a class, the first key is "class"; goes into `per_class.csv`.
    tables: name -> list of dicts (confusion, calibration, ...), each goes into a CSV beside its plot.
    worst: rows of the dataset, the most wrong first.
    verdict: the result in one plain sentence, for someone who knows no scores.
    notes: plain sentences that a reader of the numbers must know (classes that were left out, ...).
    worst_classes: the three worst classes with their numbers, a line each, for the screen.
    followed: names of more numbers that `metrics.csv` keeps of every epoch.
    """

    headline: str
    numbers: dict
    interval: tuple = None
    count: int = 0
    per_class: list = field(default_factory=list)
    tables: dict = field(default_factory=dict)
    worst: list = field(default_factory=list)
    verdict: str = ""
    notes: list = field(default_factory=list)
    worst_classes: list = field(default_factory=list)
    followed: tuple = ()

    @property
    def value(self):
        """The headline's number."""
        return self.numbers[self.headline]

    def as_json(self):
        """What `scores.json` holds: plain types only, None where a number is undefined."""
        return {
            "headline": self.headline,
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "count": self.count,
            "numbers": self.numbers,
            "verdict": self.verdict,
            "notes": self.notes,
        }
