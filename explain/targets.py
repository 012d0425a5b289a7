"""What is explained: one number an image, out of whatever a model gives."""

import keras
import numpy as np
from keras import ops

from retinue.configs.errors import UsageError


def resolve(model, target, count):
    """Give (function or None, int32 array `[count]` of classes): what `score_of` takes.

    target: a class index; an array `[count]` of them, one an image; or a function from the model's outputs to float
    `[m]`, such as `region` makes.
    Raises UsageError for a class that the model does not have, and for an array of another length.
    """
    if callable(target):
        return target, np.zeros(count, np.int32)
    classes = scores_of(model.outputs).shape[-1]
    labels = np.asarray(target)
    if labels.dtype.kind not in "iu":
        raise UsageError(f"target {target!r}: give a class index, an array of them, or a function of the outputs")
    if labels.ndim and labels.shape != (count,):
        raise UsageError(f"{labels.size} targets for {count} images: give one class, or one an image")
    labels = np.broadcast_to(labels, (count,)).astype(np.int32)
    for label in labels[(labels < 0) | (labels >= classes)]:
        raise UsageError(f"target {label}: the model has {classes} classes, 0 to {classes - 1}")
    return None, labels


def score_of(target, outputs, which):
    """float tensor `[m]`: the target's scores in a model's outputs, of what `resolve` gave.

    target: the function, or None for classes; which: int32 `[m]`, the class of each image.
    """
    if target is not None:
        return target(outputs)
    scores = ops.cast(scores_of(outputs), "float32")
    return ops.sum(scores * ops.one_hot(which, scores.shape[-1]), axis=-1)


def scores_of(outputs):
    """The one tensor `[m, classes]` of a classifier's outputs, which may be a dict. Raises UsageError for others."""
    flat = keras.tree.flatten(outputs)
    if len(flat) != 1 or len(flat[0].shape) != 2:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in flat)
        raise UsageError(
            f"the model's outputs are {shapes}, not scores [n, classes]: give the target as a function of them"
        )
    return flat[0]


def region(label, mask):
    """A target for segmentation: the mean logit of class `label` over a region.

    mask: bool or float `[h', w']` in the size of the model's output `[n, h', w', classes]`, 1 inside the region.
    """
    mask = np.asarray(mask, np.float32)
    if not mask.sum():
        raise UsageError("the region is empty: give a mask with at least one pixel inside")

    def score(outputs):
        (maps,) = keras.tree.flatten(outputs)
        if len(maps.shape) != 4 or tuple(maps.shape[1:3]) != mask.shape:
            size = tuple(maps.shape[1:3])
            raise UsageError(f"the mask is {mask.shape}, the model's map {size}: they must be of one size")
        if not 0 <= label < maps.shape[-1]:
            raise UsageError(f"target {label}: the model has {maps.shape[-1]} classes, 0 to {maps.shape[-1] - 1}")
        return ops.sum(ops.cast(maps[..., label], "float32") * mask, axis=(1, 2)) / mask.sum()

    return score
