"""`retinue demo`: solar cells, from the first look at the data to predictions of an export."""

import csv
import io
import time
from pathlib import Path

import numpy as np

from retinue.configs.load import load_config
from retinue.data.files import atomic_write
from retinue.pipeline.assets import package_data
from retinue.pipeline.export import export
from retinue.pipeline.predict import predict
from retinue.pipeline.run import next_folder
from retinue.pipeline.train import train

HELD_OUT = 0.25
PUBLISHED = 0.8842  # Deitsch et al. 2019, a VGG-19 fine-tuned on a GPU; the same share held out


def demo(out=None, say=print):
    """Run the demo in the folder `out`: data list, run, export and predictions. Returns the `Scores`."""
    folder = Path(out) if out else next_folder("runs", "demo")
    began = time.perf_counter()
    photos = package_data(
        "elpv-dataset",
        "1.0.0.post1",
        "elpv_dataset/data",
        "2,624 photos of solar cells in electroluminescence, 91 MB",
        "CC-BY-NC-SA-4.0",
        say,
    )
    table = folder / "solar-cells.csv"
    atomic_write(table, solar_cell_table(photos))
    say(
        f"solar cells: 2,624 photos, a quarter held out of each kind of cell and probability of a defect; list: {table}"
    )
    run, scores = train(table, load_config("solar-cells"), folder / "run", command="retinue demo", say=say)
    seconds = time.perf_counter() - began
    say(f"\n{seconds / 60:.1f} minutes; published for a VGG-19 on a GPU: {PUBLISHED:.2%} (Deitsch et al. 2019)\n")
    export(run.folder, folder / "export", say=say)
    held_out = [row["file"] for row in csv.DictReader(io.StringIO(table.read_text("utf-8"))) if row["split"] == "test"]
    atomic_write(folder / "held-out.txt", "\n".join(held_out) + "\n")
    predict(folder / "export", [f"@{folder / 'held-out.txt'}"], folder / "predictions", say=say)
    return scores


def solar_cell_table(photos, seed=0):
    """The CSV text `file,label,split` of the solar cells, a quarter of each (probability, kind) being "test".

    photos: the folder with `labels.csv` (path, probability of a defect, kind of cell). A cell counts as defective from
    a probability of 0.5 on.
    """
    rows = [line.split() for line in (Path(photos) / "labels.csv").read_text("utf-8").splitlines() if line.strip()]
    strata = {}
    for index, (_, probability, kind) in enumerate(rows):
        strata.setdefault((probability, kind), []).append(index)
    held_out = set()
    random = np.random.default_rng(seed)
    for members in (strata[key] for key in sorted(strata)):
        order = random.permutation(len(members))
        held_out.update(members[place] for place in order[: round(HELD_OUT * len(members))])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "label", "split"])
    for index, (name, probability, _) in enumerate(rows):
        label = "defective" if float(probability) >= 0.5 else "sound"
        writer.writerow([Path(photos).resolve() / name, label, "test" if index in held_out else "train"])
    return text.getvalue()
