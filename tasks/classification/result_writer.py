"""How the predictions of a classifier are written."""

from collections.abc import Mapping
from typing import Any

from retinue.tasks.result_writer import SCORE_DIGITS, Line, ResultWriter


class LabelResultWriter(ResultWriter):
    """Writes the best labels of each file with their scores: columns label, score, label2, score2, ..."""

    def __init__(self, num_labels: int) -> None:
        """Choose the columns. num_labels: how many of the best labels a row of the CSV file holds."""
        self.num_labels = num_labels
        numbers = ["", *range(2, num_labels + 1)]
        super().__init__([f"{name}{number}" for number in numbers for name in ("label", "score")])

    def entries(self, prediction: Mapping[str, Any]) -> dict[str, Any]:
        """Return the entries of a line, with scores of 6 digits after the point."""
        entries = super().entries(prediction)
        labels = [entry | {"score": round(entry["score"], SCORE_DIGITS)} for entry in entries["labels"]]
        return entries | {"labels": labels}

    def csv_rows(self, line: Line) -> list[list[Any]]:
        """Return one row with the best labels."""
        return [[cell for entry in line["labels"][: self.num_labels] for cell in (entry["label"], entry["score"])]]
