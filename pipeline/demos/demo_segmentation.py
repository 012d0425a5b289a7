"""`retinue demo segmentation`: nuclei under the microscope and solar modules, from the images to an export's masks."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from retinue.configs.load import load_config
from retinue.pipeline.demos.nuclei import nuclei
from retinue.pipeline.demos.solar_modules import solar_modules
from retinue.pipeline.demos.training import train_and_score
from retinue.pipeline.exporting.export import export
from retinue.pipeline.exporting.options import ExportOptions
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.runs.run import next_folder
from retinue.tasks.scores import Scores

logger = logging.getLogger(__name__)


def demo(out: str | os.PathLike[str] | None = None) -> Scores:
    """Run the demo on the nuclei and on the solar modules: write the images, train, export, and predict the test set.

    Args:
        out: Folder for everything that the demo writes; by default the next free runs/demo-NNN.

    Returns:
        The scores on the test region of the nuclei.

    Raises:
        RetinueError: The images could not be downloaded, or a stage failed.
    """
    folder = Path(out) if out else next_folder("runs", "demo")
    scores = _run("nuclei", "one image; the test set is a region of it", nuclei, folder)
    logger.info("")
    _run(
        "solar-modules",
        "assembled from images of single cells; the test set has a quarter of the cells",
        solar_modules,
        folder,
    )
    return scores


def _run(recipe: str, description: str, write_images: Callable[[Path], Path], parent: Path) -> Scores:
    """Run all stages for one recipe in the folder `parent/recipe`."""
    folder, start = parent / recipe, time.perf_counter()
    data = write_images(folder / "data")
    logger.info(f"{recipe}: {description}; images: {data}")
    run, scores = train_and_score(data, load_config(recipe), folder / "run", "retinue demo segmentation")
    logger.info(f"\n{(time.perf_counter() - start) / 60:.1f} minutes for download and training\n")
    export(run.folder, folder / "export", ExportOptions(formats=("savedmodel", "openvino")))
    predict(folder / "export", [data / "test" / "images"], folder / "predictions", overlay=True)
    return scores
