"""`retinue demo`: solar cells, from the first look at the data to predictions of an export."""

import csv
import io
import logging
import time
from pathlib import Path

from retinue.configs.load import load_config
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.demos.solar_cells import solar_cell_table, solar_cells
from retinue.pipeline.exporting.export import export
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.runs.run import next_folder
from retinue.pipeline.training.train import train

logger = logging.getLogger(__name__)

PUBLISHED = 0.8842  # Deitsch et al. 2019, a VGG-19 fine-tuned on a GPU; the same share held out


def demo(out=None):
    """Run the demo in the folder `out`: data list, run, export and predictions. Returns the `Scores`."""
    folder = Path(out) if out else next_folder("runs", "demo")
    began = time.perf_counter()
    table = folder / "solar-cells.csv"
    atomic_write(table, solar_cell_table(solar_cells()))
    logger.info(
        f"solar cells: 2,624 photos, a quarter held out of each kind of cell and probability of a defect; list: {table}"
    )
    run, scores = train(table, load_config("solar-cells"), folder / "run", command="retinue demo")
    seconds = time.perf_counter() - began
    logger.info(
        f"\n{seconds / 60:.1f} minutes; published for a VGG-19 on a GPU: {PUBLISHED:.2%} (Deitsch et al. 2019)\n"
    )
    export(run.folder, folder / "export")
    held_out = [row["file"] for row in csv.DictReader(io.StringIO(table.read_text("utf-8"))) if row["split"] == "test"]
    atomic_write(folder / "held-out.txt", "\n".join(held_out) + "\n")
    predict(folder / "export", [f"@{folder / 'held-out.txt'}"], folder / "predictions")
    return scores
