"""Fusion by linear SVMs on the scores of two streams, fitted on clips that the streams did not learn from.

Simonyan and Zisserman 2014, section 5: a multi-class linear SVM on L2-normalised softmax scores. The streams know their
own training clips by heart, so their scores there say nothing about how far each can be trusted.
"""

import numpy as np

PENALTIES = (0.1, 1.0, 10.0, 100.0)  # of mistakes against large weights; chosen by cross-validation
SCALES = tuple(2.0**power for power in range(-2, 8))  # of the margins, so that their softmax says how sure it is
PARTS = 5  # of the cross-validation
ITERATIONS = 50


def stacked(spatial, temporal):
    """As `layers.stacked_scores`, in NumPy: float64 `[n, 2 classes]`."""
    streams = [np.asarray(scores, np.float64) for scores in (spatial, temporal)]
    return np.concatenate([scores / np.linalg.norm(scores, axis=1, keepdims=True) for scores in streams], axis=1)


def fit(spatial, temporal, labels):
    """(kernel float32 `[2 classes, classes]`, bias float32 `[classes]`, the penalty that was chosen).

    spatial, temporal: probabilities `[n, classes]`; labels: int `[n]`. A class without clips gets no weight and the
    lowest bias. The margins are scaled such that the softmax of them is the most likely one on clips that a part of
    the cross-validation left out (Guo et al. 2017, section 4.2, temperature scaling); no answer changes by that.
    """
    features, labels = stacked(spatial, temporal), np.asarray(labels)
    classes = spatial.shape[1]
    part = np.argsort(np.argsort(labels, kind="stable")) % PARTS  # each class is spread over the parts
    margins = {penalty: np.zeros((len(labels), classes)) for penalty in PENALTIES}
    for penalty, out in margins.items():
        for number in range(PARTS):
            inside = part != number
            if inside.any() and not inside.all():
                kernel, bias = _one_against_rest(features[inside], labels[inside], classes, penalty)
                out[~inside] = features[~inside] @ kernel + bias
    right = {penalty: int((out.argmax(axis=1) == labels).sum()) for penalty, out in margins.items()}
    best = max(PENALTIES, key=lambda penalty: (right[penalty], -penalty))
    scale = min(SCALES, key=lambda scale: log_loss(scale * margins[best], labels))
    kernel, bias = _one_against_rest(features, labels, classes, best)
    return (scale * kernel).astype(np.float32), (scale * bias).astype(np.float32), best


def log_loss(margins, labels):
    """The mean negative logarithm of the softmax of margins float64 `[n, classes]` at `labels`, int `[n]`."""
    shifted = margins - margins.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).mean())


def _one_against_rest(features, labels, classes, penalty):
    solved = [squared_hinge(features, np.where(labels == label, 1.0, -1.0), penalty) for label in range(classes)]
    return np.stack([weights for weights, _ in solved], axis=1), np.array([bias for _, bias in solved])


def squared_hinge(features, signs, penalty):
    """(weights `[d]`, bias) that minimise |weights|^2 / 2 + penalty * sum max(0, 1 - sign * score)^2.

    By Newton's method in the primal, which ends when the clips within the margin stay the same (Chapelle 2007,
    "Training a support vector machine in the primal", section 4). The bias is not penalised. features: float64
    `[n, d]`; signs: 1 or -1 `[n]`.
    """
    if (signs < 0).all():
        return np.zeros(features.shape[1]), -1.0
    wide = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    flat = np.diag([1.0] * features.shape[1] + [1e-8])
    solution, inside = np.zeros(wide.shape[1]), np.ones(len(signs), bool)
    for _ in range(ITERATIONS):
        chosen = wide[inside]
        step = np.linalg.solve(flat + 2 * penalty * chosen.T @ chosen, 2 * penalty * chosen.T @ signs[inside])
        solution = _descend(wide, signs, penalty, solution, step)
        now = signs * (wide @ solution) < 1
        if (now == inside).all():
            break
        inside = now
    return solution[:-1], solution[-1]


def _descend(wide, signs, penalty, old, new):
    """The best of a few places on the way from the old solution to Newton's."""

    def cost(solution):
        short = np.maximum(0, 1 - signs * (wide @ solution))
        return solution[:-1] @ solution[:-1] / 2 + penalty * short @ short

    places = [old + share * (new - old) for share in (1.0, 0.5, 0.25, 0.1, 0.02)]
    return min(places, key=cost)
