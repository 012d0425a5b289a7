"""Can an explanation be believed? Deletion and insertion curves, and the sanity check by randomising layers.

Deletion takes the pixels away that the map calls most important, insertion brings them back to a blurred picture
(Petsiuk, Das, Saenko 2018, "RISE", arXiv 1806.07421, section 4.1): a good map makes the probability fall early and rise
early. Randomisation makes the net forget, layer by layer from the top (Adebayo et al. 2018, arXiv 1810.03292, section
3): a map that stays as it was shows the picture and not what the net has learned.
"""

import dataclasses

import cv2
import keras
import numpy as np

from retinue.configs.errors import UsageError

BATCH = 32


@dataclasses.dataclass(frozen=True)
class Curves:
    """fractions: float `[steps + 1]`, of the pixels taken away or brought back, 0 to 1. deletion, insertion: the
    probability of the target then. deletion_area (lower is better), insertion_area (higher is better): means of the
    curves over the shares."""

    fractions: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def deletion_area(self):
        return float(np.trapezoid(self.deletion, self.fractions))

    @property
    def insertion_area(self):
        return float(np.trapezoid(self.insertion, self.fractions))


def curves(predict, image, target, found, steps=32):
    """The `Curves` of one map.

    predict: function from float32 `[m, h, w, c]` to probabilities `[m, classes]`; image: `[h, w, c]`; target: class
    index; found: `[h, w]`, high where it matters. Deleted pixels get the mean colour, inserted ones replace a blur.
    """
    image, found = np.asarray(image, np.float32), np.asarray(found)
    height, width = image.shape[:2]
    if found.shape != (height, width):
        raise UsageError(f"the map is {found.shape}, the image {(height, width)}: they must be one size")
    rank = np.empty(height * width, np.int64)
    rank[np.argsort(-found.ravel(), kind="stable")] = np.arange(height * width)
    rank = rank.reshape(height, width, 1)
    fractions = np.linspace(0, 1, steps + 1)
    empty = np.broadcast_to(image.mean(axis=(0, 1)), image.shape)
    blurred = cv2.GaussianBlur(image, (0, 0), max(height, width) / 20).reshape(image.shape)
    taken = [rank < round(share * height * width) for share in fractions]
    deleted = [np.where(mask, empty, image) for mask in taken]
    inserted = [np.where(mask, image, blurred) for mask in taken]
    values = _in_batches(predict, np.stack(deleted + inserted))[:, target]
    return Curves(fractions, values[: steps + 1], values[steps + 1 :])


def randomization(model, method, max_layers=8, seed=0):
    """How much a method's maps stay as they were while the net forgets: a list of (layer's name, correlation).

    From the output down, each layer's kernel is drawn anew with its own mean and deviation; at up to `max_layers`,
    evenly spread, the map is made again. correlation: Spearman's of the new map with the first, mean over the images.
    method: a function () -> maps float `[n, h, w]` of `model`, with the weights that it has at the moment. At the end
    the model has its own weights again.
    """
    own, first = model.get_weights(), method()
    with_kernels = [layer for layer in model.layers if _kernels(layer)]
    shown = set(np.linspace(0, len(with_kernels) - 1, max_layers).round().astype(int).tolist())
    random, found = np.random.default_rng(seed), []
    try:
        for index, layer in enumerate(reversed(with_kernels)):
            for variable in _kernels(layer):
                value = keras.ops.convert_to_numpy(variable)
                variable.assign(random.normal(value.mean(), value.std(), value.shape).astype(value.dtype))
            if index in shown:
                pairs = zip(first, method(), strict=True)
                found.append((layer.name, float(np.mean([spearman(one, other) for one, other in pairs]))))
    finally:
        model.set_weights(own)
    return found


def _kernels(layer):
    return [variable for variable in layer.weights if "kernel" in variable.path.rsplit("/", 1)[-1]]


def spearman(one, other):
    """Spearman's rank correlation of two arrays of one shape; 0 where one of them is constant."""
    ranks = [_ranks(np.ravel(part)) for part in (one, other)]
    if any(rank.std() == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values):
    """Ranks from 0; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[which.ravel()]


def _in_batches(predict, images):
    parts = [np.asarray(predict(images[first : first + BATCH])) for first in range(0, len(images), BATCH)]
    return np.concatenate(parts)


def draw(found, forgotten, side=640):
    """Both checks as a plot. found: {method: `Curves`}; forgotten: {method: what `randomization` gave}, may be empty.

    Gives uint8 `[h, w, 3]`, `side` pixels a side.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((6.4, 6.4), dpi=side / 6.4, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    for index, (method, curves_of) in enumerate(found.items()):
        style = {"color": f"C{index}", "linestyle": ":" if method == "random order" else "-", "label": method}
        axes[0, 0].plot(curves_of.fractions, curves_of.deletion, **style)
        axes[0, 1].plot(curves_of.fractions, curves_of.insertion, **style)
        if method in forgotten:
            axes[1, 0].plot([value for _, value in forgotten[method]], marker="o", markersize=3, **style)
    axes[0, 0].set(title="deletion: should fall early", xlabel="share of pixels taken away", ylabel="probability")
    axes[0, 1].set(title="insertion: should rise early", xlabel="share of pixels brought back")
    axes[1, 0].set(title="layers forgotten, from the top", xlabel="more forgotten \N{RIGHTWARDS ARROW}")
    axes[1, 0].set(ylabel="rank correlation with the map", ylim=(-1.05, 1.05), xticks=[])
    axes[1, 1].legend(*axes[0, 0].get_legend_handles_labels(), loc="center", frameon=False)
    axes[1, 1].axis("off")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
