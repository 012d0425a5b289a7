"""The exponential moving average of a model's weights, batch norm statistics included."""

import keras
import tensorflow as tf


class MovingAverage:
    """Shadow values that follow the weights: `shadow += (1 - decay) * (weight - shadow)` after each step.

    The decay starts low, min(decay, (1 + t) / (10 + t)) at step t, so that the first weights are soon forgotten
    (Tensorflow's ExponentialMovingAverage with num_updates does the same). model: `keras.Model`, already built.
    """

    def __init__(self, model, decay):
        self._weights = [weight for weight in model.weights if weight.dtype.startswith("float")]
        self._shadows = [keras.Variable(weight.numpy(), trainable=False, name="average") for weight in self._weights]
        self._step = keras.Variable(0.0, trainable=False, name="average_step")
        self._decay = decay
        self._moving = None
        self.follow(self._weights)

    def follow(self, weights):
        """Follow these weights alone from now on. The others must rest where their averages are."""
        wanted = {id(weight) for weight in weights}
        rows = [row for row, weight in enumerate(self._weights) if id(weight) in wanted]
        if rows != self._moving:
            self._moving, self._update = rows, tf.function(self._update_all)

    def _update_all(self):
        step = self._step.value
        rate = 1.0 - tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        for row in self._moving:
            weight, shadow = self._weights[row], self._shadows[row]
            shadow.assign_add(rate * (weight.value - shadow.value))
        self._step.assign_add(1.0)

    def update(self):
        """Follow the weights by one step."""
        self._update()

    def swap(self):
        """Exchange weights and averages; a second call exchanges them back."""
        for weight, shadow in zip(self._weights, self._shadows, strict=True):
            value = weight.numpy()
            weight.assign(shadow.value)
            shadow.assign(value)

    @property
    def variables(self):
        """What a checkpoint must hold."""
        return [self._step, *self._shadows]
