"""Gradients of a target with respect to the images, on which most methods are built."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.explain.targets import Target, resolve_target, target_scores

MAX_BATCH_SIZE = 8  # images per step; the backward pass keeps every feature map of each of them in memory
MAX_BATCH_PIXELS = 8 * 384 * 384  # pixels per step, unless a single image has more


class Gradient:
    """Scores of a target and their gradient. The computation is traced once and can be called many times.

    The weights of the model count as they are at the call, so that they may change between calls.

    Attributes:
        model: The `keras.Model`.
    """

    def __init__(self, model: keras.Model) -> None:
        """Wrap a model.

        Args:
            model: A `keras.Model`.

        Raises:
            UsageError: The model is something else, for example an export.
        """
        if not isinstance(model, keras.Model):
            raise UsageError(
                f"gradients need a Keras model, but {type(model).__name__} is no Keras model; load the run folder "
                "instead of an export of it"
            )
        self.model = model
        self._function: Callable[[Any], Any] | None = None
        self._step = tf.function(self._traced_step, reduce_retracing=True, autograph=False)

    def __call__(self, images: Any, target: Target) -> tuple[np.ndarray, Any]:
        """Compute the scores of the target and their gradient.

        Args:
            images: float `[n, ...]`. A model of several inputs (the streams of a video model) takes a dict or a list of
                arrays.
            target: See `explain/__init__.py`.

        Returns:
            (scores float32 `[n]`, gradient float32 in the structure and shapes of `images`), as numpy arrays.

        Raises:
            UsageError: The model does not take these images, or has no such target.
        """
        images = validate_images(self.model, images)
        count = len(keras.tree.flatten(images)[0])
        function, labels = resolve_target(self.model, target, count)
        if self._function is not function:
            self._function, self._step = (
                function,
                tf.function(self._traced_step, reduce_retracing=True, autograph=False),
            )
        results, batch_size = [], batch_size_for(images)
        for start in range(0, count, batch_size):
            stop = start + batch_size
            batch = keras.tree.map_structure(
                lambda array, start=start, stop=stop: tf.constant(array[start:stop]), images
            )
            results.append(self._step(batch, tf.constant(labels[start:stop])))
        scores = np.concatenate([scores.numpy() for scores, _ in results])
        gradients = keras.tree.map_structure(
            lambda *arrays: np.concatenate([array.numpy() for array in arrays]), *[gradient for _, gradient in results]
        )
        return scores, gradients

    def _traced_step(self, images: Any, labels: Any) -> tuple[Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            scores = target_scores(self._function, self.model(images, training=False), labels)
        return scores, tape.gradient(scores, images, unconnected_gradients="zero")


def as_gradient(model: keras.Model | Gradient) -> Gradient:
    """Return the `Gradient` of a model. A `Gradient` is returned unchanged, so that nothing is traced again."""
    return model if isinstance(model, Gradient) else Gradient(model)


def batch_size_for(images: Any) -> int:
    """Return how many of `images` (an array or a structure of arrays) one step takes."""
    pixels = sum(array[0].size / array.shape[-1] for array in keras.tree.flatten(images))
    return max(1, min(MAX_BATCH_SIZE, int(MAX_BATCH_PIXELS / pixels)))


def validate_images(model: keras.Model, images: Any) -> Any:
    """Convert images to arrays of the type that the model takes, which is float32 as a rule.

    Args:
        model: A `keras.Model`.
        images: An array, or a structure of arrays for a model of several inputs.

    Returns:
        The images in the same structure, as numpy arrays.

    Raises:
        UsageError: The model takes other shapes or another number of inputs, or there are no images.
    """
    inputs = keras.tree.flatten(model.inputs)
    dtype = inputs[0].dtype if inputs[0].dtype.startswith("float") else "float32"
    images = keras.tree.map_structure(lambda array: np.asarray(array, dtype), images)
    arrays = keras.tree.flatten(images)
    if len(arrays) != len(inputs):
        raise UsageError(
            f"the model takes {len(inputs)} inputs, but {len(arrays)} were given; give one array per input"
        )
    for array, tensor in zip(arrays, inputs, strict=True):
        sides = zip(array.shape[1:], tensor.shape[1:], strict=False)
        if array.ndim != len(tensor.shape) or any(expected not in (actual, None) for actual, expected in sides):
            expected_shape = " x ".join("any" if side is None else str(side) for side in tensor.shape[1:])
            actual_shape = " x ".join(map(str, array.shape[1:]))
            raise UsageError(
                f"the model takes images of {expected_shape}, but these are {actual_shape}; resize or convert them"
            )
        if not len(array):
            raise UsageError("there are no images to explain; give at least one")
    return images
