"""Scoring a model on files with known answers, by the same functions that predict and export use."""

import logging

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.checking.summary import log_problems
from retinue.pipeline.inputs.prepare import inspect, refuse_unfit
from retinue.pipeline.runs.run import open_model
from retinue.pipeline.runs.split_file import read_split_file

LARGEST_SIDE = 1024  # pixels of the longer side of an image in worst/

logger = logging.getLogger(__name__)


class Evaluation:
    """Scores of a Keras model on one dataset, again and again as the model learns.

    task: `Task`; model: `TaskModel`; dataset: `Dataset` with the answers.
    """

    def __init__(self, task, model, dataset):
        self.task, self.dataset = task, dataset
        import tensorflow as tf

        inference = task.inference(model)
        # Pictures may differ in size: the function is traced once for all.
        kinds = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in inference.inputs}
        self.run = tf.function(lambda inputs: inference(inputs, training=False), input_signature=[kinds])

    def __call__(self, interval=False):
        """The `Scores` of the model as it is now."""
        return score(self.task, self.run, self.dataset, interval)


def score(task, run, dataset, interval=True):
    """`Scores` of `run`, a function from a batch of `task.read`'s tensors to a dict of outputs, on `dataset`.

    Every file counts exactly once, whatever the batch size. interval: whether the headline gets its interval.
    """
    evaluator = task.evaluator(interval)
    first = 0
    for batch in predictions(task, run, task.input_columns(dataset)):
        evaluator.update(batch, dataset.take(np.arange(first, first + len(batch))))
        first += len(batch)
    return evaluator.scores()


def predictions(task, run, columns):
    """Yield predictions, a list a batch, in order. Raises RetinueError that names a broken file.

    columns: what `task.input_columns` gives: the files, as an array of str objects, and of clips which part is meant.
    """
    import tensorflow as tf

    from retinue.data import batches
    from retinue.pipeline.runtimes.tensorflow_runtime import is_out_of_memory

    def example(columns, _):
        return task.read_record(columns), ()

    data = batches.batches(
        columns,
        example,
        batch_size=1 if task.variable_size else task.config.evaluate.batch_size,
        training=False,
        seed=task.config.seed,
        padding=(padding, ()) if (padding := task.padding(training=False)) else None,
    )
    run = task.wrap_inference(run)
    inputs_of_batches = (inputs for inputs, _ in data)
    if task.variable_size:
        inputs_of_batches = _of_one_size(inputs_of_batches, task.config.evaluate.batch_size)
    try:
        for inputs in inputs_of_batches:
            outputs = run(inputs)
            yield task.postprocess({name: np.asarray(value) for name, value in outputs.items()})
    except tf.errors.OpError as error:
        if is_out_of_memory(error):
            size = task.config.evaluate.batch_size
            raise RetinueError(
                f"the memory is too small to score {size} pictures at once; take a smaller evaluate.batch_size "
                f"(--set evaluate.batch_size={max(size // 2, 1)}, in training)"
            ) from error
        broken = batches.first_failing_record(columns, example)
        if broken is None:
            raise
        raise RetinueError(f"{broken}; remove or repair the file") from error


def _of_one_size(singles, most):
    """Batches of at most `most` pictures of one size that follow on each other. singles: batches of one."""
    from retinue.pipeline.runtimes.batching import have_same_sizes

    pending = []
    for inputs in singles:
        inputs = {name: value.numpy() for name, value in inputs.items()}
        alike = pending and have_same_sizes(
            *({name: value[0] for name, value in one.items()} for one in (pending[0], inputs))
        )
        if pending and (len(pending) == most or not alike):
            yield {name: np.concatenate([one[name] for one in pending]) for name in inputs}
            pending = []
        pending.append(inputs)
    if pending:
        yield {name: np.concatenate([one[name] for one in pending]) for name in pending[0]}


def evaluate(model_path, source, split=None, *, runtime="auto", precision="auto"):
    """`Scores` of a run folder or an export on data with known answers.

    split: "train", "val", "test" or "all"; by default what the run did not learn from: the test split, else the val
    split, else, when the run has never seen these files, all of them. runtime, precision: as for `predict`, so that
    what bf16 costs can be seen. Files that can't be read are left out and said, as in training.
    Raises RetinueError when too many are bad, or a class is not the model's, and UsageError for a runtime or precision
    that can't be had.
    """
    from retinue.pipeline.runtimes import runtimes

    model = open_model(model_path)
    runtime, precision, why = runtimes.choose_for(model, runtime, precision)
    dataset, chosen = choose_files(model, source, split)
    model.task.prepare_dataset(dataset)
    if model.warning:
        logger.warning(model.warning)
    logger.info(f"{model_path} on {len(dataset)} files of {source} ({chosen})")
    logger.info(why)
    return score(model.task, runtimes.load(model, runtime, precision), dataset)


def score_lines(scores):
    """The score and the worst classes, as lines for the screen."""
    return [headline(scores), *scores.worst_classes]


def headline(scores):
    """The score with its interval, as a line for the screen."""
    interval = f", 95% interval {scores.interval[0]:.2%} to {scores.interval[1]:.2%}" if scores.interval else ""
    more = "".join(f", {name.replace('_', ' ')} {scores.numbers[name]:.2%}" for name in scores.monitored_metrics[:1])
    return f"{scores.primary_metric.replace('_', ' ')} {scores.value:.2%}{interval}{more}, {scores.count} files"


def worst_pictures(task, model, dataset, rows):
    """For the report: the pictures of `rows`, dicts of file, image, and the truth and what was said
    of `task.summarize_errors`."""
    from retinue.tasks import drawing

    if not len(rows):
        return []
    chosen = dataset.take(rows)
    found = [
        prediction
        for batch in predictions(task, Evaluation(task, model, chosen).run, task.input_columns(chosen))
        for prediction in batch
    ]
    items = []
    for record, prediction in zip(chosen, found, strict=True):
        truth = task.ground_truth(dataset, record)
        names, said = task.summarize_errors(prediction, truth)
        image = task.image_of_record(record)
        if task.draws_on_image:
            image = task.draw(image, prediction, truth)
        items.append(
            {"file": record["file"], "truth": names, "said": said, "image": drawing.shrink(image, LARGEST_SIDE)}
        )
    return items


def choose_files(model, source, split=None):
    """(`Dataset` of the files at `source` that `evaluate` scores, a word for them: their split, "all", or why these).

    split: as for `evaluate`, which tells of the errors, too.
    """
    report = inspect(source, model.config, task=model.config.task, training=False)
    refuse_unfit(source, report)
    log_problems(report)
    dataset, chosen = _choose(model, report.usable()[0], split)
    if not len(dataset):
        raise UsageError(f"{source}: has no files in split {chosen}")
    return model.task.check_classes(dataset), chosen


def _choose(model, dataset, split):
    """The part of the data to score, and a word for it."""
    known = _splits_of_run(model)
    pairs = zip(dataset.content_ids, dataset.splits, strict=True)
    splits = np.array([known.get(content, given) for content, given in pairs], dtype=object)
    dataset = dataset.with_splits(splits)
    if split is None:
        split = next((name for name in ("test", "val", "train") if (splits == name).any()), "all")
        if split == "train":
            return dataset.split("train"), "the files that it learned from"
        if split == "all" and not known:
            return dataset, "all; what it learned from is not known here"
    return (dataset, "all") if split == "all" else (dataset.split(split), split)


def _splits_of_run(model):
    """{content id: split} of the files that the run knew: a photo is known again wherever it lies."""
    known = {}
    for row in read_split_file(model.folder):
        if row.content_id and known.get(row.content_id) != "train":  # a copy in the training set counts as trained on
            known[row.content_id] = row.split
    return known
