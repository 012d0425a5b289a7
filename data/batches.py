"""From records to batches: the `tf.data` pipeline around a task's function that loads one example.

The order of the records and every seed are pure functions of the seed, the epoch and the record, so that a run can
resume at any step.
"""

import operator
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.configs.machine import usable_cores
from retinue.data.dataset import Columns, Ragged
from retinue.data.record_order import ORDERS, group_by_class, rows_at, steps_per_epoch
from retinue.data.seeds import example_seed

# Functions are traced as they are, without AutoGraph's rewriting of Python code, which takes seconds for a decoder.
no_autograph = tf.autograph.experimental.do_not_convert

# The inputs, targets and weights of an example can be tensors, dicts or tuples of them: hence Any.
ExampleFunction = Callable[[dict[str, tf.Tensor], tf.Tensor], tuple[Any, ...]]


def batches(
    columns: Columns,
    load_example: ExampleFunction,
    *,
    batch_size: int,
    training: bool,
    seed: int = 0,
    epoch: int = 0,
    order: str = "shuffle",
    first_step: int = 0,
    steps: int | None = None,
    mix: Callable[..., tuple[Any, Any]] | None = None,
    padding: Sequence[Any] | None = None,
    replica_slices: Sequence[tuple[int, int]] | None = None,
    pad_to_full_batch: bool = False,
) -> tf.data.Dataset:
    """Make batches of decoded examples.

    In training the stream is endless, epoch after epoch, and every batch is full: the remainder of an epoch is omitted,
    and other records are omitted in the next one. With fewer records than `batch_size`, a batch contains all of them.
    In evaluation every record comes once, in the order of the columns, and the last batch may be smaller.

    Args:
        columns: One row for each record; strings may be str objects.
        load_example: A function of a record (a dict of tensors) and an int32 [2] seed that returns a tuple of tensors,
            or of dicts or tuples of them. It consists of TensorFlow operations: a Python `if` or `for` on a tensor is
            not rewritten.
        batch_size: Number of records in a batch.
        training: Whether the batches are for training.
        seed: Seed of the run.
        epoch: In evaluation, the training epoch whose seeds the records get.
        order: In training, "shuffle" is a new permutation in every epoch, "sequence" is the order of the columns, and
            "balanced" draws with replacement, so that every class of `columns["label"]` that has records is equally
            likely.
        first_step: Index of the first batch, counted from the start of training. Nothing before it is decoded.
        steps: Number of batches, or None for all.
        mix: A function of a batch's inputs, its targets and int32 [batch, 2] seeds that returns inputs and targets.
        padding: The structure of the results of `load_example` with a padding value for each. Examples of different
            shapes are padded to the largest shape of the batch. None if all have one shape.
        replica_slices: In training, the adjacent parts of every batch that are wanted here, as (start, stop) in rows of
            the batch; each becomes an element of its own. By default, the full batch is one element. Only the records
            of these parts are decoded, unless `mix` is given or `pad_to_full_batch` is true.
        pad_to_full_batch: Whether a part is padded to the largest shape of the full batch, not of its own rows.

    Returns:
        The dataset of batches.

    Raises:
        UsageError: If there are no records, or if the order is "balanced" and there is not one label for each record.
    """
    count = _count(columns)
    full = min(batch_size, count) if training else batch_size
    tables = {name: _to_table(column) for name, column in columns.items()}
    start, stop = 0, full
    if replica_slices and mix is None and not pad_to_full_batch:
        start, stop = replica_slices[0][0], replica_slices[-1][1]
    with tf.device("CPU:0"):
        if training:
            labels = columns.get("label")
            stream = _training_stream(count, labels, full, seed, order, first_step, start, stop)
        else:
            rows = tf.range(first_step * full, max(count, first_step * full), dtype=tf.int64)
            stream = tf.data.Dataset.from_tensor_slices((rows, example_seed(seed, epoch, rows)))
    if steps is not None:
        stream = stream.take(steps * (stop - start))

    @no_autograph
    def load(row: tf.Tensor, record_seed: tf.Tensor) -> tuple[tuple[Any, ...], tf.Tensor]:
        record = {name: _row(table, row) for name, table in tables.items()}
        return tuple(load_example(record, record_seed)), record_seed

    data = stream.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if padding is None:
        data = data.batch(stop - start, drop_remainder=training)
    else:
        shapes = tf.nest.map_structure(lambda spec: spec.shape, data.element_spec)
        values = (tuple(padding), tf.constant(0, tf.int32))
        data = data.padded_batch(stop - start, shapes, values, drop_remainder=training)
    if mix is None:
        data = data.map(no_autograph(lambda results, _: results))
    else:
        data = data.map(no_autograph(lambda results, seeds: (*mix(results[0], results[1], seeds), *results[2:])))
    if replica_slices and replica_slices != [(start, stop)]:
        slices = [slice(first - start, last - start) for first, last in replica_slices]
        data = data.flat_map(no_autograph(lambda *batch: _per_replica_batches(batch, slices)))
    return data.prefetch(2).with_options(_options())


def find_failing_records(
    columns: Columns, load_example: ExampleFunction, rows: Sequence[int] | np.ndarray | None = None
) -> Iterator[tuple[str, str]]:
    """Find the records whose example cannot be loaded, on all CPU cores.

    Args:
        columns: As for `batches`, with a column `file`.
        load_example: As for `batches`.
        rows: int, the records to try, or None for all.

    Yields:
        The file and the reason for each failing record, in order.
    """
    tables = {name: _to_table(column) for name, column in columns.items()}
    rows = np.arange(_count(columns)) if rows is None else np.asarray(rows, np.int64)

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64)], autograph=False)
    def attempt(row: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        record = {name: _row(table, row) for name, table in tables.items()}
        # The example is returned, so that TensorFlow cannot prune the decoder, as it would behind a control dependency.
        return row, tuple(tf.nest.flatten(tuple(load_example(record, tf.zeros([2], tf.int32)))))

    data = tf.data.Dataset.from_tensor_slices(rows).map(attempt, num_parallel_calls=tf.data.AUTOTUNE).ignore_errors()
    loaded_rows = data.map(no_autograph(lambda row, _: row)).with_options(_options()).as_numpy_iterator()
    next_loaded = next(loaded_rows, None)
    for row in rows:
        if row == next_loaded:
            next_loaded = next(loaded_rows, None)
            continue
        try:
            attempt(tf.constant(row))
        except tf.errors.OpError as error:
            file = str(columns["file"][row])
            yield file, _reason(error, file)


def first_failing_record(
    columns: Columns, load_example: ExampleFunction, rows: Sequence[int] | np.ndarray | None = None
) -> str | None:
    """Return "FILE: REASON" for the first record that cannot be loaded, or None. See `find_failing_records`."""
    return next((f"{file}: {reason}" for file, reason in find_failing_records(columns, load_example, rows)), None)


def _per_replica_batches(batch: tuple[Any, ...], slices: Sequence[slice]) -> tf.data.Dataset:
    """Return a dataset whose elements are the slices of a batch."""
    parts = [tf.nest.map_structure(operator.itemgetter(rows), batch) for rows in slices]
    data = tf.data.Dataset.from_tensors(parts[0])
    for part in parts[1:]:
        data = data.concatenate(tf.data.Dataset.from_tensors(part))
    return data


def _training_stream(
    count: int,
    labels: np.ndarray | Ragged | None,
    full: int,
    seed: int,
    order: str,
    first_step: int,
    start: int,
    stop: int,
) -> tf.data.Dataset:
    """Return the endless dataset of (int64 row, int32 [2] seed) for the rows `start:stop` of every training batch."""
    if order not in ORDERS:
        raise ValueError(f"order is {order!r}, but must be one of {', '.join(ORDERS)}")
    records_per_epoch = steps_per_epoch(count, full) * full
    first_epoch, skipped = divmod(first_step * full, records_per_epoch)
    by_class = None
    if order == "balanced":
        by_class = group_by_class(None if isinstance(labels, Ragged) else labels, order)

    @no_autograph
    def epoch_stream(epoch: tf.Tensor) -> tf.data.Dataset:
        positions = tf.range(tf.where(epoch == first_epoch, skipped, 0), records_per_epoch, dtype=tf.int64)
        if stop - start < full:
            positions = tf.boolean_mask(positions, (positions % full >= start) & (positions % full < stop))
        rows = rows_at(positions, count, seed, epoch, order, by_class)
        # A record that "balanced" draws twice in an epoch must not be augmented in the same way twice.
        seeds = example_seed(seed, epoch, rows if order != "balanced" else positions)
        return tf.data.Dataset.from_tensor_slices((rows, seeds))

    return tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max).flat_map(epoch_stream)


def _count(columns: Columns) -> int:
    count = len(next(iter(columns.values())))
    if not count:
        raise UsageError("the dataset has no records, so there is nothing to make batches of")
    return count


def _to_table(column: np.ndarray | Ragged) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
    with tf.device("CPU:0"):
        if isinstance(column, Ragged):
            return tf.constant(column.values), tf.constant(column.offsets)
        column = np.asarray(column)
        if column.dtype.kind in "OU":
            return tf.constant([os.fsencode(value) for value in column])
        return tf.constant(column)


def _row(table: tf.Tensor | tuple[tf.Tensor, tf.Tensor], row: tf.Tensor) -> tf.Tensor:
    if isinstance(table, tuple):
        values, offsets = table
        return values[offsets[row] : offsets[row + 1]]
    return table[row]


def _reason(error: tf.errors.OpError, file: str) -> str:
    """Return the cause in a TensorFlow error, without tracebacks, names of graph nodes and the file's name."""
    noise = ("Graph execution error", "Detected at node", 'File "', "[[")
    lines = (line.strip() for line in error.message.splitlines())
    reason = next((line for line in lines if line and not line.startswith(noise)), type(error).__name__)
    return reason.removeprefix("RetinueError: ").removeprefix(file).lstrip(":; ")


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.cpu_budget = usable_cores()
    options.threading.private_threadpool_size = usable_cores()
    return options
