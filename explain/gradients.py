"""Gradients of a target with respect to the images: what most methods are made of."""

import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.explain.targets import resolve, score_of

BATCH = 8  # images a step; the backward pass holds every map of the net for each of them
LARGEST_BATCH = 8 * 384 * 384  # pixels a step, unless a single image has more


class Gradient:
    """Scores of a target and their gradient, traced once and called again and again.

    model: a `keras.Model`. The weights count as they are when it is called.
    """

    def __init__(self, model):
        if not isinstance(model, keras.Model):
            raise UsageError(f"{type(model).__name__} is no Keras model: load the run folder, not an export of it")
        self.model = model
        self._score, self._step = None, tf.function(self._traced, reduce_retracing=True)

    def __call__(self, images, target):
        """images float `[n, ...]` -> (scores float32 `[n]`, gradient float32 like images), numpy.

        target: see explain/__init__.py. A model of several inputs (the streams of a video model) is given a dict or a
        list of arrays, and gives one like it.
        """
        images = checked(self.model, images)
        count = len(keras.tree.flatten(images)[0])
        score, which = resolve(self.model, target, count)
        if self._score is not score:
            self._score, self._step = score, tf.function(self._traced, reduce_retracing=True)
        parts, step = [], batch_of(images)
        for first in range(0, count, step):
            batch = keras.tree.map_structure(lambda part, at=first: tf.constant(part[at : at + step]), images)
            parts.append(self._step(batch, tf.constant(which[first : first + step])))
        scores = np.concatenate([scores.numpy() for scores, _ in parts])
        gradients = keras.tree.map_structure(
            lambda *arrays: np.concatenate([array.numpy() for array in arrays]), *[found for _, found in parts]
        )
        return scores, gradients

    def _traced(self, images, which):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            scores = score_of(self._score, self.model(images, training=False), which)
        return scores, tape.gradient(scores, images, unconnected_gradients="zero")


def prepared(model):
    """The `Gradient` of a `keras.Model`; one that is made already is taken as it is, which saves tracing again."""
    return model if isinstance(model, Gradient) else Gradient(model)


def batch_of(images):
    """How many of `images` a step takes."""
    pixels = sum(part[0].size / part.shape[-1] for part in keras.tree.flatten(images))
    return max(1, min(BATCH, int(LARGEST_BATCH / pixels)))


def checked(model, images):
    """`images` as arrays of the model's type, float32 as a rule.

    Raises UsageError for shapes that the model does not take, and for no images at all.
    """
    wanted = keras.tree.flatten(model.inputs)
    kind = wanted[0].dtype if wanted[0].dtype.startswith("float") else "float32"
    images = keras.tree.map_structure(lambda part: np.asarray(part, kind), images)
    arrays = keras.tree.flatten(images)
    if len(arrays) != len(wanted):
        raise UsageError(f"the model takes {len(wanted)} inputs, {len(arrays)} were given")
    for array, tensor in zip(arrays, wanted, strict=True):
        sizes = zip(array.shape[1:], tensor.shape[1:], strict=False)
        if array.ndim != len(tensor.shape) or any(size not in (given, None) for given, size in sizes):
            shape = " x ".join("any" if size is None else str(size) for size in tensor.shape[1:])
            raise UsageError(f"the model takes images of {shape}, these are {' x '.join(map(str, array.shape[1:]))}")
        if not len(array):
            raise UsageError("there are no images to explain")
    return images
