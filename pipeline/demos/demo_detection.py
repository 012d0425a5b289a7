"""`retinue demo detection`: tree crowns, real pictures from the air, from tiles with boxes to an export's answers."""

import logging
import time
from pathlib import Path

from retinue.configs.load import load_config
from retinue.pipeline.demos.tree_crowns import tree_crowns
from retinue.pipeline.evaluation.evaluate import evaluate, score_lines
from retinue.pipeline.exporting.export import export
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.runs.run import next_folder
from retinue.pipeline.training.train import train

logger = logging.getLogger(__name__)


def demo(out=None):
    """Run the demo in the folder `out`: tiles, run, export and predictions. Returns the `Scores` of the held-out strip.

    The headline of the run is that of the other site, which took no part in training; the strip belongs to the site
    that was learned from, and chose the best epoch.
    """
    folder = Path(out) if out else next_folder("runs", "demo")
    began = time.perf_counter()
    tiles = tree_crowns(folder / "tiles")
    logger.info(f"tree crowns: two sites from the air in tiles; one is learned from but for a strip; tiles: {tiles}")
    run, _ = train(tiles, load_config("tree-crowns"), folder / "run", command="retinue demo detection")
    minutes = (time.perf_counter() - began) / 60
    logger.info("\nthe strip of the learned site that was held out:")
    scores = evaluate(run.folder, tiles, split="val")
    _log(scores)
    logger.info("the other site:")
    _log(evaluate(run.folder, tiles, split="test"))
    logger.info(f"{minutes:.1f} minutes of fetching and training\n")
    export(run.folder, folder / "export")
    other_site = folder / "tiles" / "images" / "test"
    predict(folder / "export", [other_site], folder / "predictions", formats=("jsonl", "coco"), overlay=True)
    return scores


def _log(scores):
    for line in score_lines(scores):
        logger.info(line)
