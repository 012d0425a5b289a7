"""`ResultWriter`: how the predictions of a task become lines, rows of a CSV file, and other files."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

SCORE_DIGITS = 6  # of a written score

Line = Mapping[str, Any]


class ResultWriter:
    """Writes the predictions of a task. By default a CSV file has one row for each file.

    Attributes:
        extra_formats: formats besides "jsonl" and "csv" that the task offers.
        file_folders: folders into which `write_files` writes a file for each image.
    """

    extra_formats: ClassVar[tuple[str, ...]] = ()
    file_folders: ClassVar[tuple[str, ...]] = ()

    def __init__(self, columns: Sequence[str] = ()) -> None:
        """Choose the columns. columns: entries of a prediction that become columns of the CSV file."""
        self.columns = tuple(columns)

    def entries(self, prediction: Mapping[str, Any]) -> dict[str, Any]:
        """Return the entries of a prediction that go into a line of `predictions.jsonl`: all except NumPy arrays."""
        return {name: value for name, value in prediction.items() if not isinstance(value, np.ndarray)}

    def write_files(
        self, prediction: Mapping[str, Any], folder: Path, path_for: Callable[[str, str], Path]
    ) -> dict[str, Any]:
        """Write files that belong to one prediction, for example a mask. By default there are none.

        Args:
            prediction: what `Task.postprocess` returned.
            folder: the folder of the results.
            path_for: function from one of `file_folders` and a suffix to a path within the folder, another one for
                each image.

        Returns:
            Further entries of the line.
        """
        return {}

    def csv_rows(self, line: Line) -> list[list[Any]]:
        """Return the rows of one file, without the columns `file`, `width` and `height`. line: as written."""
        return [[line.get(name, "") for name in self.columns]]

    def check_ids(self, files: Iterable[str]) -> None:
        """Raise UsageError if the ids of images do not tell the files that will be predicted apart."""

    def write_format(self, name: str, folder: Path, read_lines: Callable[[], Iterable[Line]]) -> None:
        """Write one of `extra_formats`, after all predictions were made.

        Args:
            name: the format.
            folder: the folder of the results.
            read_lines: function that reads the lines of `predictions.jsonl` again at each call.
        """
        raise NotImplementedError(name)


def describe(prediction: Mapping[str, Any]) -> str:
    """Return the entries of a prediction that are no arrays as text."""
    parts = []
    for name, value in ResultWriter().entries(prediction).items():
        if isinstance(value, float):
            text = f"{value:.4g}"
        else:
            text = value if isinstance(value, str) else json.dumps(value)
        parts.append(f"{name} {text}")
    return ", ".join(parts)
