"""`Scores`: what an evaluation says, in a form that the run folder, the report and the screen all take."""

from dataclasses import dataclass, field


@dataclass
class Scores:
    """headline: name of the number that training maximises and the screen shows, a key of `numbers`.

    numbers: name -> float (None where undefined), all that goes into `scores.json`.
    interval: (low, high), the 95% interval of the headline by bootstrap over files, or None.
    count: files that were scored.
    per_class: list of dicts, a row a class, the first key is "class"; goes into `per_class.csv`.
    tables: name -> list of dicts (confusion, calibration, ...), each goes into a CSV beside its plot.
    worst: rows of the dataset, the most wrong first.
    """

    headline: str
    numbers: dict
    interval: tuple = None
    count: int = 0
    per_class: list = field(default_factory=list)
    tables: dict = field(default_factory=dict)
    worst: list = field(default_factory=list)

    @property
    def value(self):
        """The headline's number."""
        return self.numbers[self.headline]
