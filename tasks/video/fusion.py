"""Fusion of two streams by linear SVMs on their scores, fitted on clips on which the streams were not trained.

Simonyan and Zisserman 2014, section 5: a multi-class linear SVM on L2-normalized softmax scores. The streams have
overfitted to their own training clips, so their scores on those do not show how far each stream can be trusted.
"""

import numpy as np

PENALTIES = (0.1, 1.0, 10.0, 100.0)  # weight of errors against the norm of the weights, chosen by cross-validation
# Candidate scales of the margins; with the best one, the softmax of the margins is calibrated.
SCALES = tuple(2.0**power for power in range(-2, 8))
NUM_FOLDS = 5  # of the cross-validation
MAX_ITERATIONS = 50
BIAS_REGULARIZATION = 1e-8  # keeps the linear system solvable; the bias is not penalized otherwise
STEP_SIZES = (1.0, 0.5, 0.25, 0.1, 0.02)


def stack_scores(spatial: np.ndarray, temporal: np.ndarray) -> np.ndarray:
    """Do in NumPy what `layers.stack_normalized_scores` does.

    Args:
        spatial: probabilities [n, classes].
        temporal: probabilities [n, classes].

    Returns:
        float64 [n, 2 classes], each half of unit length.
    """
    streams = [np.asarray(scores, np.float64) for scores in (spatial, temporal)]
    return np.concatenate([scores / np.linalg.norm(scores, axis=1, keepdims=True) for scores in streams], axis=1)


def fit(spatial: np.ndarray, temporal: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit one SVM per class against the rest.

    A class without clips gets zero weights and the lowest bias. The margins are scaled so that their softmax is the
    most likely one on the clips that a fold of the cross-validation left out (temperature scaling, Guo et al. 2017,
    section 4.2); this changes no predicted class.

    Args:
        spatial: probabilities [n, classes].
        temporal: probabilities [n, classes].
        labels: int [n].

    Returns:
        (kernel float32 [2 classes, classes], bias float32 [classes], the chosen penalty).
    """
    features, labels = stack_scores(spatial, temporal), np.asarray(labels)
    num_classes = spatial.shape[1]
    fold = np.argsort(np.argsort(labels, kind="stable")) % NUM_FOLDS  # each class is spread over the folds
    margins = {penalty: np.zeros((len(labels), num_classes)) for penalty in PENALTIES}
    for penalty, out in margins.items():
        for number in range(NUM_FOLDS):
            train = fold != number
            if train.any() and not train.all():
                kernel, bias = _fit_one_vs_rest(features[train], labels[train], num_classes, penalty)
                out[~train] = features[~train] @ kernel + bias
    correct = {penalty: int((out.argmax(axis=1) == labels).sum()) for penalty, out in margins.items()}
    best = max(PENALTIES, key=lambda penalty: (correct[penalty], -penalty))
    scale = min(SCALES, key=lambda scale: log_loss(scale * margins[best], labels))
    kernel, bias = _fit_one_vs_rest(features, labels, num_classes, best)
    return (scale * kernel).astype(np.float32), (scale * bias).astype(np.float32), best


def log_loss(margins: np.ndarray, labels: np.ndarray) -> float:
    """Compute the mean negative logarithm of the softmax of margins, float64 [n, classes], at labels, int [n]."""
    shifted = margins - margins.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).mean())


def fit_squared_hinge(features: np.ndarray, signs: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """Fit a linear SVM with the squared hinge loss.

    It minimizes |weights|^2 / 2 + penalty * sum max(0, 1 - sign * score)^2 by Newton's method in the primal, which ends
    when the set of clips within the margin stays the same (Chapelle 2007, "Training a support vector machine in the
    primal", section 4). The bias is not penalized.

    Args:
        features: float64 [n, d].
        signs: 1 or -1 [n].
        penalty: weight of the loss.

    Returns:
        (weights [d], bias).
    """
    if (signs < 0).all():
        return np.zeros(features.shape[1]), -1.0
    with_bias = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    regularizer = np.diag([1.0] * features.shape[1] + [BIAS_REGULARIZATION])
    solution, inside = np.zeros(with_bias.shape[1]), np.ones(len(signs), bool)
    for _ in range(MAX_ITERATIONS):
        chosen = with_bias[inside]
        newton = np.linalg.solve(regularizer + 2 * penalty * chosen.T @ chosen, 2 * penalty * chosen.T @ signs[inside])
        solution = _line_search(with_bias, signs, penalty, solution, newton)
        still_inside = signs * (with_bias @ solution) < 1
        if (still_inside == inside).all():
            break
        inside = still_inside
    return solution[:-1], solution[-1]


def _fit_one_vs_rest(
    features: np.ndarray, labels: np.ndarray, num_classes: int, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return (kernel [d, classes], bias [classes]) of one SVM per class."""
    svms = [fit_squared_hinge(features, np.where(labels == label, 1.0, -1.0), penalty) for label in range(num_classes)]
    return np.stack([weights for weights, _ in svms], axis=1), np.array([bias for _, bias in svms])


def _line_search(
    with_bias: np.ndarray, signs: np.ndarray, penalty: float, old: np.ndarray, new: np.ndarray
) -> np.ndarray:
    """Return the point of lowest cost among a few on the line from the old solution to Newton's."""

    def cost(solution: np.ndarray) -> float:
        slack = np.maximum(0, 1 - signs * (with_bias @ solution))
        return solution[:-1] @ solution[:-1] / 2 + penalty * slack @ slack

    return min([old + step * (new - old) for step in STEP_SIZES], key=cost)
