"""Dropout that is the same however many replicas share a batch."""

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable(package="retinue")
class Dropout(layers.Dropout):
    """Keras's Dropout (Srivastava et al. 2014), but on several replicas each takes its rows of the whole batch's mask.

    Keras's own draws the same mask on every replica. Any float tensor whose first axis is the batch's, or a multiple of
    it with the rows of an example together; the same shape out. batch_size: examples of a whole batch, which must be
    set before training on several replicas (`pipeline/training/trainer.py`); replica r of R then has its rows from
    r batch_size // R to (r + 1) batch_size // R.
    """

    batch_size = None
    in_float32 = True  # a mask drawn in 16 bits would be another one, and would not drop just the share that is asked

    def call(self, inputs, training=False):
        context, replicas = tf.distribute.get_replica_context(), tf.distribute.get_strategy().num_replicas_in_sync
        if not training or not self.rate or replicas == 1 or context is None or self.batch_size is None:
            return super().call(inputs, training=training)
        replica = context.replica_id_in_sync_group
        start, stop = (number * self.batch_size // replicas for number in (replica, replica + 1))
        shape = tf.shape(inputs)
        rows = shape[0] // (stop - start)  # of an example
        ones = tf.ones(tf.concat([[self.batch_size * rows], shape[1:]], 0), inputs.dtype)
        mask = super().call(ones, training=True)[start * rows : stop * rows]
        return inputs * mask
