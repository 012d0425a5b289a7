"""Saliency: which pixels change the class score most (Simonyan, Vedaldi, Zisserman 2013, arXiv 1312.6034, section 3).

SmoothGrad averages the gradient over noisy copies (Smilkov et al. 2017, arXiv 1706.03825).
"""

from typing import Any

import keras
import numpy as np

from retinue.explain import visualization
from retinue.explain.gradients import Gradient, as_gradient, validate_images
from retinue.explain.targets import Target


def saliency(model: keras.Model | Gradient, images: Any, target: Target) -> Any:
    """Compute the largest magnitude over the channels of the gradient of the class score before the softmax.

    Args:
        model: A `keras.Model`, or its `Gradient`.
        images: float32 `[n, h, w, c]`, clips `[n, t, h, w, c]`, or a dict or list of such arrays for a model of several
            inputs.
        target: See `explain/__init__.py`.

    Returns:
        float32 `[n, h, w]`; `[n, t, h, w]` for clips; a dict or list of such maps for several inputs.

    Raises:
        UsageError: The images or the target do not fit the model.
    """
    _, gradients = as_gradient(model)(images, target)
    return keras.tree.map_structure(lambda array: np.abs(array).max(axis=-1), gradients)


def smoothgrad(
    model: keras.Model | Gradient,
    images: np.ndarray,
    target: Target,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
) -> np.ndarray:
    """Compute `saliency` of the gradient averaged over noisy copies of each image.

    Args:
        model: A `keras.Model`, or its `Gradient`.
        images: float32 `[n, h, w, c]` as the model takes them.
        target: See `explain/__init__.py`.
        samples: Number of noisy copies per image.
        noise: Standard deviation of the Gaussian noise, as a fraction of the range of the image's values.
        seed: Seed of the noise.

    Returns:
        float32 `[n, h, w]`.

    Raises:
        UsageError: The images or the target do not fit the model.
    """
    gradient = as_gradient(model)
    images, random = validate_images(gradient.model, images), np.random.default_rng(seed)
    maps = np.empty(images.shape[:-1], np.float32)
    for index, image in enumerate(images):
        deviation = noise * (image.max() - image.min())
        copies = image + deviation * random.standard_normal((samples, *image.shape), np.float32)
        maps[index] = np.abs(gradient(copies, target_of_image(target, index))[1].mean(axis=0)).max(axis=-1)
    return maps


def target_of_image(target: Target, index: int) -> Target:
    """Return the target of one image of a batch, for all copies of it."""
    return target if callable(target) or np.ndim(target) == 0 else np.asarray(target)[index]


def draw(image: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Draw the map as a heat map; black is zero.

    Args:
        image: uint8 `[h, w, 3]`; not used.
        heatmap: float `[h, w]`, at least 0.

    Returns:
        uint8 `[h, w, 3]`.
    """
    return visualization.heatmap(heatmap)
