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
        fits = (
            len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and isinstance(inputs, tf.Tensor)
            and inputs.dtype != tf.float64
        )
        if not (learns and fits):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        maps = tf.cast(inputs, tf.float32)  # statistics of 16 bits would overflow
        # oneDNN's kernel divides its work by pictures; each place a picture, it is 2 to 5 times as fast. cuDNN has a
        # limit for their number.
        x = maps if tf.config.list_physical_devices("GPU") else tf.reshape(maps, [-1, 1, 1, channels])
        result, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
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
        return tf.cast(tf.reshape(result, tf.shape(inputs)), self.compute_dtype)
