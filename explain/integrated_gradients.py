"""Integrated gradients: each pixel's share of the score (Sundararajan, Taly, Yan 2017, arXiv 1703.01365)."""

import numpy as np

from retinue.explain import visualization
from retinue.explain.gradients import checked, prepared
from retinue.explain.saliency import of_row


def integrated_gradients(model, images, target, baseline=0.0, steps=64):
    """float32 `[n, h, w, c]`: attributions whose sum is the score of the image minus that of the baseline.

    model: a `keras.Model` or its `Gradient`. baseline: a number or an array that broadcasts to an image; 0 is black, as
    in the paper. The integral from there to the image is taken by Gauss-Legendre quadrature at `steps` points.
    """
    gradient = prepared(model)
    images = checked(gradient.model, images)
    baseline = np.asarray(baseline, images.dtype)
    points, weights = np.polynomial.legendre.leggauss(steps)
    points, weights = (points + 1) / 2, weights / 2
    found = np.empty_like(images)
    for row, image in enumerate(images):
        difference = image - baseline
        path = baseline + points.reshape(-1, *[1] * image.ndim).astype(image.dtype) * difference
        gradients = gradient(path, of_row(target, row))[1]
        found[row] = difference * np.tensordot(weights, gradients, 1)
    return found


def draw(image, found):
    """Sums over the channels, red where they speak for the class and blue where against. Gives uint8 `[h, w, 3]`."""
    return visualization.signed_heatmap(found.sum(axis=-1))
