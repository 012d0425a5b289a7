"""A classification job small enough to train in a test: 4x4 colored squares, a model of two layers.

Run as a program it trains in the folder argv[1] on the images in argv[2], with the settings that follow, and goes on
with what is there already.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from retinue.backbones.dropout import Dropout
from retinue.configs.load import load_config
from retinue.data.readers.read import read
from retinue.pipeline.evaluation.evaluate import Evaluation
from retinue.pipeline.runs.progress import Progress
from retinue.pipeline.runs.run import Run
from retinue.pipeline.training.trainer import Trainer
from retinue.tasks.classification.task import Classification
from retinue.tasks.model import TaskModel

SETTINGS = [
    "model.input_size=8",
    "train.batch_size=4",
    "train.stages.head.epochs=2",
    "train.stages.all.epochs=3",
    "train.ema_decay=0.9",
    "train.checkpoint_minutes=0.00001",
    "evaluate.bootstrap_samples=0",
    "train.cached_feature_views=0",
]


class Tiny(Classification):
    """Classification on a model with everything that has state: batch norm, dropout, a frozen part."""

    def read_image(self, encoded, upright_jpeg=False):
        """PNG alone: tracing the decoder of all formats takes most of the time of a training this small."""
        return tf.io.decode_png(encoded, channels=3)

    def build(self, weights=None, class_counts=None):
        image = keras.Input((None, None, 3), name="image")
        x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
        x = keras.layers.Conv2D(4, 3, padding="same", name="trunk")(x)
        x = keras.layers.BatchNormalization(name="trunk_norm")(x)
        x = keras.layers.GlobalAveragePooling2D(name="head_pool")(keras.layers.ReLU(name="trunk_relu")(x))
        x = Dropout(0.3, name="head_dropout")(x)
        logits = keras.layers.Dense(len(self.classes), name="head_logits")(x)

        def loss(targets, outputs):
            return {"loss": keras.losses.categorical_crossentropy(targets, outputs, from_logits=True)}

        backbone = ["image", "scale", "trunk", "trunk_norm", "trunk_relu"]
        return TaskModel(image, logits, loss, ("loss",), backbone)


def make_images(folder, count=14):
    """`count` noisy squares of each of two colors, in class folders."""
    random = np.random.default_rng(0)
    for label, color in (("blue", (60, 60, 190)), ("red", (190, 60, 60))):
        for number in range(count):
            pixels = np.clip(random.normal(color, 60, (8, 8, 3)), 0, 255).astype(np.uint8)
            path = Path(folder) / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return Path(folder)


def make_trainer(folder, image_folder, settings=(), resume=False):
    """A `Trainer` in the run folder `folder`, everything built anew, as a new process would."""
    config = load_config(settings=[*SETTINGS, *settings])
    dataset = read(str(image_folder))
    keras.utils.set_random_seed(config.seed)
    task = Tiny(config, dataset.classes)
    model = task.build()
    validation = dataset.take(np.arange(0, len(dataset), 4))
    learning = dataset.take(np.setdiff1d(np.arange(len(dataset)), np.arange(0, len(dataset), 4)))
    run = Run(folder) if resume else Run.create(folder, task, "test")
    return Trainer(run, task, model, learning, Evaluation(task, model, validation), Progress())


def run_with_stops(folder, image_folder, stops, settings=()):
    """Train in `folder`, stopped after each of the steps in `stops` and resumed by a new `Trainer`. Gives the last."""
    for number, stop in enumerate([*stops, None]):
        trainer = make_trainer(folder, image_folder, settings, resume=number > 0)
        original = trainer.progress.step

        def step(images, waiting, trainer=trainer, stop=stop, original=original):
            original(images, waiting)
            if trainer.state["step"] == stop:
                trainer.stop_soon("test")

        trainer.progress.step = step
        if stop is None:
            trainer.run_all(resume=True)
        else:
            with pytest.raises(KeyboardInterrupt):
                trainer.run_all(resume=number > 0)
    return trainer


def final_state(trainer):
    """All that must be equal at the end: weights, averages and optimizer, and the history without its timings."""
    groups = trainer._variable_groups()
    values = [np.array(variable.numpy()) for group in groups.values() for variable in group]
    timings = ("seconds", "images_per_second", "input_wait_fraction")
    return values, [{k: v for k, v in row.items() if k not in timings} for row in trainer.state["history"]]


if __name__ == "__main__":
    resume = any(Path(sys.argv[1]).glob("last/checkpoint-*.npz"))
    job = make_trainer(sys.argv[1], sys.argv[2], sys.argv[3:], resume=(Path(sys.argv[1]) / "run.json").exists())
    job.run_all(resume=resume)
    np.savez(Path(sys.argv[1]) / "final.npz", *final_state(job)[0])
