"""A model split in two: the frozen backbone, whose features are computed once, and the head that is trained on them."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras

from retinue.tasks.model import TaskModel


@dataclasses.dataclass(frozen=True)
class FeatureModels:
    """The parts of a `TaskModel`. They share its layers, so training the head trains the model.

    Attributes:
        train_extractor: model from a batch of training images, as `Task.example` makes them, to
            `{"features": float32 [n, ...]}`.
        eval_extractor: model from a batch of what `Task.read` returns to `{"features": float32 [n, copies, ...]}`,
            with one row of features for each augmented copy of test-time augmentation.
        head: model from the features of `train_extractor` to the outputs of the `TaskModel`, with its losses. It has
            no backbone.
        predictor: model from the features of `eval_extractor` to what `Task.inference` returns.
        targets: function from a batch of `Task.columns` to the targets that `Task.example` makes of them.
    """

    train_extractor: keras.Model
    eval_extractor: keras.Model
    head: TaskModel
    predictor: keras.Model
    targets: Callable[[Mapping[str, Any]], Any]
