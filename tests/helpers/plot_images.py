"""What the tests of plots share."""

import io

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from retinue.tasks import plots


def pixels(plot):
    """The image as uint8 `[h, w, 3]`; its width is the plot's."""
    image = np.asarray(Image.open(io.BytesIO(plot.png)).convert("RGB"))
    assert image.shape[1] == round(plot.width * plots.DPI)
    return image


def has(image, color):
    """Whether `color` occurs in `image`, as it is or mixed to nearly the same."""
    return (np.abs(image.astype(int) - np.round(np.array(to_rgb(color)) * 255)).max(axis=2) <= 2).any()


def confusion_table(matrix, names):
    """The rows of a confusion matrix, as an evaluator makes them."""
    rows = [dict(zip(names, counts, strict=True)) for counts in matrix]
    return [{"truth/predicted": name} | row for name, row in zip(names, rows, strict=True)]


def random_confusion_table(count, seed=0):
    """A confusion matrix with most counts on the diagonal."""
    matrix = np.random.default_rng(seed).integers(0, 3, (count, count)) + 20 * np.eye(count, dtype=int)
    return confusion_table(matrix.tolist(), [f"class {index}" for index in range(count)])
