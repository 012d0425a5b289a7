"""The one callback of training: what happens at each step's and each epoch's end."""

import logging
import math
import time

import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.runs.run import to_csv
from retinue.pipeline.training import input_bottleneck
from retinue.pipeline.training.optimizer import make_schedule

logger = logging.getLogger(__name__)

WORTH_A_LINE = 10.0  # seconds that the other workers wait
MANY_SKIPPED = 0.1  # share of an epoch's steps that float16 leaves out
SAVE_SECONDS = 10.0  # between two saves at the ends of epochs that learn from features


class TrainerCallback(keras.callbacks.Callback):
    """Watches for not-a-number, saves, validates, keeps the best, writes `metrics.csv` and TensorBoard, stops early.

    trainer: the `Trainer`; stage: `Stage`; last_epoch: the global epoch after which the stage ends.
    """

    def __init__(self, trainer, stage, last_epoch):
        super().__init__()
        self.trainer, self.stage, self.last_epoch = trainer, stage, last_epoch
        self.settings = trainer.settings
        self.schedule = make_schedule(trainer.settings, stage, trainer.steps_per_epoch)
        self.saved = time.perf_counter()
        self.is_chief, self.writer = trainer.distribution.is_chief, None
        if self.is_chief:
            self.writer = tf.summary.create_file_writer(str(trainer.run.folder / "tensorboard"))

    def on_epoch_begin(self, epoch, logs=None):
        state, trainer = self.trainer.state, self.trainer
        within = state["step"] - epoch * trainer.steps_per_epoch
        if within:  # resumed within this epoch: its mean loss so far, which fit has just reset
            self.model.epoch_sums = dict(state["sums"])
        self.started = time.perf_counter()
        self.waited = self.model.input_wait_seconds
        self.first_step = within
        self.skipped = trainer.skipped_steps if self.model.precision == "mixed_float16" else 0
        self.traced = None
        trainer.progress.start(f"epoch {epoch + 1}/{self.last_epoch}", trainer.steps_per_epoch, within)

    def on_train_batch_end(self, batch, logs=None):
        trainer, state = self.trainer, self.trainer.state
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            files = trainer.files_of_step(state["step"])
            within = state["step"] - state["epoch"] * trainer.steps_per_epoch
            rate = self.settings.stages[trainer.stage_name].learning_rate / 10
            hint = ""
            if self.model.precision == "mixed_float16":
                hint = "; or the net's numbers are too large for float16 (--set train.precision=mixed_bfloat16)"
            raise RetinueError(
                f"the loss is not a number any more at epoch {state['epoch'] + 1}, step {within + 1}. "
                f"The batch held: {', '.join(files)}. Look at these files; if they are fine, start a new run with a "
                f"lower rate (--set train.stages.{trainer.stage_name}.learning_rate={rate:g}){hint}"
            )
        state["step"] += 1
        if self.traced is None:
            self.traced = time.perf_counter()
        if trainer.average:
            trainer.average.update()
        trainer.progress.step(trainer.batch_size, self.model.input_wait_seconds - self.waited)
        within = state["step"] - state["epoch"] * trainer.steps_per_epoch
        if within == trainer.steps_per_epoch:
            return  # the epoch's end saves
        minutes = self.settings.checkpoint_minutes
        due = minutes and time.perf_counter() - self.saved > 60 * minutes
        if due or trainer.must_stop:
            state["sums"] = dict(self.model.epoch_sums)
            self._write()
            if trainer.must_stop:
                raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        trainer, state = self.trainer, self.trainer.state
        self.ended = time.perf_counter()
        seconds = self.ended - self.started
        waited = self.model.input_wait_seconds - self.waited
        steps = trainer.steps_per_epoch - self.first_step
        trainer.progress.stop()
        row = {"epoch": epoch + 1, "stage": trainer.stage_name}
        row |= {name: float(value) for name, value in logs.items()}
        first = (epoch - state["stage_first_epoch"]) * trainer.steps_per_epoch
        steps_of_epoch = np.arange(first, first + trainer.steps_per_epoch)
        row |= {"learning_rate": float(np.mean(self.schedule(steps_of_epoch)))}
        better = self._validate(row) if self.is_chief else False
        row |= {
            "seconds": round(seconds, 2),
            "images_per_second": round(self._speed(steps), 1),
            "waiting": round(min(waited / max(seconds, 1e-6), 1.0), 4),
            "best": better,
        }
        state["stale"] = 0 if better else state["stale"] + 1
        state["epoch"] = epoch + 1
        state["seconds"] += seconds
        state["history"].append(row)
        if self.is_chief:
            self._show(row, waited)
            if (
                self.settings.early_stopping_patience
                and state["stale"] >= self.settings.early_stopping_patience
                and epoch + 1 < self.last_epoch
            ):
                logger.info(f"no better score for {state['stale']} epochs: stage {row['stage']} ends early")
                self.model.stop_training = True
        # Here the other workers wait for the chief, who alone knows the scores.
        self.model.stop_training = trainer.distribution.total(float(self.model.stop_training)) > 0
        interrupted = trainer.distribution.total(float(bool(trainer.interrupted))) > 0
        self._save(interrupted, ended=self.model.stop_training or epoch + 1 == self.last_epoch)
        if interrupted:
            raise KeyboardInterrupt

    def _show(self, row, waited):
        trainer, workers = self.trainer, self.trainer.distribution.workers
        with self.writer.as_default(step=row["epoch"]):
            for name, value in row.items():
                if isinstance(value, float):
                    tf.summary.scalar(name, value)
        self.writer.flush()
        logger.info(describe(row, self.last_epoch, trainer.progress.noun))
        if self.model.precision == "mixed_float16":
            steps, skipped = trainer.steps_per_epoch - self.first_step, trainer.skipped_steps - self.skipped
            if skipped > MANY_SKIPPED * steps:
                logger.warning(
                    f"{skipped} of {steps} steps were left out, since their gradients were too large for float16: some "
                    "are at the start, until the scale of the loss is found; if it goes on, "
                    "train.precision=mixed_bfloat16"
                )
        seconds = time.perf_counter() - self.ended
        if trainer.validate and workers > 1 and seconds > WORTH_A_LINE:
            others = "the other worker" if workers == 2 else f"{workers - 1} others"
            logger.info(f"the chief scored alone for {seconds:.0f} s, while {others} waited")
        if not trainer.features and input_bottleneck.is_due(trainer.state["history"], waited):
            size = self.stage.input_size or trainer.config.model.input_size
            logger.warning(input_bottleneck.warning(row["waiting"], trainer.task, trainer.columns, size))

    def _speed(self, steps):
        """Images a second, without the first step, in which TensorFlow builds its graph."""
        if steps < 2:
            return steps * self.trainer.batch_size / max(self.ended - self.started, 1e-6)
        return (steps - 1) * self.trainer.batch_size / max(self.ended - self.traced, 1e-6)

    def _validate(self, row):
        """Score the model (its average, if one is kept), keep it if it is the best. Returns whether it was."""
        trainer, state = self.trainer, self.trainer.state
        if trainer.average:
            trainer.average.swap()
        try:
            value = None
            if scores := trainer.score():
                value = scores.value
                row["val_loss"] = scores.numbers.get("log_loss")
                row |= {
                    f"val_{name}": scores.numbers.get(name)
                    for name in (scores.primary_metric, *scores.monitored_metrics)
                }
            # Without validation data the last epoch is the best there is.
            better = value is None or state["best"] is None or value > state["best"]
            if better:
                state["best"] = value
                trainer.save_best()
        finally:
            if trainer.average:
                trainer.average.swap()
        return better

    def _save(self, interrupted, ended):
        """The checkpoint at an epoch's end. One at a stage's end says that the next stage is to begin."""
        state = self.trainer.state
        state.pop("sums", None)
        state["stage_ended"] = ended
        waited = time.perf_counter() - self.saved > SAVE_SECONDS
        if ended or waited or interrupted or not self.trainer.features:
            self._write()

    def _write(self):
        """The checkpoint and what follows from it. Of several workers the chief alone writes."""
        if not self.is_chief:
            return
        if history := self.trainer.state["history"]:
            atomic_write(self.trainer.run.folder / "metrics.csv", to_csv(history))
        self.trainer.save()
        self.saved = time.perf_counter()


def describe(row, last_epoch, noun):
    """One epoch as a line for the screen."""
    score = next((name for name in row if name.startswith("val_") and name != "val_loss"), None)
    parts = [f"epoch {row['epoch']:>3}/{last_epoch}", f"loss {row['loss']:.4f}"]
    if score:
        parts.append(f"{score.removeprefix('val_')} {row[score]:.2%}" + (" best" if row["best"] else "     "))
    parts.append(f"{row['images_per_second']:.{0 if row['images_per_second'] >= 10 else 1}f} {noun}/s")
    parts.append(f"{row['seconds']:.0f} s")
    parts.append(f"{row['waiting']:.0%} of it waiting for data")
    return "  ".join(parts)
