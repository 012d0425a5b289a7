"""Training through the stages with Keras's `fit`, such that a killed job goes on as if nothing had happened.

The data of a step, and everything random in it, follow from (seed, epoch, step); the rest is in the checkpoint.
"""

import logging
import signal

import keras
import tensorflow as tf

from retinue.backbones.dropout import Dropout
from retinue.configs.errors import PreemptedError, RetinueError
from retinue.data import batches, record_order
from retinue.data.storage.atomic_files import atomic_path, remove_leftovers
from retinue.pipeline.runtimes.tensorflow_runtime import is_out_of_memory
from retinue.pipeline.training import checkpoint
from retinue.pipeline.training.distribute import Distribution, is_loss
from retinue.pipeline.training.ema import MovingAverage
from retinue.pipeline.training.features import StageFeatures, find_feature_models
from retinue.pipeline.training.freeze import apply_stage
from retinue.pipeline.training.optimizer import make_optimizer
from retinue.pipeline.training.step_settings import out_of_memory, refuse_step, scaled_stage
from retinue.pipeline.training.trainer_callback import TrainerCallback

logger = logging.getLogger(__name__)

READ_AHEAD = 32  # batches that tf.data may have begun beyond the present step


class Trainer:
    """A training job.

    run: `Run`; task: `Task`; model: `TaskModel`, built; train: `Dataset` to learn from; progress: `Progress`;
    validate: `Evaluation` of the model, or None without validation data. callbacks: more of Keras's callbacks; they may
    look, and change nothing. distribution: `Distribution`, by default one device. Of several workers the chief alone
    writes, scores and looks; the others wait for it at the end of every epoch.

    A stage that trains the head alone learns from features (features.py) where it can: `learner` is then the head as a
    model of its own, on the net's layers, and what is written is written every few seconds, since an epoch takes less.
    """

    def __init__(self, run, task, model, train, validate, progress, callbacks=(), distribution=None):
        self.distribution = distribution or Distribution()
        self.run, self.task, self.model, self.progress = run, task, model, progress
        self.config, self.settings = task.config, task.config.train
        self.validate, self.callbacks = validate, list(callbacks)
        self.learner = model  # what `fit` is called on: the net, or its head
        self.train, self.feature_models, self.features = train, None, None
        self.columns, self.count = task.columns(train), len(train)
        self.files = train.files
        self.order = "balanced" if self.settings.class_balance == "sampler" else "shuffle"
        self.labels = train.columns.get("label")
        self.batch_size = min(self.settings.batch_size, self.count)
        self.steps_per_epoch = record_order.steps_per_epoch(self.count, self.batch_size)
        self.average = MovingAverage(model, self.settings.ema_decay) if self.settings.ema_decay else None
        refuse_step(self.settings, self.distribution, self.count)  # what can't be is told before anything is done
        self.checkpoints = run.folder / "last"
        self.stages = [
            (name, scaled_stage(stage, self.settings, self.batch_size)) for name, stage in self.settings.stages.items()
        ]
        # What a checkpoint keeps beside the variables. epoch and step count over all stages.
        self.state = {
            "stage": 0,
            "epoch": 0,
            "step": 0,
            "stage_first_epoch": 0,
            "stage_ended": False,
            "best": None,
            "stale": 0,
            "history": [],
            "seconds": 0.0,
        }
        self.interrupted, self.noted_best = None, None

    def run_all(self, resume=False):
        """Train all stages that are left. Returns the history, the rows of `metrics.csv`."""
        path = self._find_checkpoint() if resume else None
        with _signals_noted(self):
            try:
                while self.state["stage"] < len(self.stages):
                    self._prepare_stage()
                    if path:
                        checkpoint.restore(path, self._groups())
                        path = None
                    self._run_stage()
            except KeyboardInterrupt:
                asked_elsewhere = self.interrupted is None and self.distribution.workers > 1
                if self.interrupted != "SIGTERM" and not asked_elsewhere:
                    raise
                raise PreemptedError("stopped by SIGTERM; everything is saved") from None
            finally:
                self.progress.stop()
        return self.state["history"]

    @property
    def can_resume(self):
        """Whether anything was saved."""
        return bool(checkpoint.listed(self.checkpoints))

    @property
    def _sees_padding(self):
        """Whether padding changes what is learned, since statistics of batch norms are also of it."""
        norms = (layer for layer in self.model.layers if isinstance(layer, keras.layers.BatchNormalization))
        return self.task.padding(training=True) is not None and any(layer.trainable for layer in norms)

    @property
    def must_stop(self):
        """Whether this step is the last one because this process or another was asked to stop."""
        return self.interrupted if self.distribution.workers == 1 else self.learner.stop_confirmed

    def _find_checkpoint(self):
        chief = self.distribution.is_chief
        if chief:
            remove_leftovers(self.run.folder)
            remove_leftovers(self.checkpoints)
        path, self.state = checkpoint.newest(self.checkpoints, tidy=chief)
        step, workers = self.state["step"], self.distribution.workers
        if self.distribution.total(float(step)) != step * workers:
            raise RetinueError(
                f"{self.checkpoints}: the {workers} workers found different checkpoints there; the run folder must lie "
                "on a disk that all of them share"
            )
        return path

    def stop_soon(self, reason):
        """Save and stop at the end of the present step."""
        self.interrupted, self.learner.stop_requested = reason, True
        logger.warning(f"{reason}: saving at the end of this step")

    def first_batch(self, training, dataset=None):
        """(inputs, targets) as numpy arrays: the first training batch, or that of `dataset`."""
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

    @property
    def stage_name(self):
        """Name of the present stage."""
        return self.stages[self.state["stage"]][0]

    @property
    def skipped_steps(self):
        """How many steps of this stage were left out so far, since their gradients were not finite in float16."""
        first_step = self.state["stage_first_epoch"] * self.steps_per_epoch
        return self.state["step"] - first_step - int(self.learner.optimizer.iterations.numpy())

    def save(self):
        """Write the checkpoint, and the best weights if they have been but noted."""
        if self.noted_best is not None:
            now = [weight.numpy() for weight in self.learner.weights]
            _assign(self.learner, self.noted_best)
            self._write_best()
            _assign(self.learner, now)
            self.noted_best = None
        checkpoint.save(self.checkpoints, self._groups(), self.state, self.settings.max_checkpoints)

    def save_best(self):
        """Keep the present weights as the best. In a stage from features they are but noted, and `save` writes them."""
        if self.features:
            self.noted_best = [weight.numpy() for weight in self.learner.weights]
        else:
            self._write_best()

    def score(self):
        """`Scores` of the model as it is, or None without validation data."""
        if self.validate is None:
            return None
        return self.features.scores() if self.features else self.validate()

    def _write_best(self):
        try:
            with atomic_path(self.run.folder / "best.weights.h5") as temporary:
                self.model.save_weights(temporary)
        except OSError as error:
            raise RetinueError(
                f"{self.run.folder}: could not save the best weights ({error.strerror or error}); "
                "the ones before them are whole. Make room and go on with --resume"
            ) from None

    def rows_of_step(self, step):
        """Rows of the training files that are in the batch of global step `step`."""
        return record_order.batch_rows(
            self.count, self.labels, batch_size=self.batch_size, seed=self.config.seed, order=self.order, step=step
        )

    def files_of_step(self, step):
        """Names of the files in the batch of global step `step`."""
        return [str(self.files[row]) for row in self.rows_of_step(step)]

    def _prepare_stage(self):
        name, stage = self.stages[self.state["stage"]]
        with self.distribution.scope():
            learns = apply_stage(self.model, stage, self.settings)
        self.feature_models, why_not = find_feature_models(
            self.task, self.model, self.state["stage"], self.distribution.replicas
        )
        self.learner = self.feature_models.head if self.feature_models else self.model
        if self.average:
            self.average.follow(self.learner.weights)
        self.learner.batch_size, self.learner.stop_requested = self.batch_size, bool(self.interrupted)
        if not self.feature_models:  # a head on features takes little time and memory
            self.learner.precision, self.learner.gradient_accumulation_steps = (
                self.settings.precision,
                self.settings.gradient_accumulation_steps,
            )
        for layer in self.learner.layers:
            if isinstance(layer, Dropout):  # parts of a share have no place in the whole batch's mask
                layer.batch_size = self.batch_size if self.learner.gradient_accumulation_steps == 1 else None
        with self.distribution.scope():
            optimizer = make_optimizer(self.settings, stage, self.learner, self.steps_per_epoch)
            self.learner.compile(optimizer=optimizer)
            optimizer.build(self.learner.trainable_variables)
        if self.state["epoch"] == self.state["stage_first_epoch"]:
            size = stage.input_size or self.config.model.input_size
            logger.info(f"stage {name}: {stage.epochs} epochs at rate {stage.learning_rate:g}, {size} px; {learns}")
            if self.distribution.workers > 1 and self._sees_padding:
                logger.info(
                    f"stage {name}: every worker reads whole batches, since statistics of batch norms are also of what "
                    "pictures are padded with (train.batch_norm=frozen: its own share alone)"
                )
            if why_not:
                logger.info(f"stage {name}: no features are kept, since {why_not}")

    def _run_stage(self):
        _, stage = self.stages[self.state["stage"]]
        last = self.state["stage_first_epoch"] + stage.epochs
        if self.feature_models and self.state["epoch"] < last and not self.state["stage_ended"]:
            self._find_features(stage)
        log = TrainerCallback(self, stage, last)
        within = self.state["step"] - self.state["epoch"] * self.steps_per_epoch
        if within and not self.state["stage_ended"]:  # stopped in the middle of an epoch: its rest first
            self._fit(stage, log, self.state["epoch"] + 1, self.steps_per_epoch - within)
        if self.state["epoch"] < last and not self.state["stage_ended"]:
            self._fit(stage, log, last, self.steps_per_epoch)
        self.features = None
        self.state["stage"] += 1
        self.state |= {"stage_first_epoch": self.state["epoch"], "stage_ended": False, "stale": 0}

    def _find_features(self, stage):
        held_out = self.validate.dataset if self.validate else None
        first_epoch = self.state["stage_first_epoch"]
        self.features = StageFeatures(
            self.task, self.feature_models, stage, first_epoch, self.train, held_out, self.order
        )
        self.features.compute(self.progress, stopped=lambda: self.interrupted)

    def _batches(self, stage):
        if self.features:
            return self.features.batches(self.batch_size, self.state["step"])

        def make(replica_slices):
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
                pad_to_full_batch=self._sees_padding,
            )

        return self.distribution.spread(self.batch_size, make)

    def _fit(self, stage, log, last_epoch, steps):
        data = self._batches(stage)
        try:
            self.learner.fit(
                data,
                initial_epoch=self.state["epoch"],
                epochs=last_epoch,
                steps_per_epoch=steps,
                callbacks=[log] if self.features else [log, *self.callbacks],  # these want the whole net
                shuffle=False,
                verbose=0,
            )
        except tf.errors.OpError as error:
            if is_out_of_memory(error):
                size = stage.input_size or self.config.model.input_size
                raise out_of_memory(self.settings, self.batch_size, size) from error
            if self.distribution.workers > 1 and is_loss(error):
                raise
            rows = [row for ahead in range(READ_AHEAD) for row in self.rows_of_step(self.state["step"] + ahead)]
            broken = batches.first_failing_record(self.columns, self.task.example(training=False), rows)
            if broken is None:
                raise
            raise RetinueError(
                f"{broken}. Put it back as it was and go on with --resume, or start a new run"
            ) from error

    def _groups(self):
        groups = {
            "model": self.model.variables,
            "optimizer": self.learner.optimizer.variables,
        }
        return groups | ({"average": self.average.variables} if self.average else {})


def _assign(model, values):
    for weight, value in zip(model.weights, values, strict=True):
        weight.assign(value)


class _signals_noted:
    """Ctrl-C and SIGTERM save and stop at the end of a step; a second Ctrl-C stops at once."""

    def __init__(self, trainer):
        self.trainer, self.before = trainer, {}

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self.before[number] = signal.signal(number, self._note)
            except ValueError:  # not the main thread
                return

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number, _):
        if self.trainer.interrupted:
            raise KeyboardInterrupt
        self.trainer.stop_soon(signal.Signals(number).name)
