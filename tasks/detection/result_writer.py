"""How the predictions of a detector are written."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retinue.tasks.detection.coco_results import require_unique_ids, write_categories, write_coco_results
from retinue.tasks.result_writer import SCORE_DIGITS, Line, ResultWriter

BOX_DIGITS = 2  # hundredths of a pixel
COLUMNS = ("label", "score", "x1", "y1", "x2", "y2")


class BoxResultWriter(ResultWriter):
    """Writes one row for each box, and one without a box for a file without detections; and COCO's format."""

    extra_formats = ("coco",)

    def __init__(
        self,
        classes: Sequence[str],
        class_ids: Sequence[int | str] = (),
        image_ids: Mapping[str, int | str] | None = None,
    ) -> None:
        """Keep the ids for COCO's format.

        Args:
            classes: the class names.
            class_ids: the ids of the classes in the training data. Without them, the classes have the ids 1, 2, ..., in
                their order, so that all parts of a job agree.
            image_ids: the ids of images, see `write_coco_results`.
        """
        super().__init__(COLUMNS)
        self._category_ids = dict(zip(classes, class_ids or range(1, len(classes) + 1), strict=True))
        self._image_ids = image_ids or {}

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

    def check_ids(self, files: Iterable[str]) -> None:
        """Raise UsageError if two of the files that will be predicted have one id in COCO's format."""
        require_unique_ids(files, self._image_ids)

    def write_format(self, name: str, folder: Path, read_lines: Callable[[], Iterable[Line]]) -> None:
        """Write `predictions.coco.json`, and `categories.json`, which tells what its ids of categories mean."""
        write_categories(folder / "categories.json", self._category_ids)
        write_coco_results(folder / "predictions.coco.json", read_lines, self._category_ids, self._image_ids)
