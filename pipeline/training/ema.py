"""The exponential moving average of the weights of a model, with the statistics of batch normalization."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class MovingAverage:
    """Averages that follow the weights: `average += (1 - decay) * (weight - average)` after each step.

    The decay starts low, at min(decay, (1 + t) / (10 + t)) in step t, so the first weights are soon forgotten.
    TensorFlow's `ExponentialMovingAverage` with `num_updates` does the same.

    Args:
        model: the model, already built.
        decay: the decay after many steps, for example 0.99.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        self._weights = [weight for weight in model.weights if weight.dtype.startswith("float")]
        self._averages = [keras.Variable(weight.numpy(), trainable=False, name="average") for weight in self._weights]
        self._step = keras.Variable(0.0, trainable=False, name="average_step")
        self._decay = decay
        self._followed: list[int] = []
        self.follow(self._weights)

    def follow(self, weights: Sequence[Any]) -> None:
        """Follow only these weights from now on. The others must keep the value of their average."""
        wanted = {id(weight) for weight in weights}
        indices = [index for index, weight in enumerate(self._weights) if id(weight) in wanted]
        if indices != self._followed:
            self._followed, self._update = indices, tf.function(self._update_all, autograph=False)

    def _update_all(self) -> None:
        step = self._step.value
        fraction = 1.0 - tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        for index in self._followed:
            weight, average = self._weights[index], self._averages[index]
            average.assign_add(fraction * (weight.value - average.value))
        self._step.assign_add(1.0)

    def update(self) -> None:
        """Follow the weights by one step."""
        self._update()

    def swap(self) -> None:
        """Exchange weights and averages. A second call exchanges them back."""
        for weight, average in zip(self._weights, self._averages, strict=True):
            value = weight.numpy()
            weight.assign(average.value)
            average.assign(value)

    @property
    def variables(self) -> list[Any]:
        """The variables that a checkpoint must hold."""
        return [self._step, *self._averages]
