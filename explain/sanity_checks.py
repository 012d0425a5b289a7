"""Sanity checks of explanations: deletion and insertion curves, and randomization of the model's parameters.

Deletion removes the pixels that the map calls most important, and insertion restores them in a blurred image (Petsiuk,
Das, Saenko 2018, "RISE", arXiv 1806.07421, section 4.1). With a good map the probability falls early and rises early.
Randomization replaces the trained weights layer by layer from the top (Adebayo et al. 2018, arXiv 1810.03292, section
3). A map that does not change shows the image and not what the model has learned.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import keras
import numpy as np

from retinue.configs.errors import UsageError

BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Curves:
    """Deletion and insertion curves of one map.

    Attributes:
        fractions: float `[steps + 1]`, fractions of the pixels that are deleted or inserted, 0 to 1.
        deletion: float `[steps + 1]`, probability of the target after deleting these fractions.
        insertion: float `[steps + 1]`, probability of the target after inserting these fractions.
    """

    fractions: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def deletion_area(self) -> float:
        """Area under the deletion curve; lower is better."""
        return float(np.trapezoid(self.deletion, self.fractions))

    @property
    def insertion_area(self) -> float:
        """Area under the insertion curve; higher is better."""
        return float(np.trapezoid(self.insertion, self.fractions))


def curves(
    predict: Callable[[np.ndarray], Any], image: np.ndarray, target: int, heatmap: np.ndarray, steps: int = 32
) -> Curves:
    """Compute the deletion and insertion curves of one map.

    Args:
        predict: Function from float32 `[m, h, w, c]` to probabilities `[m, classes]`.
        image: `[h, w, c]` as `predict` takes it.
        target: Class index.
        heatmap: `[h, w]`, high where the image matters.
        steps: Number of steps of the curves.

    Returns:
        The curves. Deleted pixels get the mean color of the image; inserted pixels replace those of a blurred copy.

    Raises:
        UsageError: The map and the image have different sizes.
    """
    image, heatmap = np.asarray(image, np.float32), np.asarray(heatmap)
    height, width = image.shape[:2]
    if heatmap.shape != (height, width):
        raise UsageError(
            f"the map has the size {heatmap.shape} and the image {(height, width)}; they must have the same size"
        )
    rank = np.empty(height * width, np.int64)
    rank[np.argsort(-heatmap.ravel(), kind="stable")] = np.arange(height * width)
    rank = rank.reshape(height, width, 1)
    fractions = np.linspace(0, 1, steps + 1)
    mean_color = np.broadcast_to(image.mean(axis=(0, 1)), image.shape)
    blurred = cv2.GaussianBlur(image, (0, 0), max(height, width) / 20).reshape(image.shape)
    masks = [rank < round(fraction * height * width) for fraction in fractions]
    deleted = [np.where(mask, mean_color, image) for mask in masks]
    inserted = [np.where(mask, image, blurred) for mask in masks]
    probabilities = _predict_in_batches(predict, np.stack(deleted + inserted))[:, target]
    return Curves(fractions, probabilities[: steps + 1], probabilities[steps + 1 :])


def randomization(
    model: keras.Model, method: Callable[[], np.ndarray], max_layers: int = 8, seed: int = 0
) -> list[tuple[str, float]]:
    """Compute how similar a method's maps remain while the model's layers are randomized one after the other.

    From the output down, the kernel of each layer is replaced by normal noise of its own mean and deviation. After up
    to `max_layers` layers, evenly spaced, the maps are computed again. At the end the model has its own weights again.

    Args:
        model: A `keras.Model`.
        method: Function without arguments that returns maps float `[n, h, w]` of `model` with its current weights.
        max_layers: Number of layers after which the maps are computed, at most.
        seed: Seed of the noise.

    Returns:
        One (name of the layer, correlation) per computed map. The correlation is Spearman's, between the new map and
        the first one, averaged over the images.
    """
    own_weights, original_maps = model.get_weights(), method()
    layers = [layer for layer in model.layers if _kernels(layer)]
    measured = set(np.linspace(0, len(layers) - 1, max_layers).round().astype(int).tolist())
    random = np.random.default_rng(seed)
    correlations: list[tuple[str, float]] = []
    try:
        for index, layer in enumerate(reversed(layers)):
            for variable in _kernels(layer):
                value = keras.ops.convert_to_numpy(variable)
                variable.assign(random.normal(value.mean(), value.std(), value.shape).astype(value.dtype))
            if index in measured:
                pairs = zip(original_maps, method(), strict=True)
                correlations.append((layer.name, float(np.mean([spearman(first, other) for first, other in pairs]))))
    finally:
        model.set_weights(own_weights)
    return correlations


def _kernels(layer: keras.layers.Layer) -> list[keras.Variable]:
    return [variable for variable in layer.weights if "kernel" in variable.path.rsplit("/", 1)[-1]]


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Compute Spearman's rank correlation of two arrays of one shape; 0 if one of them is constant."""
    first_ranks, second_ranks = _ranks(np.ravel(first)), _ranks(np.ravel(second))
    if first_ranks.std() == 0 or second_ranks.std() == 0:
        return 0.0
    return float(np.corrcoef(first_ranks, second_ranks)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Rank values from 0; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse.ravel()]


def _predict_in_batches(predict: Callable[[np.ndarray], Any], images: np.ndarray) -> np.ndarray:
    batches = [images[start : start + BATCH_SIZE] for start in range(0, len(images), BATCH_SIZE)]
    return np.concatenate([np.asarray(predict(batch)) for batch in batches])


def draw(
    curves_by_method: Mapping[str, Curves],
    correlations_by_method: Mapping[str, Sequence[tuple[str, float]]],
    side: int = 640,
) -> np.ndarray:
    """Plot both checks.

    Args:
        curves_by_method: The curves of each method.
        correlations_by_method: The result of `randomization` of some or none of the methods.
        side: Side of the plot in pixels.

    Returns:
        uint8 `[side, side, 3]`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((6.4, 6.4), dpi=side / 6.4, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    for index, (method, of_method) in enumerate(curves_by_method.items()):
        style = {"color": f"C{index}", "linestyle": ":" if method == "random order" else "-", "label": method}
        axes[0, 0].plot(of_method.fractions, of_method.deletion, **style)
        axes[0, 1].plot(of_method.fractions, of_method.insertion, **style)
        if method in correlations_by_method:
            correlations = [correlation for _, correlation in correlations_by_method[method]]
            axes[1, 0].plot(correlations, marker="o", markersize=3, **style)
    axes[0, 0].set(title="deletion: should fall early", xlabel="fraction of pixels deleted", ylabel="probability")
    axes[0, 1].set(title="insertion: should rise early", xlabel="fraction of pixels inserted")
    axes[1, 0].set(title="layers randomized, from the top", xlabel="more layers \N{RIGHTWARDS ARROW}")
    axes[1, 0].set(ylabel="rank correlation with the map", ylim=(-1.05, 1.05), xticks=[])
    axes[1, 1].legend(*axes[0, 0].get_legend_handles_labels(), loc="center", frameon=False)
    axes[1, 1].axis("off")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
