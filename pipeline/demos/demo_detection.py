"""`retinue demo detection`: tree crowns in aerial images, from tiles with boxes to the predictions of an export."""

import logging
import os
import time
from pathlib import Path

from retinue.configs.load import load_config
from retinue.pipeline.demos.training import train_and_score
from retinue.pipeline.demos.tree_crowns import tree_crowns
from retinue.pipeline.evaluation.evaluate import evaluate, score_lines
from retinue.pipeline.exporting.export import export
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.runs.run import next_folder
from retinue.tasks.scores import Scores

logger = logging.getLogger(__name__)


def demo(out: str | os.PathLike[str] | None = None) -> Scores:
    """Run the demo: write the tiles, train, evaluate both sites, export, and predict the test site.

    The primary metric of the run is that of the test site, which took no part in training. The validation strip belongs
    to the training site and selected the best epoch.

    Args:
        out: Folder for everything that the demo writes; by default the next free runs/demo-NNN.

    Returns:
        The scores on the validation strip.

    Raises:
        RetinueError: The images could not be downloaded, or a stage failed.
    """
    folder = Path(out) if out else next_folder("runs", "demo")
    start = time.perf_counter()
    tiles = tree_crowns(folder / "tiles")
    logger.info(
        "tree crowns: aerial images of two sites in tiles; one site is for training, except for a validation strip; "
        f"tiles: {tiles}"
    )
    run, _ = train_and_score(tiles, load_config("tree-crowns"), folder / "run", "retinue demo detection")
    minutes = (time.perf_counter() - start) / 60
    logger.info("\nthe validation strip of the training site:")
    scores = evaluate(run.folder, tiles, split="val")
    _log(scores)
    logger.info("the test site:")
    _log(evaluate(run.folder, tiles, split="test"))
    logger.info(f"{minutes:.1f} minutes for download and training\n")
    export(run.folder, folder / "export")
    test_images = folder / "tiles" / "images" / "test"
    predict(folder / "export", [test_images], folder / "predictions", formats=("jsonl", "coco"), overlay=True)
    return scores


def _log(scores: Scores) -> None:
    for line in score_lines(scores):
        logger.info(line)
