"""The file `split.csv` of a run folder or an export: which files a model was trained, validated and tested on."""

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.pipeline.runs.run import to_csv

if TYPE_CHECKING:
    from retinue.tasks.task import Task

SPLIT_FILE = "split.csv"


@dataclass(frozen=True)
class SplitRow:
    """One file of the data of a run, a line of its `split.csv`.

    Attributes:
        split: "train", "val" or "test".
        file: The absolute path, "" in an export, which names no files.
        label: The class names, joined by ";".
        content_id: A hash of what the file holds (see `data.storage.content`), "" where it is not known.
        image_id: The id of the image in its source, None where the source has none.
        start: Start of a clip in seconds.
        end: End of a clip in seconds; 0 is the end of the video.
    """

    split: str
    file: str = ""
    label: str = ""
    content_id: str = ""
    image_id: int | str | None = None
    start: float = 0.0
    end: float = 0.0


def split_path(folder: str | os.PathLike[str]) -> Path:
    """Return the path of `split.csv` in a run folder or an export."""
    return Path(folder) / SPLIT_FILE


def read_split_file(folder: str | os.PathLike[str]) -> list[SplitRow]:
    """Read the `split.csv` of a run folder or an export.

    Args:
        folder: The run folder or the export.

    Returns:
        A row for each line, in the order of the file; an empty list when the folder has no such file.

    Raises:
        RetinueError: The file has no column `split`, or a time is not a number.
    """
    path = split_path(folder)
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if "split" not in (reader.fieldnames or ()):
            raise RetinueError(f"{path}: the column split is missing; restore the file from the run that wrote it")
        return [_parse(path, reader.line_num, row) for row in reader]


def split_csv(task: "Task", dataset: Dataset) -> str:
    """Return the text of `split.csv` for the data of a run.

    Args:
        task: Names the classes of each record.
        dataset: The checked data with its `content_ids` and splits.

    Returns:
        CSV text with the columns file, label, split and content_id, and those of image_id, start and end that the data
        has. The ids of images are JSON, which tells the text "7" from the number 7.
    """
    assert dataset.content_ids is not None, "the check computes the content ids"
    return to_csv(
        [
            {
                "file": os.path.abspath(record["file"]),
                "label": ";".join(task.class_names_of_record(dataset, record)),
                "split": record["split"],
                "content_id": content_id,
            }
            | ({"image_id": _id_text(record["image_id"])} if "image_id" in record else {})
            | {name: record[name] for name in ("start", "end") if name in record}
            for record, content_id in zip(dataset, dataset.content_ids, strict=True)
        ]
    )


def anonymous_split_csv(rows: Iterable[SplitRow]) -> str:
    """Return the text of `split.csv` for an export: content ids and splits, without the names of files.

    With it `evaluate` recognizes the files that the model was trained on, wherever they are.
    """
    return to_csv([{"content_id": row.content_id, "split": row.split} for row in rows])


def _id_text(image_id: Any) -> str:
    """Return the id of an image as JSON."""
    return json.dumps(image_id.item() if isinstance(image_id, np.generic) else image_id, ensure_ascii=False)


def _parse_id(text: str | None) -> int | str | None:
    """Return the id that a cell holds: JSON, or else its text."""
    try:
        image_id = json.loads(text or "null")
    except ValueError:
        return text
    return image_id if isinstance(image_id, int | str | None) else text


def _parse(path: Path, line: int, row: dict[str, str | None]) -> SplitRow:
    try:
        start, end = (float(row.get(name) or 0) for name in ("start", "end"))
    except ValueError:
        raise RetinueError(f"{path} line {line}: start or end is not a number of seconds; correct it") from None
    return SplitRow(
        split=row["split"] or "",
        file=row.get("file") or "",
        label=row.get("label") or "",
        content_id=row.get("content_id") or "",
        image_id=_parse_id(row.get("image_id")),
        start=start,
        end=end,
    )
