"""Solar cells in electroluminescence, as a package carries them: 2,624 photos with the probability of a defect.

Deitsch et al. 2019, "Automatic classification of defective photovoltaic module cells in electroluminescence images".
"""

import csv
import io
from pathlib import Path

import numpy as np

from retinue.pipeline.demos.assets import package_data

HELD_OUT = 0.25
DEFECTIVE_FROM = 0.5  # of the probability


def solar_cells():
    """Fetch the photos, once; gives the folder with `labels.csv`. Raises RetinueError when they can't be fetched."""
    return package_data(
        "elpv-dataset",
        "1.0.0.post1",
        "elpv_dataset/data",
        "2,624 photos of solar cells in electroluminescence, 91 MB",
        "CC-BY-NC-SA-4.0",
    )


def solar_cell_rows(photos, seed=0):
    """A dict `file, label, split` a photo: "defective" or "sound", and "train" or "test".

    A quarter of each (probability, kind of cell) is held out as "test". photos: the folder with `labels.csv`, whose
    lines are path, probability of a defect, kind of cell.
    """
    lines = [line.split() for line in (Path(photos) / "labels.csv").read_text("utf-8").splitlines() if line.strip()]
    strata = {}
    for index, (_, probability, kind) in enumerate(lines):
        strata.setdefault((probability, kind), []).append(index)
    held_out = set()
    random = np.random.default_rng(seed)
    for members in (strata[key] for key in sorted(strata)):
        order = random.permutation(len(members))
        held_out.update(members[place] for place in order[: round(HELD_OUT * len(members))])
    return [
        {
            "file": str(Path(photos).resolve() / name),
            "label": "defective" if float(probability) >= DEFECTIVE_FROM else "sound",
            "split": "test" if index in held_out else "train",
        }
        for index, (name, probability, _) in enumerate(lines)
    ]


def solar_cell_table(photos):
    """The same as the text of a CSV file, for `retinue train`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["file", "label", "split"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(solar_cell_rows(photos))
    return text.getvalue()
