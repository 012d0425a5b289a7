"""Occlusion: cover a part, see how the probability changes (Zeiler and Fergus 2013, arXiv 1311.2901, section 4.2)."""

import keras
import numpy as np
from keras import ops

from retinue.configs.errors import UsageError
from retinue.explain import visualization
from retinue.explain.gradients import checked
from retinue.explain.targets import resolve, scores_of

BATCH = 128  # covered copies a call, of which a runtime makes pieces as it likes them,
LARGEST_BATCH = 128 * 224 * 224  # and their pixels, unless one copy has more


def occlusion(model, images, target, size=None, stride=None, fill=None, batch=None, within=None):
    """float32 `[n, h, w]`: how much the probability of the target falls while a pixel is covered.

    Each value is the probability of the whole image minus the mean of those with a square over this pixel, so
    `probability - map` is the map of the paper. Positive: covering it hurts.

    model: a Keras model of logits, whose softmax is taken; or, which is faster, any function from float32
        `[m, h, w, c]` to probabilities `[m, classes]`, such as a runtime gives.
    images: `[n, h, w, c]`, or clips `[n, t, h, w, c]`, where the square covers the same place in every frame.
    target: a class index, an array with one an image, or a function from what `model` gives to `[m]`.
    size: side of the square in pixels, or (height, width), by default a fifth of the shorter side. stride: its step, by
        default a fifth of the square. Squares reach over all four borders alike where the steps do not fit.
    fill: what covers, a number or one a channel; by default the mean colour of the image.
    batch: covered copies a call of the model; by default `BATCH`, or fewer where they are large.
    within: x1, y1, x2, y2 in pixels, x2 and y2 exclusive: only there is covered, and the map is 0 elsewhere.
    """
    predict, images, target = _prepared(model, images, target)
    height, width = images.shape[-3:-1]
    sides = _pair(size) if size is not None else (max(1, min(height, width) // 5),) * 2
    steps = _pair(stride) if stride is not None else tuple(max(1, side // 5) for side in sides)
    left, top, right, bottom = (0, 0, width, height) if within is None else within
    if min(sides) < 1 or min(steps) < 1 or sides[0] > bottom - top or sides[1] > right - left:
        size = f"{bottom - top} x {right - left}"
        raise UsageError(f"a square of {sides} pixels at steps of {steps} does not fit images of {size}")
    down = [(top + first, top + end) for first, end in spans(bottom - top, sides[0], steps[0])]
    across = [(left + first, left + end) for first, end in spans(right - left, sides[1], steps[1])]
    places = [(*rows, *columns) for rows in down for columns in across]
    maps = np.empty((len(images), height, width), np.float32)
    pixels = np.prod(images.shape[1:-1])
    batch = max(1, min(BATCH, int(LARGEST_BATCH // pixels))) if batch is None else batch
    for row, image in enumerate(images):
        axes = tuple(range(image.ndim - 1))
        cover = image.mean(axis=axes) if fill is None else np.float32(fill)
        whole = target(predict(image[None]), row)[0]
        total, count = np.zeros((2, height, width), np.float64)
        for first in range(0, len(places), batch):
            part = places[first : first + batch]
            covered = np.repeat(image[None], len(part), axis=0)
            for copy, (top, bottom, left, right) in zip(covered, part, strict=True):
                copy[..., top:bottom, left:right, :] = cover
            for value, (top, bottom, left, right) in zip(target(predict(covered), row), part, strict=True):
                total[top:bottom, left:right] += value
                count[top:bottom, left:right] += 1
        # Where a step is longer than the square, nothing was covered in between.
        maps[row] = np.where(count > 0, whole - total / np.maximum(count, 1), 0)
    return maps


def spans(length, size, step):
    """(first, end) of each place along one axis: every pixel of `length` is covered where step <= size."""
    count = -(-(length - size) // step) + 1
    start = -(((count - 1) * step + size - length) // 2)
    return [(max(0, start + i * step), min(length, start + i * step + size)) for i in range(count)]


def _pair(value):
    return (value, value) if np.ndim(value) == 0 else tuple(value)


def _prepared(model, images, target):
    """(function to probabilities, images float32, function (probabilities, row) -> float `[m]`)."""
    if isinstance(model, keras.Model):
        images = checked(model, images)
        resolve(model, target, len(images))  # its errors

        def predict(batch):
            outputs = model(batch, training=False)
            outputs = outputs if callable(target) else ops.softmax(ops.cast(scores_of(outputs), "float32"))
            return keras.tree.map_structure(ops.convert_to_numpy, outputs)
    else:
        predict, images = model, np.asarray(images, np.float32)
    if callable(target):
        return predict, images, lambda outputs, row: np.asarray(target(outputs))
    labels = np.broadcast_to(np.asarray(target), (len(images),))

    def of_class(probabilities, row):
        if not 0 <= labels[row] < probabilities.shape[-1]:
            count = probabilities.shape[-1]
            raise UsageError(f"target {labels[row]}: the model has {count} classes, 0 to {count - 1}")
        return np.asarray(probabilities)[:, labels[row]]

    return predict, images, of_class


def draw(image, found):
    """The fall as heat over the photo. image: uint8 `[h, w, 3]`. Gives uint8 `[h, w, 3]`."""
    return visualization.overlay(image, np.maximum(found, 0))
