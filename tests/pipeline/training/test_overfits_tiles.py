"""The whole of training on real images: a detector can learn eight tiles of tree crowns by heart."""

import keras
import numpy as np
import pytest

from retinue.configs.load import load_config
from retinue.configs.machine import cache_folder
from retinue.data.readers.read import read
from retinue.pipeline.demos.tree_crowns import write_tiles
from retinue.pipeline.evaluation.evaluate import Evaluation
from retinue.pipeline.runs.progress import Progress
from retinue.pipeline.runs.run import Run
from retinue.pipeline.training.trainer import Trainer
from retinue.tasks.detection.task import Detection

# The demo's recipe without what makes it general: no random changes, no average of the weights.
BY_HEART = [
    *("augment.horizontal_flip=false", "augment.vertical_flip=false", "augment.random_rot90=false"),
    *("augment.crop_scale=[1, 1]", "augment.brightness=0", "augment.contrast=0", "augment.saturation=0"),
    *("train.stages.all.epochs=80", "train.warmup_epochs=5", "train.ema_decay=0", "evaluate.bootstrap_samples=0"),
]


@pytest.mark.slow  # three minutes of two cores
def test_eight_real_tiles_are_learned_by_heart(tmp_path):
    images = cache_folder("packages") / "deepforest-2.1.0" / "deepforest" / "data"
    if not images.is_dir():
        pytest.skip("the images are not there; `retinue demo detection` fetches them")
    data = read(write_tiles(images, tmp_path / "tiles"))
    tiles = data.split("train").take(np.arange(8))
    assert len(tiles.columns["boxes"].values) == 135
    config = load_config("tree-crowns", settings=BY_HEART)
    keras.utils.set_random_seed(config.seed)
    task = Detection(config, data.classes)
    model = task.build()
    run = Run.create(tmp_path / "run", task, "test")
    history = Trainer(run, task, model, tiles, None, Progress()).run_all()
    assert history[-1]["loss"] < 0.5 * history[10]["loss"]
    scores = Evaluation(task, model, tiles)()
    assert scores.metrics["ap50"] > 0.95
    recalls = {row["proposals"]: row["recall"] for row in scores.tables["proposal_recall"]}
    assert recalls[100] > 0.9
