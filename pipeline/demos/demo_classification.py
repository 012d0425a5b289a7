"""`retinue demo`: solar cells, from the data to the predictions of an export."""

import csv
import io
import logging
import os
import time
from pathlib import Path

from retinue.configs.load import load_config
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.demos.solar_cells import solar_cell_table, solar_cells
from retinue.pipeline.demos.training import train_and_score
from retinue.pipeline.exporting.export import export
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.runs.run import next_folder
from retinue.tasks.scores import Scores

logger = logging.getLogger(__name__)

# Accuracy in Deitsch et al. 2019, a VGG-19 fine-tuned on a GPU, with a test set of the same size.
PUBLISHED_ACCURACY = 0.8842


def demo(out: str | os.PathLike[str] | None = None) -> Scores:
    """Run the demo: write the list of images, train, export, and predict the test set.

    Args:
        out: Folder for everything that the demo writes; by default the next free runs/demo-NNN.

    Returns:
        The scores on the test set.

    Raises:
        RetinueError: The images could not be downloaded, or a stage failed.
    """
    folder = Path(out) if out else next_folder("runs", "demo")
    start = time.perf_counter()
    table = folder / "solar-cells.csv"
    atomic_write(table, solar_cell_table(solar_cells()))
    logger.info(
        "solar cells: 2,624 images; the test set is a quarter of each kind of cell and defect probability; "
        f"list: {table}"
    )
    run, scores = train_and_score(table, load_config("solar-cells"), folder / "run", "retinue demo")
    minutes = (time.perf_counter() - start) / 60
    logger.info(
        f"\n{minutes:.1f} minutes; published for a VGG-19 on a GPU: {PUBLISHED_ACCURACY:.2%} (Deitsch et al. 2019)\n"
    )
    export(run.folder, folder / "export")
    rows = csv.DictReader(io.StringIO(table.read_text("utf-8")))
    test_files = [row["file"] for row in rows if row["split"] == "test"]
    atomic_write(folder / "test-files.txt", "\n".join(test_files) + "\n")
    predict(folder / "export", [f"@{folder / 'test-files.txt'}"], folder / "predictions")
    return scores
