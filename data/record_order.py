"""Which record is at which position of which epoch: pure functions of the seed, the epoch and the position.

A run can therefore resume at any step. The functions for NumPy and the ones for TensorFlow give the same rows.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.data.seeds import hash_integers, hash_integers_numpy

ORDERS = ("shuffle", "sequence", "balanced")
ORDER_SALT, CLASS_SALT, MEMBER_SALT = 1, 2, 3  # make the hashes differ from each other and from example seeds


class RowsByClass(NamedTuple):
    """The rows of a dataset, grouped by class.

    Attributes:
        rows: int64 [n], all rows, sorted by class.
        starts: int64 [c], index in `rows` of the first row of each class that has any.
        sizes: int64 [c], number of rows of each of these classes.
    """

    rows: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return the number of training batches in an epoch of `count` records, at least 1.

    All batches are full, and the remainder of an epoch is omitted.
    """
    return max(count // batch_size, 1)


def batch_rows(
    count: int, labels: np.ndarray | None = None, *, batch_size: int, seed: int, order: str = "shuffle", step: int
) -> np.ndarray:
    """Compute the records of one training batch without TensorFlow.

    Args:
        count: Number of records.
        labels: int [count], the class of each record. Needed only for the order "balanced".
        batch_size: Number of records in a batch.
        seed: Seed of the run.
        order: "shuffle", "sequence" or "balanced"; see `retinue.data.batches.batches`.
        step: Index of the batch, counted from the start of training.

    Returns:
        int64 [batch], rows of the columns.

    Raises:
        UsageError: If the order is "balanced" and there is not one label for each record.
    """
    epoch, step_in_epoch = divmod(step, steps_per_epoch(count, batch_size))
    rows = epoch_rows(count, labels, batch_size=batch_size, seed=seed, order=order, epoch=epoch)
    return rows[step_in_epoch]


def epoch_rows(
    count: int, labels: np.ndarray | None = None, *, batch_size: int, seed: int, order: str = "shuffle", epoch: int
) -> np.ndarray:
    """Compute the records of all training batches of an epoch without TensorFlow.

    Args:
        count: Number of records.
        labels: As for `batch_rows`.
        batch_size: Number of records in a batch.
        seed: Seed of the run.
        order: As for `batch_rows`.
        epoch: Index of the epoch.

    Returns:
        int64 [steps, batch], rows of the columns.

    Raises:
        UsageError: As for `batch_rows`.
    """
    full, steps = min(batch_size, count), steps_per_epoch(count, batch_size)
    positions = np.arange(steps * full).reshape(steps, full)
    if order == "sequence":
        return positions
    if order == "shuffle":
        keys = hash_integers_numpy(ORDER_SALT, seed, epoch, np.arange(count)).view(np.int64)
        return np.argsort(keys, kind="stable")[positions]
    by_class = group_by_class(labels, order)
    classes = _to_int63_numpy(hash_integers_numpy(CLASS_SALT, seed, epoch, positions)) % len(by_class.starts)
    members = _to_int63_numpy(hash_integers_numpy(MEMBER_SALT, seed, epoch, positions)) % by_class.sizes[classes]
    return by_class.rows[by_class.starts[classes] + members]


def rows_at(
    positions: tf.Tensor, count: int, seed: int, epoch: tf.Tensor, order: str, by_class: RowsByClass | None
) -> tf.Tensor:
    """Compute the records at some positions of an epoch, as a part of a TensorFlow graph.

    Args:
        positions: int64 [n], positions in the epoch.
        count: Number of records.
        seed: Seed of the run.
        epoch: int64 scalar, index of the epoch.
        order: "shuffle", "sequence" or "balanced".
        by_class: The rows of each class for the order "balanced", otherwise None.

    Returns:
        int64 [n], rows of the columns.
    """
    if order == "sequence":
        return positions
    if order == "shuffle":
        keys = tf.bitcast(hash_integers(ORDER_SALT, seed, epoch, tf.range(count, dtype=tf.int64)), tf.int64)
        return tf.gather(tf.cast(tf.argsort(keys, stable=True), tf.int64), positions)
    assert by_class is not None
    rows, starts, sizes = (tf.constant(column, tf.int64) for column in by_class)
    classes = _to_int63(hash_integers(CLASS_SALT, seed, epoch, positions)) % tf.size(starts, tf.int64)
    members = _to_int63(hash_integers(MEMBER_SALT, seed, epoch, positions)) % tf.gather(sizes, classes)
    return tf.gather(rows, tf.gather(starts, classes) + members)


def group_by_class(labels: np.ndarray | None, order: str) -> RowsByClass:
    """Group the rows of a dataset by class.

    Args:
        labels: int [n], the class of each row.
        order: Name of the order that needs the groups, for the error message.

    Returns:
        The rows of each class that has any.

    Raises:
        UsageError: If there is not one label for each row.
    """
    if labels is None or np.ndim(labels) != 1:
        raise UsageError(f"{order} batches need one label for each file; set train.class_balance to another value")
    labels = np.asarray(labels)
    _, starts, sizes = np.unique(np.sort(labels, kind="stable"), return_index=True, return_counts=True)
    return RowsByClass(np.argsort(labels, kind="stable"), starts, sizes)


def _to_int63(hashes: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.bitwise.right_shift(hashes, tf.constant(1, tf.uint64)), tf.int64)


def _to_int63_numpy(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(1)).astype(np.int64)
