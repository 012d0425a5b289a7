"""Frozen features: what a frozen backbone says of each photo is computed once, through the fastest runtime.

A stage that trains the head alone would otherwise run the whole net over every photo in every epoch, for the same
answers but for the augmentation. Here each photo has `train.cached_feature_views` changed copies; epoch e of the
stage learns
from copy e mod views. With as many views as epochs the head learns from the very pictures that it would see without.
"""

import dataclasses
import logging
import time

import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.data import batches, record_order
from retinue.pipeline.runs.run import versions
from retinue.pipeline.runtimes import runtimes, tensorflow_runtime
from retinue.pipeline.runtimes.batching import CPU_BATCH
from retinue.pipeline.runtimes.concurrent_requests import in_turn
from retinue.pipeline.training.feature_cache import FeatureCache, megabytes, weights_hash

logger = logging.getLogger(__name__)

SCORED_BATCH = 1024  # features a call of the head


def find_feature_models(task, model, number, replicas=1):
    """(`FeatureModels` for stage `number` of the configuration, or None where it computes anew in every epoch; why).

    The reason is "" where nobody would wonder.
    """
    train = task.config.train
    stages = list(train.stages.values())
    if stages[number].backbone_lr_multiplier or not stages[number].epochs or not train.cached_feature_views:
        return None, ""
    models = task.feature_models(model, stages[number].input_size)
    if models is None:
        return None, ""
    if replicas > 1:
        return None, "several replicas learn"
    if task.batch_mixing() is not None:
        return None, "mixup and cutmix mix photos, not features"
    if train.ema_decay and any(stage.epochs and stage.backbone_lr_multiplier for stage in stages[:number]):
        return None, "what is scored (the average, train.ema_decay) has another backbone than the net"
    return models, ""


class StageFeatures:
    """The features of a stage: of the photos to learn from, in so many views, and of those held out, as they are.

    task: `Task`; models: `FeatureModels`; stage: `Stage`; first_epoch: of the stage, counted over all stages.
    train: `Dataset`; held_out: `Dataset`, or None. order: as for `batches`.
    """

    def __init__(self, task, models, stage, first_epoch, train, held_out, order):
        self.task, self.models, self.order, self.first_epoch = task, models, order, first_epoch
        self.train, self.held_out = train, held_out
        self.columns, self.labels = task.columns(train), train.columns.get("label")
        self.views, changed = (
            min(task.config.train.cached_feature_views, stage.epochs),
            task.config.train.cached_feature_views > 1,
        )
        self.runtime, self.precision, _ = runtimes.choose()
        example = task.example(training=changed, input_size=stage.input_size)
        name = models.train_extractor.inputs[0].name
        self.learned = _Work(
            FeatureCache(
                self._about(stage, changed), len(train), models.train_extractor.output["features"].shape[1:], self.views
            ),
            models.train_extractor,
            self.columns,
            lambda columns, seed: ({name: example(columns, seed)[0]}, ()),
        )
        self.scored = None
        if held_out is not None:
            self.scored = _Work(
                FeatureCache(self._about(), len(held_out), models.eval_extractor.output["features"].shape[1:], 1),
                models.eval_extractor,
                task.input_columns(held_out),
                lambda columns, _: (task.read_record(columns), ()),
            )
        self._answer = tf.function(lambda inputs: models.predictor(inputs, training=False))

    def compute(self, progress, stopped):
        """Compute what is not in the cache. progress: `Progress`; stopped: function () -> whether to stop.

        Raises RetinueError for a broken file or a full disk, KeyboardInterrupt when stopped. What is whole is kept.
        """
        work = [self.learned, self.scored] if self.scored else [self.learned]
        missing = sum(one.cache.missing for one in work)
        what = f"features of {len(self.train):,} files x {self.views} view{'s' if self.views > 1 else ''}"
        if self.scored:
            what += f" and {len(self.held_out):,} held-out files"
        folder, size = self.learned.cache.folder.parent, megabytes(sum(one.cache.bytes for one in work))
        if not missing:
            logger.info(f"{what}: in {folder} from before, {size}")
            return
        logger.info(f"{what}, computed once: {self.runtime} {self.precision}, {size} in {folder}")
        for one in work:
            one.cache.refuse_full_disk()
        began = time.perf_counter()
        progress.start("features", -(-missing // CPU_BATCH))
        try:
            for one in work:
                runtime = runtimes.start(tensorflow_runtime.trace(one.model), one.model, self.runtime, self.precision)
                for view in range(one.cache.views):
                    self._fill(one, view, runtime, progress, stopped)
        finally:
            progress.stop()
        seconds = time.perf_counter() - began
        logger.info(f"features: {missing / seconds:,.0f} images/s, {seconds:.0f} s")

    def batches(self, batch_size, first_step):
        """The training stream from global step `first_step` on: (features float32 `[batch, ...]`, targets), endless.

        The records come in the order of `data.batches`.
        """
        count, cache = len(self.train), self.learned.cache
        columns = {name: column for name, column in self.columns.items() if name != "file"}

        def generate():
            epoch, within = divmod(first_step, record_order.steps_per_epoch(count, batch_size))
            while True:
                rows = record_order.epoch_rows(
                    count,
                    self.labels,
                    batch_size=batch_size,
                    seed=self.task.config.seed,
                    order=self.order,
                    epoch=epoch,
                )
                views = np.full(rows.shape, epoch - self.first_epoch)
                if self.order == "balanced":  # a file that is drawn twice in an epoch should not look the same twice
                    views += np.arange(rows.size).reshape(rows.shape)
                for some, chosen in zip(rows[within:], views[within:] % self.views, strict=True):
                    yield cache.take(chosen, some), {name: column[some] for name, column in columns.items()}
                epoch, within = epoch + 1, 0

        full = min(batch_size, count)
        kinds = (
            tf.TensorSpec((full, *cache.shape), tf.float32),
            {name: tf.TensorSpec((full, *column.shape[1:]), column.dtype) for name, column in columns.items()},
        )
        data = tf.data.Dataset.from_generator(generate, output_signature=kinds)
        data = data.map(batches.no_autograph(lambda features, columns: (features, self.models.targets(columns))))
        return data.prefetch(2)

    def scores(self):
        """The `Scores` of the net as it is now on the files held out, without an interval."""
        evaluator = self.task.evaluator(interval=False)
        for first in range(0, len(self.held_out), SCORED_BATCH):
            rows = np.arange(first, min(first + SCORED_BATCH, len(self.held_out)))
            outputs = self._answer({"features": tf.constant(self.scored.cache.take(np.zeros_like(rows), rows))})
            predictions = self.task.postprocess({name: value.numpy() for name, value in outputs.items()})
            evaluator.update(predictions, self.held_out.take(rows))
        return evaluator.scores()

    def _about(self, stage=None, changed=False):
        """What the features of training in `stage`, or of the files held out, follow from: for the cache's key."""
        config = self.task.config
        model, data = (
            (self.models.train_extractor, self.train) if stage else (self.models.eval_extractor, self.held_out)
        )
        about = {
            "versions": versions(),
            "runtime": self.runtime,
            "backbone": config.model.backbone,
            "weights": weights_hash(model),
            "files": data.fingerprint,
            "fit": config.data.resize_mode,
            "jpeg_dct_scaling": config.data.jpeg_dct_scaling,
            "input_size": stage.input_size or config.model.input_size if stage else config.model.input_size,
        }
        if stage is None:
            return about | {"views": config.evaluate.tta}
        if changed:
            about |= {"augment": config.augment.model_dump(), "seed": config.seed, "first_epoch": self.first_epoch}
        return about

    def _fill(self, work, view, runtime, progress, stopped):
        """Compute the shards of a view that are missing, in order."""
        cache = work.cache
        if not cache.rows_of_next(view):
            return
        data = batches.batches(
            work.columns,
            work.example,
            batch_size=CPU_BATCH,
            training=False,
            seed=self.task.config.seed,
            epoch=self.first_epoch + view,
            first_step=cache.first_missing(view) // CPU_BATCH,
        )
        shard, rows = [], 0
        try:
            asked = (runtime.submit({name: value.numpy() for name, value in inputs.items()}) for inputs, _ in data)
            for outputs in in_turn(asked, runtime.streams):
                features = outputs["features"]
                shard.append(features)
                rows += len(features)
                if rows == cache.rows_of_next(view):
                    cache.append(view, np.concatenate(shard))
                    shard, rows = [], 0
                progress.step(len(features), 0.0)
                if stopped():
                    raise KeyboardInterrupt
        except tf.errors.OpError as error:
            broken = batches.first_failing_record(work.columns, work.example)
            if broken is None:
                raise
            raise RetinueError(
                f"{broken}. Put it back as it was and go on with --resume, or start a new run"
            ) from error


@dataclasses.dataclass(frozen=True)
class _Work:
    """What is computed for a cache: a `keras.Model` over records; columns and example are as for `batches`."""

    cache: FeatureCache
    model: object
    columns: dict
    example: object
