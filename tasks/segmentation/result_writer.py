"""How the predictions of a segmentation model are written."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retinue.data.checking.mask_sheet import class_colors
from retinue.data.decoding.mask_file import write_mask
from retinue.data.storage.atomic_files import atomic_path
from retinue.tasks.result_writer import Line, ResultWriter


class MaskResultWriter(ResultWriter):
    """Writes the mask of each image as a PNG with a palette, and a column with the pixels of each class."""

    file_folders = ("masks",)

    def __init__(self, classes: Sequence[str]) -> None:
        """Choose the columns and the colors. classes: the class names."""
        super().__init__(["mask", *classes])
        self._classes, self._palette = tuple(classes), class_colors(classes)

    def write_files(
        self, prediction: Mapping[str, Any], folder: Path, path_for: Callable[[str, str], Path]
    ) -> dict[str, Any]:
        """Write the class ids of the pixels, and return the path of the file within the folder."""
        path = path_for("masks", ".png")
        with atomic_path(folder / path) as temporary:
            write_mask(temporary, prediction["mask"], self._palette)
        return {"mask": path.as_posix()}

    def csv_rows(self, line: Line) -> list[list[Any]]:
        """Return one row with the path of the mask and the pixels of each class."""
        return [[line["mask"], *(line["pixels"][name] for name in self._classes)]]
