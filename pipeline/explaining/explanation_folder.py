"""The folder that `retinue explain` writes: contact sheets, arrays, tables and a page."""

import dataclasses
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from retinue.data.storage.atomic_files import atomic_write
from retinue.explain import visualization
from retinue.explain.sanity_checks import Curves
from retinue.pipeline.runs.run import to_csv
from retinue.tasks.fonts import printable


@dataclasses.dataclass(frozen=True)
class Checks:
    """The sanity checks of the maps of one image.

    Attributes:
        curves: deletion and insertion curves by method.
        correlations: by method, pairs of a layer and the rank correlation of the map with the first one, after all
            layers from the output down to this one were randomized.
    """

    curves: Mapping[str, Curves]
    correlations: Mapping[str, Sequence[tuple[str, float]]]

    def summary(self) -> dict[str, dict[str, float]]:
        """Return for each method the areas under the two curves, and the correlation with all layers randomized."""
        summary = {
            method: {"deletion": round(one.deletion_area, 4), "insertion": round(one.insertion_area, 4)}
            for method, one in self.curves.items()
        }
        for method, layers in self.correlations.items():
            summary[method]["randomization"] = round(layers[-1][1], 4)
        return summary


class ExplanationFolder:
    """Writes the results of one image after the other, and then the page."""

    def __init__(self, folder: Path, model_name: str, descriptions: Mapping[str, str]) -> None:
        """Start a folder.

        Args:
            folder: the folder to write.
            model_name: what the model is called on the page.
            descriptions: what each method shows, by its name.
        """
        self.folder, self._model_name, self._descriptions = folder, model_name, dict(descriptions)
        self._entries: list[dict[str, Any]] = []
        self._names: set[str] = set()

    def write(
        self,
        stem: str,
        cells: Sequence[tuple[np.ndarray, list[str]]],
        arrays: Mapping[str, np.ndarray],
        entry: Mapping[str, Any],
        columns: int = 4,
        checks: Checks | None = None,
    ) -> None:
        """Write the results of one image.

        Args:
            stem: name of the image, or of a class.
            cells: images, uint8 `[h, w, 3]`, with the lines of their captions.
            arrays: results by the names of their files.
            entry: entry of `explanations.json`.
            columns: columns of the contact sheet.
            checks: the sanity checks.
        """
        name = self._free_name(stem)
        for array_name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, np.asarray(array, np.float32))
            atomic_write(self.folder / name / f"{array_name}.npy", content.getvalue())
        if checks:
            self._write_checks(self.folder / name, checks)
            entry = dict(entry) | {"sanity_checks": checks.summary()}
        sheet = io.BytesIO()
        Image.fromarray(visualization.contact_sheet(cells, columns)).save(sheet, "PNG")
        atomic_write(self.folder / f"{name}.png", sheet.getvalue())
        self._entries.append(dict(entry) | {"sheet": f"{name}.png"})

    def write_page(self) -> Path:
        """Write `index.html` and `explanations.json`. Returns the path of the page."""
        loader = jinja2.FileSystemLoader(Path(__file__).parent)
        environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
        page = environment.get_template("explain.html.j2").render(
            model=self._model_name, entries=self._entries, methods=self._descriptions
        )
        path = self.folder / "index.html"
        atomic_write(path, page.encode("utf-8", "backslashreplace"))
        atomic_write(self.folder / "explanations.json", json.dumps(self._entries, indent=1) + "\n")
        return path

    def _write_checks(self, folder: Path, checks: Checks) -> None:
        curves = [
            {
                "method": method,
                "fraction": round(float(fraction), 4),
                "deletion": round(float(deletion), 6),
                "insertion": round(float(insertion), 6),
            }
            for method, one in checks.curves.items()
            for fraction, deletion, insertion in zip(one.fractions, one.deletion, one.insertion, strict=True)
        ]
        atomic_write(folder / "deletion_insertion.csv", to_csv(curves))
        correlations = [
            {"method": method, "layer": layer, "correlation": round(value, 4)}
            for method, layers in checks.correlations.items()
            for layer, value in layers
        ]
        if correlations:
            atomic_write(folder / "randomization.csv", to_csv(correlations))

    def _free_name(self, stem: str) -> str:
        """Return a file name that no other image of this folder has."""
        stem = safe_file_name(stem)
        endings = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
        name = next(stem + ending for ending in endings if stem + ending not in self._names)
        self._names.add(name)
        return name


def safe_file_name(stem: str) -> str:
    """Return the name of an image or a class as a file name that every system allows."""
    return "".join(c if c.isalnum() or c in "._+-" else "-" for c in printable(stem)).strip(".-")[:80] or "image"
