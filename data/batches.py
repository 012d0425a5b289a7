"""Records to batches: which record comes when, and the `tf.data` pipeline around a task's `example` function.

The order and every seed are pure functions of (seed, epoch, record), so a run can go on at any step.
"""

import operator
import os

import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.configs.machine import usable_cores
from retinue.data.dataset import Ragged
from retinue.data.seeds import example_seed, hashed, hashed_numpy

# Functions are traced as they stand, without rewriting their Python; that takes seconds for a decoder.
as_written = tf.autograph.experimental.do_not_convert

ORDERS = ("shuffle", "sequence", "balanced")
ORDER_SALT, CLASS_SALT, MEMBER_SALT = 1, 2, 3  # keep the orders' hashes apart from each other and from example seeds


def batches(
    columns,
    example,
    *,
    batch_size,
    training,
    seed=0,
    epoch=0,
    order="shuffle",
    first_step=0,
    steps=None,
    mix=None,
    padding=None,
    shares=None,
    whole=False,
):
    """Batches of decoded examples.

    In training the stream is endless, epoch after epoch, and every batch is full: an epoch's remainder is left out, in
    another order the next time (with fewer records than `batch_size`, a batch is all of them). Orders: "shuffle" is a
    new permutation an epoch; "sequence" is the columns' own; "balanced" draws with replacement so that every class of
    `columns["label"]` that has records is equally likely. In evaluation every record comes once, in the columns' own
    order, and the last batch may be smaller.

    columns: dict of name -> numpy array or `Ragged`, one row a record; strings may be str objects.
    example: function of (dict of one record's tensors, int32 `[2]` seed) -> tuple of tensors, dicts or tuples of them;
    made of TensorFlow operations, since a Python `if` or `for` on a tensor is not rewritten.
    epoch: in evaluation, the epoch of training whose seeds the records get.
    first_step: the global batch to start with; nothing before it is decoded. steps: number of batches, None for all.
    mix: function of (the batch's inputs, targets, int32 `[batch, 2]` seeds) -> (inputs, targets), or None.
    padding: the structure of `example`'s results with a padding value for each; rows that differ in shape are padded to
    the longest of the batch. None where all have one shape.
    shares: in training, which parts of every batch are wanted here, one after the other, each an element: adjoining
    (start, stop) in rows of the batch. By default all of it, as one. Only their records are decoded, unless `mix` takes
    pictures of the others too, or whole is set: then a share is padded like the whole batch, not like itself.
    Returns a `tf.data.Dataset`. Raises UsageError when there are no records, and for "balanced" without one label each.
    """
    count = _count(columns)
    full = min(batch_size, count) if training else batch_size
    tables = {name: _as_tensors(column) for name, column in columns.items()}
    start, stop = (shares[0][0], shares[-1][1]) if shares and mix is None and not whole else (0, full)
    with tf.device("CPU:0"):
        if training:
            stream = _training_stream(count, columns.get("label"), full, seed, order, first_step, start, stop)
        else:
            rows = tf.range(first_step * full, max(count, first_step * full), dtype=tf.int64)
            stream = tf.data.Dataset.from_tensor_slices((rows, example_seed(seed, epoch, rows)))
    if steps is not None:
        stream = stream.take(steps * (stop - start))

    @as_written
    def load(row, record_seed):
        record = {name: _take(table, row) for name, table in tables.items()}
        return tuple(example(record, record_seed)), record_seed

    data = stream.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if padding is None:
        data = data.batch(stop - start, drop_remainder=training)
    else:
        shapes = tf.nest.map_structure(lambda spec: spec.shape, data.element_spec)
        values = (tuple(padding), tf.constant(0, tf.int32))
        data = data.padded_batch(stop - start, shapes, values, drop_remainder=training)
    if mix is None:
        data = data.map(as_written(lambda results, _: results))
    else:
        data = data.map(as_written(lambda results, seeds: (*mix(results[0], results[1], seeds), *results[2:])))
    if shares and shares != [(start, stop)]:
        data = data.flat_map(as_written(lambda *batch: _parts(batch, [(a - start, b - start) for a, b in shares])))
    return data.prefetch(2).with_options(_options())


def steps_per_epoch(count, batch_size):
    """Training batches in an epoch of `count` records: all are full, and the remainder is left out."""
    return max(count // batch_size, 1)


def batch_rows(count, labels=None, *, batch_size, seed, order="shuffle", step):
    """The records of training batch `step`, computed without TensorFlow: int64 `[batch]` rows of the columns.

    count: number of records; labels: int `[count]`, needed for "balanced"; the others as for `batches`.
    """
    epoch, within = divmod(step, steps_per_epoch(count, batch_size))
    return epoch_rows(count, labels, batch_size=batch_size, seed=seed, order=order, epoch=epoch)[within]


def epoch_rows(count, labels=None, *, batch_size, seed, order="shuffle", epoch):
    """The records of all training batches of an epoch, int64 `[steps, batch]`; the arguments as for `batch_rows`."""
    full, steps = min(batch_size, count), steps_per_epoch(count, batch_size)
    places = np.arange(steps * full).reshape(steps, full)
    if order == "sequence":
        return places
    if order == "shuffle":
        keys = hashed_numpy(ORDER_SALT, seed, epoch, np.arange(count)).view(np.int64)
        return np.argsort(keys, kind="stable")[places]
    members, starts, sizes = _classes(labels, order)
    classes = _positive_numpy(hashed_numpy(CLASS_SALT, seed, epoch, places)) % len(starts)
    return members[starts[classes] + _positive_numpy(hashed_numpy(MEMBER_SALT, seed, epoch, places)) % sizes[classes]]


def find_broken(columns, example, rows=None):
    """Yield (file, reason) for the records whose `example` fails, in order; all cores work at it.

    columns, example: as for `batches`; rows: int, the records to try, None for all.
    """
    tables = {name: _as_tensors(column) for name, column in columns.items()}
    rows = np.arange(_count(columns)) if rows is None else np.asarray(rows, np.int64)

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64)], autograph=False)
    def attempt(row):
        record = {name: _take(table, row) for name, table in tables.items()}
        with tf.control_dependencies(tf.nest.flatten(tuple(example(record, tf.zeros([2], tf.int32))))):
            return tf.identity(row)

    data = tf.data.Dataset.from_tensor_slices(rows).map(attempt, num_parallel_calls=tf.data.AUTOTUNE)
    good = data.ignore_errors().with_options(_options()).as_numpy_iterator()
    survivor = next(good, None)
    for row in rows:
        if row == survivor:
            survivor = next(good, None)
            continue
        try:
            attempt(tf.constant(row))
        except tf.errors.OpError as error:
            yield str(columns["file"][row]), _reason(error, str(columns["file"][row]))


def name_broken_file(columns, example, rows=None):
    """The first record that fails, as "file: reason" for a message, or None when none does. See `find_broken`."""
    return next((f"{name}: {reason}" for name, reason in find_broken(columns, example, rows)), None)


def _parts(batch, shares):
    """A dataset of the rows (start, stop) of a batch, an element each."""
    parts = [tf.nest.map_structure(operator.itemgetter(slice(*share)), batch) for share in shares]
    data = tf.data.Dataset.from_tensors(parts[0])
    for part in parts[1:]:
        data = data.concatenate(tf.data.Dataset.from_tensors(part))
    return data


def _training_stream(count, labels, full, seed, order, first_step, start, stop):
    """Dataset of (row int64, seed int32 `[2]`), endless, from batch `first_step` on: rows `start:stop` of each."""
    if order not in ORDERS:
        raise ValueError(f"order is {order!r}, but must be one of {', '.join(ORDERS)}")
    in_epoch = steps_per_epoch(count, full) * full
    first_epoch, skipped = divmod(first_step * full, in_epoch)
    classes = _classes(labels, order) if order == "balanced" else None

    @as_written
    def epoch_stream(epoch):
        places = tf.range(tf.where(epoch == first_epoch, skipped, 0), in_epoch, dtype=tf.int64)
        if stop - start < full:
            places = tf.boolean_mask(places, (places % full >= start) & (places % full < stop))
        rows = _epoch_rows(places, count, seed, epoch, order, classes)
        # A record that "balanced" draws twice in an epoch must not look the same twice.
        seeds = example_seed(seed, epoch, rows) if order != "balanced" else example_seed(seed, epoch, places)
        return tf.data.Dataset.from_tensor_slices((rows, seeds))

    return tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max).flat_map(epoch_stream)


def _epoch_rows(places, count, seed, epoch, order, classes):
    if order == "sequence":
        return places
    if order == "shuffle":
        keys = tf.bitcast(hashed(ORDER_SALT, seed, epoch, tf.range(count, dtype=tf.int64)), tf.int64)
        return tf.gather(tf.cast(tf.argsort(keys, stable=True), tf.int64), places)
    members, starts, sizes = (tf.constant(part, tf.int64) for part in classes)
    drawn = _positive(hashed(CLASS_SALT, seed, epoch, places)) % tf.size(starts, tf.int64)
    member = _positive(hashed(MEMBER_SALT, seed, epoch, places)) % tf.gather(sizes, drawn)
    return tf.gather(members, tf.gather(starts, drawn) + member)


def _classes(labels, order):
    """Rows sorted by class, and where each class that has any starts and how many it has: three int64 arrays."""
    if labels is None or np.ndim(labels) != 1:
        raise UsageError(f"{order} batches need one label a file; choose another way to balance the classes")
    labels = np.asarray(labels)
    _, starts, sizes = np.unique(np.sort(labels, kind="stable"), return_index=True, return_counts=True)
    return np.argsort(labels, kind="stable"), starts, sizes


def _positive(keys):
    return tf.cast(tf.bitwise.right_shift(keys, tf.constant(1, tf.uint64)), tf.int64)


def _positive_numpy(keys):
    return (keys >> np.uint64(1)).astype(np.int64)


def _count(columns):
    count = len(next(iter(columns.values())))
    if not count:
        raise UsageError("there are no records to make batches of")
    return count


def _as_tensors(column):
    with tf.device("CPU:0"):
        if isinstance(column, Ragged):
            return tf.constant(column.values), tf.constant(column.offsets)
        column = np.asarray(column)
        if column.dtype.kind in "OU":
            return tf.constant([os.fsencode(value) for value in column])
        return tf.constant(column)


def _take(table, row):
    if isinstance(table, tuple):
        values, offsets = table
        return values[offsets[row] : offsets[row + 1]]
    return table[row]


def _reason(error, file):
    """What a TensorFlow error says about the file, without traces, names of graph nodes and the file itself."""
    noise = ("Graph execution error", "Detected at node", 'File "', "[[")
    lines = (line.strip() for line in error.message.splitlines())
    reason = next((line for line in lines if line and not line.startswith(noise)), type(error).__name__)
    return reason.removeprefix("RetinueError: ").removeprefix(file).lstrip(":; ")


def _options():
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.cpu_budget = usable_cores()
    options.threading.private_threadpool_size = usable_cores()
    return options
