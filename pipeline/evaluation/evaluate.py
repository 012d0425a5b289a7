"""Evaluation: the scores of a model on files with known labels, by the functions that prediction uses, too."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.checking.summary import log_problems
from retinue.pipeline.inputs.prepare import read_and_check, require_usable
from retinue.pipeline.runs.run import open_model
from retinue.pipeline.runs.split_file import read_split_file
from retinue.tasks.scores import metric_text

if TYPE_CHECKING:
    from retinue.data.dataset import Dataset
    from retinue.pipeline.runs.run import Model
    from retinue.tasks.model import TaskModel
    from retinue.tasks.scores import Scores
    from retinue.tasks.task import Prediction, Task
    from retinue.tasks.worst_images import WorstImage

LONGEST_SIDE = 1024  # pixels of the longer side of an image in worst/

logger = logging.getLogger(__name__)

Batch = dict[str, Any]
Inference = Callable[[Batch], Mapping[str, Any]]


class Evaluation:
    """Computes the scores of a Keras model on one dataset, repeatedly while the model is trained.

    Attributes:
        task: the task.
        dataset: the records with their labels.
        run: function from a batch of what `Task.read` returns to a dict of outputs, with the model's current weights.
    """

    def __init__(self, task: "Task", model: "TaskModel", dataset: "Dataset") -> None:
        """Trace the inference of the model once; images may differ in size.

        Args:
            task: the task.
            model: what `Task.build` returned.
            dataset: the records with their labels.
        """
        self.task, self.dataset = task, dataset
        import tensorflow as tf

        inference = task.inference(model)
        specs = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in inference.inputs}
        self.run: Inference = tf.function(
            lambda inputs: inference(inputs, training=False), input_signature=[specs], autograph=False
        )

    def __call__(self, interval: bool = False) -> "Scores":
        """Compute the scores with the current weights. interval: whether the confidence interval is computed."""
        return score(self.task, self.run, self.dataset, interval)


def score(task: "Task", run: Inference, dataset: "Dataset", interval: bool = True) -> "Scores":
    """Compute the scores of a model on a dataset. Every file counts exactly once, whatever the batch size.

    Args:
        task: the task.
        run: function from a batch of what `Task.read` returns to a dict of outputs.
        dataset: the records with their labels.
        interval: whether the primary metric gets its confidence interval.

    Returns:
        The scores.

    Raises:
        RetinueError: a file can't be read, or the memory is too small.
    """
    evaluator = task.evaluator(interval)
    first = 0
    for batch in predict_batches(task, run, task.input_columns(dataset)):
        evaluator.update(batch, dataset.take(np.arange(first, first + len(batch))))
        first += len(batch)
    return evaluator.scores()


def predict_batches(task: "Task", run: Inference, columns: dict[str, Any]) -> "Iterator[list[Prediction]]":
    """Predict records in batches.

    Args:
        task: the task.
        run: function from a batch of what `Task.read` returns to a dict of outputs.
        columns: what `Task.input_columns` returns: the files, and of clips which part is meant.

    Yields:
        The predictions of each batch, in the order of the records.

    Raises:
        RetinueError: a file can't be read (the message names it), or the memory is too small.
    """
    import tensorflow as tf

    from retinue.data import batches
    from retinue.pipeline.runtimes.tensorflow_runtime import is_out_of_memory

    def example(record: Mapping[str, Any], _: Any) -> tuple[Any, tuple[()]]:
        return task.read_record(record), ()

    batch_size = task.config.evaluate.batch_size
    data = batches.batches(
        columns,
        example,
        batch_size=1 if task.variable_size else batch_size,
        training=False,
        seed=task.config.seed,
        padding=(padding, ()) if (padding := task.padding(training=False)) else None,
    )
    run = task.wrap_inference(run)
    inputs_of_batches: Iterable[Batch] = (inputs for inputs, _ in data)
    if task.variable_size:
        inputs_of_batches = _batches_of_one_size(inputs_of_batches, batch_size)
    try:
        for inputs in inputs_of_batches:
            outputs = run(inputs)
            yield task.postprocess({name: np.asarray(value) for name, value in outputs.items()})
    except tf.errors.OpError as error:
        if is_out_of_memory(error):
            raise RetinueError(
                f"there is not enough memory to score {batch_size} images at once; set a smaller evaluate.batch_size, "
                f"in training with --set evaluate.batch_size={max(batch_size // 2, 1)}"
            ) from error
        broken = batches.first_failing_record(columns, example)
        if broken is None:
            raise
        raise RetinueError(f"{broken}; remove or repair the file") from error


def _batches_of_one_size(singles: Iterable[Batch], batch_size: int) -> Iterator[Batch]:
    """Join consecutive images of one size to batches of at most `batch_size`. singles: batches of one image."""
    from retinue.pipeline.runtimes.batching import have_same_sizes

    pending: list[Batch] = []
    for tensors in singles:
        inputs = {name: value.numpy() for name, value in tensors.items()}
        is_same_size = pending and have_same_sizes(
            *({name: value[0] for name, value in one.items()} for one in (pending[0], inputs))
        )
        if pending and (len(pending) == batch_size or not is_same_size):
            yield {name: np.concatenate([one[name] for one in pending]) for name in inputs}
            pending = []
        pending.append(inputs)
    if pending:
        yield {name: np.concatenate([one[name] for one in pending]) for name in pending[0]}


def evaluate(
    model_path: "str | os.PathLike[str]",
    source: "str | os.PathLike[str]",
    split: str | None = None,
    *,
    runtime: str = "auto",
    precision: str = "auto",
) -> "Scores":
    """Score a run folder or an export on data with known labels.

    Files that can't be read are skipped and reported, as in training.

    Args:
        model_path: a run folder or an export folder.
        source: a data source, as for training.
        split: "train", "val", "test" or "all". By default files that the model was not trained on: the test split,
            else the val split, else, when the run has never seen these files, all of them.
        runtime: as for `predict`.
        precision: as for `predict`, so that the effect of bf16 on the scores can be measured.

    Returns:
        The scores.

    Raises:
        RetinueError: too many files can't be read, or there are records of a class that the model does not know.
        UsageError: the runtime or the precision is not available, or the split has no files.
    """
    from retinue.pipeline.runtimes import runtimes

    model = open_model(model_path)
    runtime, precision, reason = runtimes.choose_for(model, runtime, precision)
    dataset, chosen = choose_files(model, source, split)
    model.task.prepare_dataset(dataset)
    if model.warning:
        logger.warning(model.warning)
    logger.info(f"{model_path} on {len(dataset)} files of {source} ({chosen})")
    logger.info(reason)
    return score(model.task, runtimes.load(model, runtime, precision), dataset)


def score_lines(scores: "Scores") -> list[str]:
    """Return the primary metric and the worst classes as lines for the command line."""
    return [primary_metric_line(scores), *scores.worst_classes]


def primary_metric_line(scores: "Scores") -> str:
    """Return the primary metric with its confidence interval as a line for the command line."""

    def text(name: str, value: float | None) -> str:
        return metric_text(name, value, scores.plain_metrics, digits=2)

    name = scores.primary_metric
    interval = ""
    if scores.interval:
        low, high = (text(name, bound) for bound in scores.interval)
        interval = f", 95% interval {low} to {high}"
    more = "".join(
        f", {other.replace('_', ' ')} {text(other, scores.metrics[other])}" for other in scores.monitored_metrics[:1]
    )
    return f"{name.replace('_', ' ')} {text(name, scores.value)}{interval}{more}, {scores.count} files"


def worst_images(evaluation: Evaluation, rows: Sequence[int]) -> "list[WorstImage]":
    """Predict the files with the worst predictions again, and draw them for the report.

    Args:
        evaluation: the one that computed the scores.
        rows: the rows of these files in its dataset, the worst first.

    Returns:
        An image for each row, its longer side at most 1,024 pixels.
    """
    from retinue.tasks import drawing
    from retinue.tasks.worst_images import WorstImage

    if not len(rows):
        return []
    task, dataset = evaluation.task, evaluation.dataset
    chosen = dataset.take(rows)
    batches = predict_batches(task, evaluation.run, task.input_columns(chosen))
    predictions = [prediction for batch in batches for prediction in batch]
    images = []
    for record, prediction in zip(chosen, predictions, strict=True):
        truth = task.ground_truth(dataset, record)
        true_labels, predicted_labels = task.summarize_errors(prediction, truth)
        image = task.image_of_record(record)
        if task.draws_on_image:
            image = task.draw(image, prediction, truth)
        shown = drawing.shrink(image, LONGEST_SIDE)
        images.append(WorstImage(record["file"], true_labels, predicted_labels, shown))
    return images


def choose_files(model: "Model", source: "str | os.PathLike[str]", split: str | None = None) -> "tuple[Dataset, str]":
    """Read and check a data source, and choose the files that `evaluate` scores.

    Args:
        model: the model to score.
        source: a data source, as for training.
        split: as for `evaluate`.

    Returns:
        The dataset, and a description of the choice: the split, "all", or why these files were chosen.

    Raises:
        RetinueError, UsageError: as for `evaluate`.
    """
    report = read_and_check(source, model.config, task=model.config.task, training=False)
    require_usable(source, report)
    log_problems(report)
    dataset, chosen = _choose_split(model, report.usable()[0], split)
    if not len(dataset):
        raise UsageError(f"{source}: there are no files in the split {chosen}; give another --split")
    return model.task.check_classes(dataset), chosen


def _choose_split(model: "Model", dataset: "Dataset", split: str | None) -> "tuple[Dataset, str]":
    """Return the part of the dataset to score, and a description of it."""
    known = _splits_of_run(model)
    assert dataset.content_ids is not None, "the check computes the content ids"
    pairs = zip(dataset.content_ids, dataset.splits, strict=True)
    splits = np.array([known.get(content_id, own) for content_id, own in pairs], dtype=object)
    dataset = dataset.with_splits(splits)
    if split is None:
        split = next((name for name in ("test", "val", "train") if (splits == name).any()), "all")
        if split == "train":
            return dataset.split("train"), "the files that it was trained on"
        if split == "all" and not known:
            return dataset, "all; the files that it was trained on are not known here"
    return (dataset, "all") if split == "all" else (dataset.split(split), split)


def _splits_of_run(model: "Model") -> dict[str, str]:
    """Return the split of each file of the run by its content id, which recognizes the file wherever it is."""
    known: dict[str, str] = {}
    for row in read_split_file(model.folder):
        if row.content_id and known.get(row.content_id) != "train":  # a copy in the training set counts as trained on
            known[row.content_id] = row.split
    return known
