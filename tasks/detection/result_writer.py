"""How the predictions of a detector are written."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from retinue.tasks.detection.coco_results import write_coco_results
from retinue.tasks.result_writer import SCORE_DIGITS, Line, ResultWriter

BOX_DIGITS = 2  # hundredths of a pixel
COLUMNS = ("label", "score", "x1", "y1", "x2", "y2")


class BoxResultWriter(ResultWriter):
    """Writes one row for each box, and one without a box for a file without detections; and COCO's format."""

    extra_formats = ("coco",)

    def __init__(
        self, category_ids: Mapping[str, int] | None = None, image_ids: Mapping[str, int | str] | None = None
    ) -> None:
        """Keep the ids for COCO's format; see `write_coco_results`."""
        super().__init__(COLUMNS)
        self._category_ids, self._image_ids = category_ids, image_ids

    def entries(self, prediction: Mapping[str, Any]) -> dict[str, Any]:
        """Return the entries of a line, with scores of 6 and boxes of 2 digits after the point."""
        entries = super().entries(prediction)
        detections = [
            entry
            | {"score": round(entry["score"], SCORE_DIGITS)}
            | {"box": [round(float(side), BOX_DIGITS) for side in entry["box"]]}
            for entry in entries["detections"]
        ]
        return entries | {"detections": detections}

    def csv_rows(self, line: Line) -> list[list[Any]]:
        """Return a row for each box, or one empty row."""
        rows = [[entry["label"], entry["score"], *entry["box"]] for entry in line["detections"]]
        return rows or [[""] * len(COLUMNS)]

    def write_format(self, name: str, folder: Path, read_lines: Callable[[], Iterable[Line]]) -> None:
        """Write `predictions.coco.json`."""
        write_coco_results(folder / "predictions.coco.json", read_lines, self._category_ids, self._image_ids)
