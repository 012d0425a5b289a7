"""Electroluminescence images of solar cells from a PyPI package: 2,624 images with the probability of a defect.

Deitsch et al. 2019, "Automatic classification of defective photovoltaic module cells in electroluminescence images".
"""

import csv
import io
import os
from pathlib import Path

import numpy as np

from retinue.pipeline.demos.assets import download_package_data

TEST_FRACTION = 0.25
DEFECT_THRESHOLD = 0.5  # smallest probability of a defect of a "defective" cell


def solar_cells() -> Path:
    """Download the images once.

    Returns:
        The folder with `labels.csv`.

    Raises:
        RetinueError: The package could not be downloaded.
    """
    return download_package_data(
        "elpv-dataset",
        "1.0.0.post1",
        "elpv_dataset/data",
        "2,624 electroluminescence images of solar cells, 91 MB",
        "CC-BY-NC-SA-4.0",
    )


def solar_cell_rows(folder: str | os.PathLike[str], seed: int = 0) -> list[dict[str, str]]:
    """List the images with their labels and splits.

    A quarter of each (defect probability, kind of cell) is the test set.

    Args:
        folder: The folder with `labels.csv`, whose lines are path, probability of a defect, kind of cell.
        seed: Seed of the split.

    Returns:
        One dict per image: file; label, "defective" or "sound"; split, "train" or "test".
    """
    lines = [line.split() for line in (Path(folder) / "labels.csv").read_text("utf-8").splitlines() if line.strip()]
    strata: dict[tuple[str, str], list[int]] = {}
    for index, (_, probability, kind) in enumerate(lines):
        strata.setdefault((probability, kind), []).append(index)
    test_indices: set[int] = set()
    random = np.random.default_rng(seed)
    for members in (strata[key] for key in sorted(strata)):
        order = random.permutation(len(members))
        test_indices.update(members[position] for position in order[: round(TEST_FRACTION * len(members))])
    return [
        {
            "file": str(Path(folder).resolve() / name),
            "label": "defective" if float(probability) >= DEFECT_THRESHOLD else "sound",
            "split": "test" if index in test_indices else "train",
        }
        for index, (name, probability, _) in enumerate(lines)
    ]


def solar_cell_table(folder: str | os.PathLike[str]) -> str:
    """Format `solar_cell_rows` as the text of a CSV file for `retinue train`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["file", "label", "split"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(solar_cell_rows(folder))
    return text.getvalue()
