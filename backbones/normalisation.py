"""Batch normalisation whose training step is one kernel where TensorFlow has one."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("retinue")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` (Ioffe and Szegedy 2015), the same numbers up to rounding.

    Keras computes a batch's mean, variance and result by an operation each, and so their gradients: many times over
    maps that are too large for a cache, a fifth of a ResNet-50's training step on a CPU. TensorFlow's kernel reads them
    as often as it must. It is taken for maps float `[n, height, width, channels]` normalised over the last axis by the
    statistics of this replica's batch; everything else is Keras's.
    """

    def call(self, inputs, training=None, mask=None):
        learns = training and self.trainable and not self.synchronized and mask is None and not self.renorm
        maps = (
            len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and isinstance(inputs, tf.Tensor)
            and inputs.dtype != tf.float64
        )
        if not (learns and maps):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        result, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=tf.cast(inputs, tf.float32),  # statistics of 16 bits would overflow
            scale=tf.convert_to_tensor(self.gamma) if self.scale else tf.ones([channels]),
            offset=tf.convert_to_tensor(self.beta) if self.center else tf.zeros([channels]),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        places = tf.cast(tf.size(inputs) // channels, tf.float32)
        variance *= (places - 1) / places  # the kernel answers the unbiased one, Keras keeps the other
        for moving, found in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + found * (1 - self.momentum))
        return tf.cast(result, self.compute_dtype)
