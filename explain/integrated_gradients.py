"""Integrated gradients: how much each pixel contributes to the score.

Sundararajan, Taly, Yan 2017, arXiv 1703.01365.
"""

import keras
import numpy as np

from retinue.explain import visualization
from retinue.explain.gradients import Gradient, as_gradient, validate_images
from retinue.explain.saliency import target_of_image
from retinue.explain.targets import Target


def integrated_gradients(
    model: keras.Model | Gradient,
    images: np.ndarray,
    target: Target,
    baseline: float | np.ndarray = 0.0,
    steps: int = 64,
) -> np.ndarray:
    """Compute attributions whose sum is the score of the image minus the score of the baseline.

    The integral along the straight path from the baseline to the image is computed by Gauss-Legendre quadrature.

    Args:
        model: A `keras.Model`, or its `Gradient`.
        images: float32 `[n, h, w, c]` as the model takes them.
        target: See `explain/__init__.py`.
        baseline: A number, or an array that broadcasts to an image. 0 is black, as in the paper.
        steps: Number of points of the quadrature.

    Returns:
        float32 `[n, h, w, c]`.

    Raises:
        UsageError: The images or the target do not fit the model.
    """
    gradient = as_gradient(model)
    images = validate_images(gradient.model, images)
    baseline = np.asarray(baseline, images.dtype)
    points, weights = np.polynomial.legendre.leggauss(steps)
    points, weights = (points + 1) / 2, weights / 2
    attributions = np.empty_like(images)
    for index, image in enumerate(images):
        difference = image - baseline
        path = baseline + points.reshape(-1, *[1] * image.ndim).astype(image.dtype) * difference
        gradients = gradient(path, target_of_image(target, index))[1]
        attributions[index] = difference * np.tensordot(weights, gradients, 1)
    return attributions


def draw(image: np.ndarray, attribution: np.ndarray) -> np.ndarray:
    """Draw the attributions summed over the channels: red supports the class, blue opposes it.

    Args:
        image: uint8 `[h, w, 3]`; not used.
        attribution: float `[h, w, c]`.

    Returns:
        uint8 `[h, w, 3]`.
    """
    return visualization.signed_heatmap(attribution.sum(axis=-1))
