"""The one callback of training: what happens at the end of each step and of each epoch."""

import logging
import math
import time
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.configs.schema import Stage
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.runs.run import to_csv
from retinue.pipeline.training import input_bottleneck
from retinue.pipeline.training.learning_rate_schedule import make_schedule

if TYPE_CHECKING:
    from retinue.pipeline.training.trainer import Trainer

logger = logging.getLogger(__name__)

LONG_WAIT = 10.0  # seconds that the other workers wait for the chief before a line reports it
MANY_SKIPPED = 0.1  # fraction of an epoch's steps that float16 may skip without a warning
SAVE_SECONDS = 10.0  # between two saves at the ends of epochs on cached features


class TrainerCallback(keras.callbacks.Callback):
    """Detects a loss that is not finite, saves, validates, keeps the best weights, logs, and stops early.

    Args:
        trainer: the training job.
        stage: the stage that is trained.
        last_epoch: the global epoch after which the stage ends.
    """

    def __init__(self, trainer: "Trainer", stage: Stage, last_epoch: int) -> None:
        super().__init__()
        self.trainer, self.stage, self.last_epoch = trainer, stage, last_epoch
        self.settings = trainer.settings
        self.schedule = make_schedule(trainer.settings, stage, trainer.steps_per_epoch)
        self.saved_at = time.perf_counter()
        self.is_chief = trainer.distribution.is_chief
        self.writer = None
        if self.is_chief:
            self.writer = tf.summary.create_file_writer(str(trainer.run.folder / "tensorboard"))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clocks, and continue the mean loss of an epoch that was resumed."""
        state, trainer = self.trainer.state, self.trainer
        within = state["step"] - epoch * trainer.steps_per_epoch
        if within:  # `fit` has just reset the mean loss of the epoch so far
            self.model.epoch_sums = dict(state["sums"])
        self.started_at = time.perf_counter()
        self.waited_before = self.model.input_wait_seconds
        self.first_step = within
        self.skipped_before = trainer.skipped_steps if self.model.precision == "mixed_float16" else 0
        self.first_step_ended_at: float | None = None
        trainer.progress.start(f"epoch {epoch + 1}/{self.last_epoch}", trainer.steps_per_epoch, within)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the loss, update the moving average and the progress, and save if it is time."""
        trainer, state = self.trainer, self.trainer.state
        if not math.isfinite(float((logs or {})["loss"])):
            raise self._loss_not_finite()
        state["step"] += 1
        if self.first_step_ended_at is None:
            self.first_step_ended_at = time.perf_counter()
        if trainer.average:
            trainer.average.update()
        trainer.progress.step(trainer.batch_size, self.model.input_wait_seconds - self.waited_before)
        within = state["step"] - state["epoch"] * trainer.steps_per_epoch
        if within == trainer.steps_per_epoch:
            return  # the end of the epoch saves
        minutes = self.settings.checkpoint_minutes
        due = minutes and time.perf_counter() - self.saved_at > 60 * minutes
        if due or trainer.must_stop:
            state["sums"] = dict(self.model.epoch_sums)
            self._write()
            if trainer.must_stop:
                raise KeyboardInterrupt

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Validate, log the epoch, save, and stop the stage early if the score no longer improves."""
        trainer, state = self.trainer, self.trainer.state
        self.ended_at = time.perf_counter()
        seconds = self.ended_at - self.started_at
        waited = self.model.input_wait_seconds - self.waited_before
        steps = trainer.steps_per_epoch - self.first_step
        trainer.progress.stop()
        row: dict[str, Any] = {"epoch": epoch + 1, "stage": trainer.stage_name}
        row |= {name: float(value) for name, value in (logs or {}).items()}
        first = (epoch - state["stage_first_epoch"]) * trainer.steps_per_epoch
        steps_of_epoch = np.arange(first, first + trainer.steps_per_epoch)
        row |= {"learning_rate": float(np.mean(self.schedule(steps_of_epoch)))}
        is_best = self._validate(row) if self.is_chief else False
        row |= {
            "seconds": round(seconds, 2),
            "images_per_second": round(self._images_per_second(steps), 1),
            "input_wait_fraction": round(min(waited / max(seconds, 1e-6), 1.0), 4),
            "best": is_best,
        }
        state["epochs_without_improvement"] = 0 if is_best else state["epochs_without_improvement"] + 1
        state["epoch"] = epoch + 1
        state["seconds"] += seconds
        state["history"].append(row)
        if self.is_chief:
            self._log_epoch(row, waited)
            self._stop_early(row)
        # Here the other workers wait for the chief, which alone knows the scores.
        self.model.stop_training = trainer.distribution.total(float(self.model.stop_training)) > 0
        interrupted = trainer.distribution.total(float(bool(trainer.interrupted))) > 0
        self._save(interrupted, ended=self.model.stop_training or epoch + 1 == self.last_epoch)
        if interrupted:
            raise KeyboardInterrupt

    def _loss_not_finite(self) -> RetinueError:
        trainer, state = self.trainer, self.trainer.state
        files = trainer.files_of_step(state["step"])
        within = state["step"] - state["epoch"] * trainer.steps_per_epoch
        learning_rate = self.settings.stages[trainer.stage_name].learning_rate / 10
        hint = ""
        if self.model.precision == "mixed_float16":
            hint = "; or the numbers of the model are too large for float16 (--set train.precision=mixed_bfloat16)"
        return RetinueError(
            f"the loss is not a finite number at epoch {state['epoch'] + 1}, step {within + 1}. The batch held: "
            f"{', '.join(files)}. Look at these files; if they are fine, start a new run with a lower learning rate "
            f"(--set train.stages.{trainer.stage_name}.learning_rate={learning_rate:g}){hint}"
        )

    def _stop_early(self, row: dict[str, Any]) -> None:
        patience, stale = self.settings.early_stopping_patience, self.trainer.state["epochs_without_improvement"]
        if patience and stale >= patience and row["epoch"] < self.last_epoch:
            logger.info(f"the score has not improved for {stale} epochs: stage {row['stage']} ends early")
            self.model.stop_training = True

    def _log_epoch(self, row: dict[str, Any], waited: float) -> None:
        trainer, workers = self.trainer, self.trainer.distribution.workers
        assert self.writer is not None
        with self.writer.as_default(step=row["epoch"]):
            for name, value in row.items():
                if isinstance(value, float):
                    tf.summary.scalar(name, value)
        self.writer.flush()
        logger.info(describe_epoch(row, self.last_epoch, trainer.progress.noun))
        if self.model.precision == "mixed_float16":
            steps, skipped = trainer.steps_per_epoch - self.first_step, trainer.skipped_steps - self.skipped_before
            if skipped > MANY_SKIPPED * steps:
                logger.warning(
                    f"{skipped} of {steps} steps were skipped, since their gradients were too large for float16. This "
                    "is normal at the start, until the scale of the loss is found; if it continues, use "
                    "train.precision=mixed_bfloat16"
                )
        seconds = time.perf_counter() - self.ended_at
        if trainer.evaluation and workers > 1 and seconds > LONG_WAIT:
            others = "the other worker" if workers == 2 else f"{workers - 1} other workers"
            logger.info(f"the chief scored the model alone for {seconds:.0f} s, while {others} waited")
        if not trainer.features and input_bottleneck.is_due(trainer.state["history"], waited):
            size = self.stage.input_size or trainer.config.model.input_size
            logger.warning(input_bottleneck.warning(row["input_wait_fraction"], trainer.task, trainer.columns, size))

    def _images_per_second(self, steps: int) -> float:
        """Return the speed without the first step, in which TensorFlow builds its graph."""
        if steps < 2 or self.first_step_ended_at is None:
            return steps * self.trainer.batch_size / max(self.ended_at - self.started_at, 1e-6)
        return (steps - 1) * self.trainer.batch_size / max(self.ended_at - self.first_step_ended_at, 1e-6)

    def _validate(self, row: dict[str, Any]) -> bool:
        """Score the model, or its moving average if there is one, and keep the best weights.

        Args:
            row: the row of the epoch, to which the scores are added.

        Returns:
            Whether these weights are the best so far.
        """
        trainer, state = self.trainer, self.trainer.state
        if trainer.average:
            trainer.average.swap()
        try:
            value = None
            if scores := trainer.score():
                value = scores.value
                row["val_loss"] = scores.metrics.get("log_loss")
                row |= {
                    f"val_{name}": scores.metrics.get(name)
                    for name in (scores.primary_metric, *scores.monitored_metrics)
                }
            # Without validation data the last epoch counts as the best.
            is_best = value is None or state["best"] is None or value > state["best"]
            if is_best:
                state["best"] = value
                trainer.save_best()
        finally:
            if trainer.average:
                trainer.average.swap()
        return is_best

    def _save(self, interrupted: bool, ended: bool) -> None:
        """Save at the end of an epoch. The checkpoint at the end of a stage says that the next stage begins."""
        state = self.trainer.state
        state.pop("sums", None)
        state["stage_ended"] = ended
        due = time.perf_counter() - self.saved_at > SAVE_SECONDS
        if ended or due or interrupted or not self.trainer.features:
            self._write()

    def _write(self) -> None:
        """Write the checkpoint and `metrics.csv`. Of several workers, only the chief writes."""
        if not self.is_chief:
            return
        if history := self.trainer.state["history"]:
            atomic_write(self.trainer.run.folder / "metrics.csv", to_csv(history))
        self.trainer.save()
        self.saved_at = time.perf_counter()


def describe_epoch(row: dict[str, Any], last_epoch: int, noun: str) -> str:
    """Return one epoch as a line for the screen.

    Args:
        row: a row of `metrics.csv`.
        last_epoch: the global epoch after which the stage ends.
        noun: what is counted, "images" or "clips".
    """
    score = next((name for name in row if name.startswith("val_") and name != "val_loss"), None)
    parts = [f"epoch {row['epoch']:>3}/{last_epoch}", f"loss {row['loss']:.4f}"]
    if score:
        parts.append(f"{score.removeprefix('val_')} {row[score]:.2%}" + (" best" if row["best"] else "     "))
    parts.append(f"{row['images_per_second']:.{0 if row['images_per_second'] >= 10 else 1}f} {noun}/s")
    parts.append(f"{row['seconds']:.0f} s")
    parts.append(f"{row['input_wait_fraction']:.0%} of it waiting for data")
    return "  ".join(parts)
