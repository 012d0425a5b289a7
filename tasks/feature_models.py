"""A net in two: the frozen backbone, whose answers are computed once, and the head that learns from them."""

import dataclasses
from collections.abc import Callable

import keras

from retinue.tasks.model import TaskModel


@dataclasses.dataclass(frozen=True)
class FeatureModels:
    """The parts of a `TaskModel`; they share its layers, so that what the head learns is in the net.

    training: from a batch of training pictures, as `Task.example` makes them, to {"features": float32 `[n, ...]`}.
    held_out: from a batch of what `Task.read` gives to {"features": float32 `[n, views, ...]`}.
    head: from training's features to the net's outputs, with the net's losses; its backbone is empty.
    answer: from {"features"} of held_out to what `Task.inference` gives.
    targets: function of a batch of `Task.columns` -> the targets that `Task.example` makes of them.
    """

    training: keras.Model
    held_out: keras.Model
    head: TaskModel
    answer: keras.Model
    targets: Callable
