"""`retinue demo segmentation`: nuclei under the microscope and solar modules, from pictures to masks of an export."""

import logging
import time
from pathlib import Path

from retinue.configs.load import load_config
from retinue.pipeline.demos.nuclei import nuclei
from retinue.pipeline.demos.solar_modules import solar_modules
from retinue.pipeline.exporting.export import export
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.runs.run import next_folder
from retinue.pipeline.training.train import train

logger = logging.getLogger(__name__)


def demo(out=None):
    """Run the demo in the folder `out`: for the nuclei and the solar modules pictures, run, export and masks.

    Returns the `Scores` of the nuclei's held-out region.
    """
    folder = Path(out) if out else next_folder("runs", "demo")
    scores = _learn("nuclei", "one photo; a region of it is held out", nuclei, folder)
    logger.info("")
    _learn(
        "solar-modules",
        "put together from single cells; a quarter of the cells is held out",
        solar_modules,
        folder,
    )
    return scores


def _learn(recipe, what, write, folder):
    folder, began = folder / recipe, time.perf_counter()
    pictures = write(folder / "pictures")
    logger.info(f"{recipe}: {what}; pictures: {pictures}")
    run, scores = train(pictures, load_config(recipe), folder / "run", command="retinue demo segmentation")
    logger.info(f"\n{(time.perf_counter() - began) / 60:.1f} minutes of fetching and training\n")
    export(run.folder, folder / "export", to=("savedmodel", "openvino"))
    predict(folder / "export", [pictures / "test" / "images"], folder / "predictions", overlay=True)
    return scores
