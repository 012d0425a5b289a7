"""Gradient accumulation: a batch goes through a net in parts, one after another, and their gradients are added."""

import tensorflow as tf


def accumulated(gradients_of, weights, losses, batch, parts):
    """(gradients, losses) of a whole batch, as sums over `parts` adjoining parts of it.

    gradients_of: function (inputs, targets) -> (a gradient for each of `weights`, or None; a list of so many `losses`,
    float32 scalars), all of which are sums over examples. batch: nested (inputs, targets) of tensors that start with
    the batch's axis, of `parts` rows or more; the parts differ by one row at most.
    """
    rows = tf.shape(tf.nest.flatten(batch)[0])[0]
    missing = set()  # places of weights that no loss depends on

    def add(number, gradients, sums):
        start, stop = number * rows // parts, (number + 1) * rows // parts
        more, more_sums = gradients_of(*tf.nest.map_structure(lambda value: value[start:stop], batch))
        missing.update(place for place, gradient in enumerate(more) if gradient is None)
        gradients = [old if new is None else old + new for old, new in zip(gradients, more, strict=True)]
        return number + 1, gradients, [old + new for old, new in zip(sums, more_sums, strict=True)]

    values = tf.constant(0), [tf.zeros(weight.shape) for weight in weights], [tf.constant(0.0)] * losses
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        values = tf.while_loop(lambda number, *_: number < parts, add, values, parallel_iterations=1)
    else:  # within a loop several replicas can't agree on variables, as the statistics of their batch norms
        for _ in range(parts):
            with tf.control_dependencies(tf.nest.flatten(values)):  # one after another, so that memory is enough
                values = add(*values)
    _, gradients, sums = values
    return [None if place in missing else gradient for place, gradient in enumerate(gradients)], sums
