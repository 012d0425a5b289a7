"""Targets of explanations: the one number per image whose dependence on the pixels is explained."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from retinue.configs.errors import UsageError

# A class index, one class index per image, or a function from a model's outputs (tensors, hence Any) to float [n].
Target = int | np.ndarray | Callable[[Any], Any]


def resolve_target(model: keras.Model, target: Target, count: int) -> tuple[Callable[[Any], Any] | None, np.ndarray]:
    """Split a target into the two arguments that `target_scores` takes.

    Args:
        model: The model to explain.
        target: A class index; an integer array `[count]` with one class index per image; or a function from the
            outputs of the model to float `[m]`, such as `tasks.segmentation.region_target` makes.
        count: Number of images.

    Returns:
        (function or None, class indices int32 `[count]`). The class indices are zeros where the target is a function.

    Raises:
        UsageError: The model has no such class, or the array has another length than `count`.
    """
    if callable(target):
        return target, np.zeros(count, np.int32)
    num_classes = classifier_scores(model.outputs).shape[-1]
    labels = np.asarray(target)
    if labels.dtype.kind not in "iu":
        raise UsageError(
            f"target {target!r} is not valid; give a class index, an array of class indices, or a function of the "
            "outputs"
        )
    if labels.ndim and labels.shape != (count,):
        raise UsageError(f"there are {labels.size} targets for {count} images; give one class, or one class per image")
    labels = np.broadcast_to(labels, (count,)).astype(np.int32)
    for label in labels[(labels < 0) | (labels >= num_classes)]:
        raise UsageError(f"target {label} does not exist: the model has {num_classes} classes, 0 to {num_classes - 1}")
    return None, labels


def target_scores(function: Callable[[Any], Any] | None, outputs: Any, labels: Any) -> Any:
    """Compute the scores of a target from the outputs of a model.

    Args:
        function: The function that `resolve_target` returned, or None for class indices.
        outputs: The outputs of the model: one tensor, or a structure of tensors.
        labels: int32 `[m]`, the class index of each image; unused if there is a function.

    Returns:
        A float tensor `[m]`.
    """
    if function is not None:
        return function(outputs)
    scores = ops.cast(classifier_scores(outputs), "float32")
    return ops.sum(scores * ops.one_hot(labels, scores.shape[-1]), axis=-1)


def classifier_scores(outputs: Any) -> Any:
    """Return the only tensor `[m, classes]` among the outputs of a classifier, which may be a dict.

    Raises:
        UsageError: The outputs are not a single tensor of that rank.
    """
    tensors = keras.tree.flatten(outputs)
    if len(tensors) != 1 or len(tensors[0].shape) != 2:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise UsageError(
            f"the outputs of the model have the shapes {shapes} and are not scores [n, classes]; give the target as a "
            "function of the outputs"
        )
    return tensors[0]
