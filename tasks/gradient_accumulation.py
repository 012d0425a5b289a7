"""Gradient accumulation: micro-batches go through the model one after another, and their gradients are added."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Gradients = list[tf.Tensor | None]


def accumulate_gradients(
    gradients_of: Callable[..., tuple[Gradients, list[tf.Tensor]]],
    weights: Sequence[Any],
    loss_count: int,
    batch: Any,
    micro_batches: int,
) -> tuple[Gradients, list[tf.Tensor]]:
    """Compute the gradients and losses of a batch as sums over its micro-batches.

    Args:
        gradients_of: function (inputs, targets) -> (a gradient for each of `weights`, or None; a list of `loss_count`
            float32 scalars). All of them are sums over examples.
        weights: the trained variables.
        loss_count: number of losses.
        batch: nested (inputs, targets) of tensors whose first axis is the batch, with at least `micro_batches` rows.
        micro_batches: number of micro-batches. Each is a range of adjacent rows; their sizes differ by at most one.

    Returns:
        What `gradients_of` would return for the whole batch.
    """
    rows = tf.shape(tf.nest.flatten(batch)[0])[0]
    without_gradient: set[int] = set()  # indices of the weights that no loss depends on

    def add(number: Any, gradients: list[tf.Tensor], losses: list[tf.Tensor]) -> tuple[Any, Any, Any]:
        start, stop = number * rows // micro_batches, (number + 1) * rows // micro_batches
        more, more_losses = gradients_of(*tf.nest.map_structure(lambda value: value[start:stop], batch))
        without_gradient.update(index for index, gradient in enumerate(more) if gradient is None)
        gradients = [old if new is None else old + new for old, new in zip(gradients, more, strict=True)]
        return number + 1, gradients, [old + new for old, new in zip(losses, more_losses, strict=True)]

    values = tf.constant(0), [tf.zeros(weight.shape) for weight in weights], [tf.constant(0.0)] * loss_count
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        values = tf.while_loop(lambda number, *_: number < micro_batches, add, values, parallel_iterations=1)
    else:  # Inside a loop, several replicas can't synchronize variables such as the statistics of their batch norms.
        for _ in range(micro_batches):
            with tf.control_dependencies(tf.nest.flatten(values)):  # one after another, to save memory
                values = add(*values)
    _, gradients, losses = values
    return [None if index in without_gradient else gradient for index, gradient in enumerate(gradients)], losses
