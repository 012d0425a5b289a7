"""Training through the stages with Keras' `fit`. A job that was killed can be resumed with bit-identical results.

The data of a step, and everything random in it, follow from (seed, epoch, step). Everything else is in the checkpoint.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from retinue.backbones.dropout import Dropout
from retinue.configs.errors import PreemptedError, RetinueError
from retinue.configs.schema import Stage
from retinue.data import batches, record_order
from retinue.data.dataset import Dataset
from retinue.data.storage.atomic_files import atomic_path, remove_leftovers
from retinue.pipeline.evaluation.evaluate import Evaluation
from retinue.pipeline.runs.progress import Progress
from retinue.pipeline.runs.run import Run
from retinue.pipeline.runtimes.tensorflow_runtime import is_out_of_memory
from retinue.pipeline.training import checkpoint
from retinue.pipeline.training.distribute import Distribution, is_lost_worker
from retinue.pipeline.training.ema import MovingAverage
from retinue.pipeline.training.features import StageFeatures, find_feature_models
from retinue.pipeline.training.freeze import apply_stage
from retinue.pipeline.training.learning_rate_schedule import scale_learning_rates
from retinue.pipeline.training.optimizer import make_optimizer
from retinue.pipeline.training.stop_signals import stop_on_signals
from retinue.pipeline.training.trainer_callback import TrainerCallback
from retinue.pipeline.training.training_step import out_of_memory_error, refuse_impossible_step
from retinue.tasks.feature_models import FeatureModels
from retinue.tasks.model import TaskModel
from retinue.tasks.scores import Scores
from retinue.tasks.task import Task

logger = logging.getLogger(__name__)

READ_AHEAD = 32  # how many batches tf.data may have begun beyond the current step


class Trainer:
    """A training job.

    Of several workers, only the chief writes and scores; the others wait for it at the end of every epoch.

    A stage that trains only the head uses cached features (features.py) where it can. Then `trained_model` is the head
    as a model of its own, on the layers of the whole model, and files are written every few seconds, since an epoch
    takes less.

    Args:
        run: the run folder.
        task: the task.
        model: the model, built.
        train: the training data.
        evaluation: the scoring of the model on the validation data, or None without validation data.
        progress: the progress on the screen.
        callbacks: more Keras callbacks, which must not change anything.
        distribution: how steps are distributed; by default on one device.

    Attributes:
        trained_model: the model that `fit` is called on: the whole model or its head.
        stages: the names and settings of the stages, with the learning rates that are used.
        state: what a checkpoint holds beside the variables; epoch and step count over all stages.
        interrupted: why the job was asked to stop, or None.
    """

    def __init__(
        self,
        run: Run,
        task: Task,
        model: TaskModel,
        train: Dataset,
        evaluation: Evaluation | None,
        progress: Progress,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        distribution: Distribution | None = None,
    ) -> None:
        self.distribution = distribution or Distribution()
        self.run, self.task, self.model, self.progress = run, task, model, progress
        self.config, self.settings = task.config, task.config.train
        self.evaluation, self.callbacks = evaluation, list(callbacks)
        self.trained_model = model
        self.train, self.files, self.num_files = train, train.files, len(train)
        self.columns, self.labels = task.columns(train), train.columns.get("label")
        self.feature_models: FeatureModels | None = None
        self.features: StageFeatures | None = None
        self.order = "balanced" if self.settings.class_balance == "sampler" else "shuffle"
        self.batch_size = min(int(self.settings.batch_size), self.num_files)
        self.steps_per_epoch = record_order.steps_per_epoch(self.num_files, self.batch_size)
        self.average = MovingAverage(model, self.settings.ema_decay) if self.settings.ema_decay else None
        # What is impossible is reported before anything is done.
        refuse_impossible_step(self.settings, self.distribution, self.num_files)
        self.checkpoint_folder: Path = run.folder / "last"
        self.stages: list[tuple[str, Stage]] = [
            (name, scale_learning_rates(stage, self.settings, self.batch_size))
            for name, stage in self.settings.stages.items()
        ]
        self.state: dict[str, Any] = {
            "stage": 0,
            "epoch": 0,
            "step": 0,
            "stage_first_epoch": 0,
            "stage_ended": False,
            "best": None,
            "epochs_without_improvement": 0,
            "history": [],
            "seconds": 0.0,
        }
        self.interrupted: str | None = None
        self._unwritten_best: list[np.ndarray] | None = None

    def run_all(self, resume: bool = False) -> list[dict[str, Any]]:
        """Train all stages that are left.

        Args:
            resume: whether to continue from the newest checkpoint.

        Returns:
            The history: the rows of `metrics.csv`.

        Raises:
            PreemptedError: SIGTERM, or another worker, ended the job. Everything is saved.
            KeyboardInterrupt: Ctrl-C ended the job. Everything is saved unless it was pressed twice.
            RetinueError: a file is damaged, the loss is not finite, or the memory or the disk is full.
        """
        path = self._find_checkpoint() if resume else None
        if path:
            logger.info(f"resumed after step {self.state['step']:,}, in epoch {self.state['epoch'] + 1}")
        with stop_on_signals(self.stop_soon):
            try:
                while self.state["stage"] < len(self.stages):
                    self._prepare_stage()
                    if path:
                        checkpoint.restore(path, self._variable_groups())
                        path = None
                    self._run_stage()
            except KeyboardInterrupt:
                asked_elsewhere = self.interrupted is None and self.distribution.workers > 1
                if self.interrupted != "SIGTERM" and not asked_elsewhere:
                    raise
                raise PreemptedError("SIGTERM ended the training; everything is saved") from None
            finally:
                self.progress.stop()
        return self.state["history"]

    @property
    def can_resume(self) -> bool:
        """Whether there is a checkpoint."""
        return bool(checkpoint.list_checkpoints(self.checkpoint_folder))

    @property
    def must_stop(self) -> bool:
        """Whether this step is the last one, because this process or another one was asked to stop."""
        if self.distribution.workers == 1:
            return self.interrupted is not None
        return self.trained_model.stop_confirmed

    @property
    def stage_name(self) -> str:
        """The name of the current stage."""
        return self.stages[self.state["stage"]][0]

    @property
    def skipped_steps(self) -> int:
        """How many steps of this stage were skipped so far, because their gradients were not finite in float16."""
        first_step = self.state["stage_first_epoch"] * self.steps_per_epoch
        return self.state["step"] - first_step - int(self.trained_model.optimizer.iterations.numpy())

    @property
    def _padding_matters(self) -> bool:
        """Whether padding changes the training: it enters the statistics of batch norms."""
        norms = (layer for layer in self.model.layers if isinstance(layer, keras.layers.BatchNormalization))
        return self.task.padding(training=True) is not None and any(layer.trainable for layer in norms)

    def stop_soon(self, reason: str) -> None:
        """Save and stop at the end of the current step."""
        self.interrupted, self.trained_model.stop_requested = reason, True
        logger.warning(f"{reason}: saving at the end of this step")

    def first_batch(self, training: bool, dataset: Dataset | None = None) -> Any:
        """Return (inputs, targets) as NumPy arrays: the first training batch, or the first batch of `dataset`."""
        stage = self.stages[0][1]
        columns = self.columns if dataset is None else self.task.columns(dataset)
        data = batches.batches(
            columns,
            self.task.example(training, stage.input_size if training else None),
            batch_size=min(self.batch_size, 16),
            training=training,
            seed=self.config.seed,
            mix=self.task.batch_mixing() if training else None,
            padding=self.task.padding(training=True),
        )
        return tf.nest.map_structure(lambda value: value.numpy(), next(iter(data)))

    def save(self) -> None:
        """Write the checkpoint, and the best weights if they are not written yet."""
        if self._unwritten_best is not None:
            current = [weight.numpy() for weight in self.trained_model.weights]
            _assign(self.trained_model, self._unwritten_best)
            self._write_best()
            _assign(self.trained_model, current)
            self._unwritten_best = None
        checkpoint.save(self.checkpoint_folder, self._variable_groups(), self.state, self.settings.max_checkpoints)

    def save_best(self) -> None:
        """Keep the current weights as the best. In a stage on cached features, the next `save` writes them."""
        if self.features:
            self._unwritten_best = [weight.numpy() for weight in self.trained_model.weights]
        else:
            self._write_best()

    def score(self) -> Scores | None:
        """Return the scores of the model as it is, or None without validation data."""
        if self.evaluation is None:
            return None
        return self.features.scores() if self.features else self.evaluation()

    def rows_of_step(self, step: int) -> np.ndarray:
        """Return the rows, int `[batch_size]`, of the training files in the batch of a global step."""
        return record_order.batch_rows(
            self.num_files, self.labels, batch_size=self.batch_size, seed=self.config.seed, order=self.order, step=step
        )

    def files_of_step(self, step: int) -> list[str]:
        """Return the names of the files in the batch of a global step."""
        return [str(self.files[row]) for row in self.rows_of_step(step)]

    def _find_checkpoint(self) -> Path:
        chief = self.distribution.is_chief
        if chief:
            remove_leftovers(self.run.folder)
            remove_leftovers(self.checkpoint_folder)
        path, self.state = checkpoint.read_newest(self.checkpoint_folder, set_aside_damaged=chief)
        step, workers = self.state["step"], self.distribution.workers
        if self.distribution.total(float(step)) != step * workers:
            raise RetinueError(
                f"{self.checkpoint_folder}: the {workers} workers found different checkpoints there; the run folder "
                "must lie on a disk that all of them share"
            )
        return path

    def _write_best(self) -> None:
        try:
            with atomic_path(self.run.folder / "best.weights.h5") as temporary:
                self.model.save_weights(temporary)
        except OSError as error:
            raise RetinueError(
                f"{self.run.folder}: could not save the best weights ({error.strerror or error}); the earlier ones are "
                "complete. Free disk space and continue with --resume"
            ) from None

    def _prepare_stage(self) -> None:
        """Freeze layers, choose between the whole model and its head, and compile."""
        name, stage = self.stages[self.state["stage"]]
        with self.distribution.scope():
            description = apply_stage(self.model, stage, self.settings)
        self.feature_models, reason_without = find_feature_models(
            self.task, self.model, self.state["stage"], self.distribution.replicas
        )
        model = self.trained_model = self.feature_models.head if self.feature_models else self.model
        if self.average:
            self.average.follow(model.weights)
        model.batch_size, model.stop_requested = self.batch_size, self.interrupted is not None
        if not self.feature_models:  # a head on cached features needs little time and memory
            model.precision = self.settings.precision
            model.gradient_accumulation_steps = self.settings.gradient_accumulation_steps
        for layer in model.layers:
            if isinstance(layer, Dropout):  # a micro-batch has no position in the mask of the full batch
                layer.batch_size = self.batch_size if model.gradient_accumulation_steps == 1 else None
        with self.distribution.scope():
            optimizer = make_optimizer(self.settings, stage, model, self.steps_per_epoch)
            model.compile(optimizer=optimizer)
            optimizer.build(model.trainable_variables)
        if self.state["step"] == self.state["stage_first_epoch"] * self.steps_per_epoch:
            self._log_stage(name, stage, description, reason_without)

    def _log_stage(self, name: str, stage: Stage, description: str, reason_without_features: str) -> None:
        size = stage.input_size or self.config.model.input_size
        logger.info(
            f"stage {name}: {stage.epochs} epochs, learning rate {stage.learning_rate:g}, {size} px; {description}"
        )
        if self.distribution.workers > 1 and self._padding_matters:
            logger.info(
                f"stage {name}: every worker reads the full batches, since the padding of images enters the statistics "
                "of batch norms (with train.batch_norm=frozen it would read only its own part)"
            )
        if reason_without_features:
            logger.info(f"stage {name}: features are not cached, since {reason_without_features}")

    def _run_stage(self) -> None:
        _, stage = self.stages[self.state["stage"]]
        last_epoch = self.state["stage_first_epoch"] + stage.epochs
        if self.feature_models and self.state["epoch"] < last_epoch and not self.state["stage_ended"]:
            self._compute_features(stage, self.feature_models)
        callback = TrainerCallback(self, stage, last_epoch)
        within = self.state["step"] - self.state["epoch"] * self.steps_per_epoch
        if within and not self.state["stage_ended"]:  # it was stopped within an epoch, whose rest comes first
            self._fit(stage, callback, self.state["epoch"] + 1, self.steps_per_epoch - within)
        if self.state["epoch"] < last_epoch and not self.state["stage_ended"]:
            self._fit(stage, callback, last_epoch, self.steps_per_epoch)
        self.features = None
        self.state["stage"] += 1
        self.state |= {
            "stage_first_epoch": self.state["epoch"],
            "stage_ended": False,
            "epochs_without_improvement": 0,
        }

    def _compute_features(self, stage: Stage, models: FeatureModels) -> None:
        validation = self.evaluation.dataset if self.evaluation else None
        first_epoch = self.state["stage_first_epoch"]
        self.features = StageFeatures(self.task, models, stage, first_epoch, self.train, validation, self.order)
        self.features.compute(self.progress, stopped=lambda: self.interrupted is not None)

    def _make_dataset(self, stage: Stage) -> Any:
        if self.features:
            return self.features.batches(self.batch_size, self.state["step"])

        def make(replica_slices: list[tuple[int, int]] | None) -> tf.data.Dataset:
            return batches.batches(
                self.columns,
                self.task.example(training=True, input_size=stage.input_size),
                batch_size=self.batch_size,
                training=True,
                seed=self.config.seed,
                order=self.order,
                first_step=self.state["step"],
                mix=self.task.batch_mixing(),
                padding=self.task.padding(training=True),
                replica_slices=replica_slices,
                pad_to_full_batch=self._padding_matters,
            )

        return self.distribution.distribute_dataset(self.batch_size, make)

    def _fit(self, stage: Stage, callback: TrainerCallback, last_epoch: int, steps: int) -> None:
        data = self._make_dataset(stage)
        try:
            self.trained_model.fit(
                data,
                initial_epoch=self.state["epoch"],
                epochs=last_epoch,
                steps_per_epoch=steps,
                # The other callbacks need the whole model.
                callbacks=[callback] if self.features else [callback, *self.callbacks],
                shuffle=False,
                verbose=0,
            )
        except tf.errors.OpError as error:
            if is_out_of_memory(error):
                size = stage.input_size or self.config.model.input_size
                raise out_of_memory_error(self.settings, self.batch_size, size) from error
            if self.distribution.workers > 1 and is_lost_worker(error):
                raise
            rows = [row for ahead in range(READ_AHEAD) for row in self.rows_of_step(self.state["step"] + ahead)]
            failing = batches.first_failing_record(self.columns, self.task.example(training=False), rows)
            if failing is None:
                raise
            raise RetinueError(f"{failing}. Restore the file and continue with --resume, or start a new run") from error

    def _variable_groups(self) -> dict[str, Sequence[Any]]:
        groups = {
            "model": self.model.variables,
            "optimizer": self.trained_model.optimizer.variables,
        }
        return groups | ({"average": self.average.variables} if self.average else {})


def _assign(model: keras.Model, values: Sequence[np.ndarray]) -> None:
    for weight, value in zip(model.weights, values, strict=True):
        weight.assign(value)
