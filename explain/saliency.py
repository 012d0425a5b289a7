"""Class saliency: which pixels the class score follows (Simonyan, Vedaldi, Zisserman 2013, arXiv 1312.6034, section 3).

SmoothGrad averages the gradient over noisy copies (Smilkov et al. 2017, arXiv 1706.03825).
"""

import keras
import numpy as np

from retinue.explain import visualization
from retinue.explain.gradients import checked, prepared


def saliency(model, images, target):
    """float32 `[n, h, w]`: the largest magnitude over the channels of the gradient of the unnormalised class score.

    model: a `keras.Model` or its `Gradient`. For clips `[n, t, h, w, c]` the map is `[n, t, h, w]`; for a model of
    several inputs it is a dict or list of such maps.
    """
    _, found = prepared(model)(images, target)
    return keras.tree.map_structure(lambda part: np.abs(part).max(axis=-1), found)


def smoothgrad(model, images, target, samples=32, noise=0.15, seed=0):
    """float32 `[n, h, w]`: as `saliency`, of the mean gradient at `samples` noisy copies of each image.

    noise: standard deviation of the Gaussian noise, as a share of the image's largest minus smallest value.
    """
    gradient = prepared(model)
    images, random = checked(gradient.model, images), np.random.default_rng(seed)
    maps = np.empty(images.shape[:-1], np.float32)
    for row, image in enumerate(images):
        deviation = noise * (image.max() - image.min())
        noisy = image + deviation * random.standard_normal((samples, *image.shape), np.float32)
        maps[row] = np.abs(gradient(noisy, of_row(target, row))[1].mean(axis=0)).max(axis=-1)
    return maps


def of_row(target, row):
    """The target of one image among several."""
    return target if callable(target) or np.ndim(target) == 0 else target[row]


def draw(image, found):
    """The map as heat: black is none. image: uint8 `[h, w, 3]`, found: `[h, w]`. Gives uint8 `[h, w, 3]`."""
    return visualization.heatmap(found)
