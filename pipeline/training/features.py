"""Cached features: the outputs of a frozen backbone are computed once per image, with the fastest runtime.

A stage that trains only the head would otherwise run the whole model over every image in every epoch, with equal
results except for the augmentation. Instead, each image has `train.cached_feature_views` augmented copies, and epoch e
of the stage trains on copy e modulo their number. With as many copies as epochs, the head sees exactly the images that
it would see without the cache.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.configs.schema import Stage
from retinue.data import batches, record_order
from retinue.data.dataset import Dataset
from retinue.pipeline.runs.progress import Progress
from retinue.pipeline.runs.run import versions
from retinue.pipeline.runtimes import runtimes, tensorflow_runtime
from retinue.pipeline.runtimes.batching import CPU_BATCH
from retinue.pipeline.runtimes.concurrent_requests import in_turn
from retinue.pipeline.training.feature_cache import FeatureCache, format_bytes, weights_hash
from retinue.tasks.feature_models import FeatureModels
from retinue.tasks.model import TaskModel
from retinue.tasks.scores import Scores
from retinue.tasks.task import Task

logger = logging.getLogger(__name__)

SCORED_BATCH = 1024  # features per call of the head


def find_feature_models(
    task: Task, model: TaskModel, stage_index: int, replicas: int = 1
) -> tuple[FeatureModels | None, str]:
    """Return the two halves of the model if a stage can use cached features.

    Args:
        task: the task.
        model: the model.
        stage_index: the index of the stage in the configuration.
        replicas: the number of replicas that train.

    Returns:
        The models and "", or None and the reason why the features are computed anew in every epoch. The reason is ""
        if nobody would expect a cache.
    """
    train = task.config.train
    stages = list(train.stages.values())
    stage = stages[stage_index]
    if stage.backbone_lr_multiplier or not stage.epochs or not train.cached_feature_views:
        return None, ""
    models = task.feature_models(model, stage.input_size)
    if models is None:
        return None, ""
    if replicas > 1:
        return None, "several replicas train"
    if task.batch_mixing() is not None:
        return None, "mixup and cutmix mix images, not features"
    if train.ema_decay and any(earlier.epochs and earlier.backbone_lr_multiplier for earlier in stages[:stage_index]):
        return None, "the moving average that is scored (train.ema_decay) has another backbone than the model"
    return models, ""


class StageFeatures:
    """The features of a stage: of the augmented copies of the training images, and of the validation images.

    Args:
        task: the task.
        models: the two halves of the model.
        stage: the stage.
        first_epoch: the first epoch of the stage, counted over all stages.
        train: the training data.
        validation: the validation data, or None.
        order: the order of the records, as for `data.batches`.
    """

    def __init__(
        self,
        task: Task,
        models: FeatureModels,
        stage: Stage,
        first_epoch: int,
        train: Dataset,
        validation: Dataset | None,
        order: str,
    ) -> None:
        self.task, self.models, self.order, self.first_epoch = task, models, order, first_epoch
        self.train, self.validation = train, validation
        self.columns, self.labels = task.columns(train), train.columns.get("label")
        views = task.config.train.cached_feature_views
        self.num_copies, augmented = min(views, stage.epochs), views > 1
        self.runtime, self.precision, _ = runtimes.choose()
        example = task.example(training=augmented, input_size=stage.input_size)
        input_name = models.train_extractor.inputs[0].name
        self.train_work = _Work(
            FeatureCache(
                self._cache_key(models.train_extractor, train, stage, augmented),
                len(train),
                models.train_extractor.output["features"].shape[1:],
                self.num_copies,
            ),
            models.train_extractor,
            self.columns,
            lambda columns, seed: ({input_name: example(columns, seed)[0]}, ()),
        )
        self.validation_work = None
        if validation is not None:
            self.validation_work = _Work(
                FeatureCache(
                    self._cache_key(models.eval_extractor, validation),
                    len(validation),
                    models.eval_extractor.output["features"].shape[1:],
                    1,
                ),
                models.eval_extractor,
                task.input_columns(validation),
                lambda columns, _: (task.read_record(columns), ()),
            )
        self._predict = tf.function(lambda inputs: models.predictor(inputs, training=False), autograph=False)

    def compute(self, progress: Progress, stopped: Callable[[], bool]) -> None:
        """Compute the features that are not in the cache.

        Args:
            progress: the progress on the screen.
            stopped: function that returns whether to stop.

        Raises:
            RetinueError: a file is damaged, or the disk is full. Complete shards are kept.
            KeyboardInterrupt: `stopped` returned true. Complete shards are kept.
        """
        works = [self.train_work, self.validation_work] if self.validation_work else [self.train_work]
        missing = sum(work.cache.num_missing for work in works)
        plural = "ies" if self.num_copies > 1 else "y"
        what = f"features of {len(self.train):,} training files x {self.num_copies} cop{plural}"
        if self.validation is not None:
            what += f" and {len(self.validation):,} validation files"
        folder, size = self.train_work.cache.folder.parent, format_bytes(sum(work.cache.num_bytes for work in works))
        if not missing:
            logger.info(f"{what}: already in {folder}, {size}")
            return
        logger.info(f"{what}, computed once: {self.runtime} {self.precision}, {size} in {folder}")
        for work in works:
            work.cache.refuse_full_disk()
        started_at = time.perf_counter()
        progress.start("features", -(-missing // CPU_BATCH))
        try:
            for work in works:
                function = tensorflow_runtime.trace(work.model)
                runtime = runtimes.start(function, work.model, self.runtime, self.precision)
                for copy in range(work.cache.num_copies):
                    self._fill(work, copy, runtime, progress, stopped)
        finally:
            progress.stop()
        seconds = time.perf_counter() - started_at
        logger.info(f"features: {missing / seconds:,.0f} images/s, {seconds:.0f} s")

    def batches(self, batch_size: int, first_step: int) -> tf.data.Dataset:
        """Return the endless training dataset from a global step on.

        Its elements are (features float32 `[batch, ...]`, targets), in the order of `data.batches`.
        """
        count, cache = len(self.train), self.train_work.cache
        columns = {name: column for name, column in self.columns.items() if name != "file"}

        def generate() -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
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
                copies = np.full(rows.shape, epoch - self.first_epoch)
                if self.order == "balanced":  # a file that is drawn twice in an epoch should differ each time
                    copies += np.arange(rows.size).reshape(rows.shape)
                for batch_rows, batch_copies in zip(rows[within:], copies[within:] % self.num_copies, strict=True):
                    targets = {name: column[batch_rows] for name, column in columns.items()}
                    yield cache.take(batch_copies, batch_rows), targets
                epoch, within = epoch + 1, 0

        full = min(batch_size, count)
        specs = (
            tf.TensorSpec((full, *cache.shape), tf.float32),
            {name: tf.TensorSpec((full, *column.shape[1:]), column.dtype) for name, column in columns.items()},
        )
        data = tf.data.Dataset.from_generator(generate, output_signature=specs)
        data = data.map(batches.no_autograph(lambda features, columns: (features, self.models.targets(columns))))
        return data.prefetch(2)

    def scores(self) -> Scores:
        """Return the scores of the model as it is on the validation data, without a confidence interval."""
        assert self.validation is not None and self.validation_work is not None
        evaluator = self.task.evaluator(interval=False)
        for first in range(0, len(self.validation), SCORED_BATCH):
            rows = np.arange(first, min(first + SCORED_BATCH, len(self.validation)))
            features = self.validation_work.cache.take(np.zeros_like(rows), rows)
            outputs = self._predict({"features": tf.constant(features)})
            predictions = self.task.postprocess({name: value.numpy() for name, value in outputs.items()})
            evaluator.update(predictions, self.validation.take(rows))
        return evaluator.scores()

    def _cache_key(
        self, model: keras.Model, data: Dataset, stage: Stage | None = None, augmented: bool = False
    ) -> dict[str, Any]:
        """Return everything that determines the features of a dataset.

        Args:
            model: the extractor.
            data: the dataset.
            stage: the stage, for training data.
            augmented: whether the training images are augmented.
        """
        config = self.task.config
        key: dict[str, Any] = {
            "versions": versions(),
            "runtime": self.runtime,
            "backbone": config.model.backbone,
            "weights": weights_hash(model),
            "files": data.fingerprint,
            "resize_mode": config.data.resize_mode,
            "pixel_range": config.data.pixel_range,
            "jpeg_dct_scaling": config.data.jpeg_dct_scaling,
            "input_size": stage.input_size or config.model.input_size if stage else config.model.input_size,
        }
        if stage is None:
            return key | {"tta": config.evaluate.tta}
        if augmented:
            key |= {"augment": config.augment.model_dump(), "seed": config.seed, "first_epoch": self.first_epoch}
        return key

    def _fill(self, work: "_Work", copy: int, runtime: Any, progress: Progress, stopped: Callable[[], bool]) -> None:
        """Compute the missing shards of an augmented copy, in order."""
        cache = work.cache
        if not cache.rows_of_next(copy):
            return
        data = batches.batches(
            work.columns,
            work.example,
            batch_size=CPU_BATCH,
            training=False,
            seed=self.task.config.seed,
            epoch=self.first_epoch + copy,
            first_step=cache.first_missing(copy) // CPU_BATCH,
        )
        shard: list[np.ndarray] = []
        rows = 0
        try:
            requests = (runtime.submit({name: value.numpy() for name, value in inputs.items()}) for inputs, _ in data)
            for outputs in in_turn(requests, runtime.num_requests):
                features = outputs["features"]
                shard.append(features)
                rows += len(features)
                if rows == cache.rows_of_next(copy):
                    cache.append(copy, np.concatenate(shard))
                    shard, rows = [], 0
                progress.step(len(features), 0.0)
                if stopped():
                    raise KeyboardInterrupt
        except tf.errors.OpError as error:
            failing = batches.first_failing_record(work.columns, work.example)
            if failing is None:
                raise
            raise RetinueError(f"{failing}. Restore the file and continue with --resume, or start a new run") from error


@dataclasses.dataclass(frozen=True)
class _Work:
    """What is computed for a cache.

    Attributes:
        cache: where the features go.
        model: from the inputs of a batch of records to their features.
        columns: the records, as for `data.batches`.
        example: function from the columns of a record and a seed to its inputs, as for `data.batches`.
    """

    cache: FeatureCache
    model: keras.Model
    columns: dict[str, Any]
    example: Callable[..., Any]
