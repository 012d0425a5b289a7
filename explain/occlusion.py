"""Occlusion: cover a part of the image and measure how the probability changes.

Zeiler and Fergus 2013, arXiv 1311.2901, section 4.2.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from retinue.configs.errors import UsageError
from retinue.explain import visualization
from retinue.explain.gradients import validate_images
from retinue.explain.targets import Target, classifier_scores, resolve_target

MAX_BATCH_SIZE = 128  # covered copies per call of the model; a runtime splits them further as it needs
MAX_BATCH_PIXELS = 128 * 224 * 224  # pixels per call, unless a single copy has more


def occlusion(
    model: keras.Model | Callable[[np.ndarray], Any],
    images: np.ndarray,
    target: Target,
    size: int | Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    fill: float | Sequence[float] | np.ndarray | None = None,
    batch_size: int | None = None,
    within: tuple[int, int, int, int] | None = None,
) -> np.ndarray:
    """Compute how much the probability of the target falls while a pixel is covered.

    Each value is the probability of the whole image minus the mean of the probabilities with a window over this pixel.
    Hence `probability - map` is the map of the paper. A positive value means that covering the pixel lowers the
    probability.

    Args:
        model: A Keras model of logits, to which the softmax is applied; or, which is faster, any function from float32
            `[m, h, w, c]` to probabilities `[m, classes]`, such as a runtime offers.
        images: `[n, h, w, c]`, or clips `[n, t, h, w, c]`, in which the window covers the same position of every frame.
        target: A class index, an array with one class index per image, or a function from the outputs of `model` to
            float `[m]`.
        size: Side of the window in pixels, or (height, width); by default a fifth of the shorter side of the image.
        stride: Step of the window in pixels, or (vertical, horizontal); by default a fifth of the window. Windows
            extend over opposite borders equally where the steps do not fit.
        fill: Value of the covered pixels, or one value per channel; by default the mean color of the image.
        batch_size: Covered copies per call of the model; by default `MAX_BATCH_SIZE`, or fewer if they are large.
        within: x1, y1, x2, y2 in pixels, x2 and y2 exclusive. Only this box is covered, and the map is 0 elsewhere.

    Returns:
        float32 `[n, h, w]`.

    Raises:
        UsageError: The window does not fit the images, or the model has no such class or takes other images.
    """
    predict, images, probability_of = _prepare(model, images, target)
    height, width = images.shape[-3:-1]
    sides = _pair(size) if size is not None else (max(1, min(height, width) // 5),) * 2
    steps = _pair(stride) if stride is not None else (max(1, sides[0] // 5), max(1, sides[1] // 5))
    left, top, right, bottom = (0, 0, width, height) if within is None else within
    if min(sides) < 1 or min(steps) < 1 or sides[0] > bottom - top or sides[1] > right - left:
        raise UsageError(
            f"a window of {sides[0]} x {sides[1]} pixels at a stride of {steps[0]} x {steps[1]} does not fit an area "
            f"of {bottom - top} x {right - left} pixels; choose a smaller window"
        )
    vertical = [(top + start, top + stop) for start, stop in spans(bottom - top, sides[0], steps[0])]
    horizontal = [(left + start, left + stop) for start, stop in spans(right - left, sides[1], steps[1])]
    windows = [(*rows, *columns) for rows in vertical for columns in horizontal]
    maps = np.empty((len(images), height, width), np.float32)
    pixels = np.prod(images.shape[1:-1])
    if batch_size is None:
        batch_size = max(1, min(MAX_BATCH_SIZE, int(MAX_BATCH_PIXELS // pixels)))
    for index, image in enumerate(images):
        color = image.mean(axis=tuple(range(image.ndim - 1))) if fill is None else np.asarray(fill, np.float32)
        uncovered = probability_of(predict(image[None]), index)[0]
        total, count = np.zeros((2, height, width), np.float64)
        for start in range(0, len(windows), batch_size):
            batch = windows[start : start + batch_size]
            copies = np.repeat(image[None], len(batch), axis=0)
            for copy, (y1, y2, x1, x2) in zip(copies, batch, strict=True):
                copy[..., y1:y2, x1:x2, :] = color
            for probability, (y1, y2, x1, x2) in zip(probability_of(predict(copies), index), batch, strict=True):
                total[y1:y2, x1:x2] += probability
                count[y1:y2, x1:x2] += 1
        # If a step is longer than the window, the pixels in between were never covered.
        maps[index] = np.where(count > 0, uncovered - total / np.maximum(count, 1), 0)
    return maps


def spans(length: int, size: int, step: int) -> list[tuple[int, int]]:
    """Compute the intervals that windows of `size` at a stride of `step` cover along one axis of `length` pixels.

    Returns:
        (start, stop) of each window, cut at the borders. Every pixel is covered if `step` is at most `size`.
    """
    count = -(-(length - size) // step) + 1
    start = -(((count - 1) * step + size - length) // 2)
    return [(max(0, start + i * step), min(length, start + i * step + size)) for i in range(count)]


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, (int, np.integer)) else value
    return first, second


def _prepare(
    model: keras.Model | Callable[[np.ndarray], Any], images: np.ndarray, target: Target
) -> tuple[Callable[[np.ndarray], Any], np.ndarray, Callable[[Any, int], np.ndarray]]:
    """Return (function to probabilities, images float32, function (probabilities, image index) -> float `[m]`)."""
    if isinstance(model, keras.Model):
        images = validate_images(model, images)
        resolve_target(model, target, len(images))  # raises for an invalid target before anything is computed

        def predict_with_keras(batch: np.ndarray) -> Any:
            outputs = model(batch, training=False)
            outputs = outputs if callable(target) else ops.softmax(ops.cast(classifier_scores(outputs), "float32"))
            return keras.tree.map_structure(ops.convert_to_numpy, outputs)

        predict: Callable[[np.ndarray], Any] = predict_with_keras
    else:
        predict = model
        images = np.asarray(images, np.float32)
    if callable(target):
        return predict, images, lambda outputs, index: np.asarray(target(outputs))
    labels = np.broadcast_to(np.asarray(target), (len(images),))

    def probability_of(probabilities: Any, index: int) -> np.ndarray:
        count = probabilities.shape[-1]
        if not 0 <= labels[index] < count:
            raise UsageError(f"target {labels[index]} does not exist: the model has {count} classes, 0 to {count - 1}")
        return np.asarray(probabilities)[:, labels[index]]

    return predict, images, probability_of


def draw(image: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Draw how much the probability falls as heat over the image; rises are not drawn.

    Args:
        image: uint8 `[h, w, 3]`.
        heatmap: float `[h, w]`.

    Returns:
        uint8 `[h, w, 3]`.
    """
    return visualization.overlay(image, np.maximum(heatmap, 0))
