"""Dropout that does not depend on how many replicas share a batch."""

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable(package="retinue")
class Dropout(layers.Dropout):
    """`keras.layers.Dropout` (Srivastava et al. 2014) whose mask is drawn for the full batch, of which each replica
    takes its rows.

    Keras's layer draws the same mask on every replica. The input is any float tensor whose first axis is that of the
    batch, or a multiple of it with the rows of each example together; the output has the same shape.

    Attributes:
        batch_size: Number of examples of a full batch. It must be set before training on several replicas
            (`pipeline/training/trainer.py`). Replica r of R then has the examples from r batch_size // R to
            (r + 1) batch_size // R.
        in_float32: Whether the layer computes in float32 under mixed precision. A mask drawn in 16 bits would be
            another one and would not drop exactly the requested fraction.
    """

    batch_size: int | None = None
    in_float32 = True

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drop a fraction `rate` of the inputs in training and scale the rest by 1 / (1 - rate)."""
        context, replicas = tf.distribute.get_replica_context(), tf.distribute.get_strategy().num_replicas_in_sync
        if not training or not self.rate or replicas == 1 or context is None or self.batch_size is None:
            return super().call(inputs, training=training)
        replica = context.replica_id_in_sync_group
        start, stop = (number * self.batch_size // replicas for number in (replica, replica + 1))
        shape = tf.shape(inputs)
        rows = shape[0] // (stop - start)  # rows per example
        ones = tf.ones(tf.concat([[self.batch_size * rows], shape[1:]], 0), inputs.dtype)
        mask = super().call(ones, training=True)[start * rows : stop * rows]
        return inputs * mask
