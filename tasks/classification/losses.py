"""Losses of classification, a value an example."""

import keras
from keras import ops


def softmax_cross_entropy(targets, logits, label_smoothing=0.0, class_weights=None):
    """Cross-entropy of the softmax.

    targets: float `[n, classes]`, each row sums to 1 (one-hot, or mixed by mixup). logits: float `[n, classes]`.
    label_smoothing: this share of each target is spread over all classes (Szegedy et al. 2015, section 7).
    class_weights: float `[classes]` or None; weighs the term of each class. Returns float32 `[n]`.
    """
    targets, logits = ops.cast(targets, "float32"), ops.cast(logits, "float32")
    smooth = targets * (1.0 - label_smoothing) + label_smoothing / targets.shape[-1]
    loss = -ops.sum(smooth * ops.log_softmax(logits, axis=-1), axis=-1)
    return loss if class_weights is None else loss * ops.sum(targets * _weights(class_weights), axis=-1)


def sigmoid_cross_entropy(targets, logits, label_smoothing=0.0, class_weights=None):
    """Binary cross-entropy of every class's sigmoid, averaged over the classes.

    targets: float `[n, classes]` in 0..1. label_smoothing: moves 0 and 1 towards 0.5 by half of it.
    class_weights: float `[classes]` or None, weighs the positive term of each class. Returns float32 `[n]`.
    """
    targets, logits = ops.cast(targets, "float32"), ops.cast(logits, "float32")
    smooth = targets * (1.0 - label_smoothing) + 0.5 * label_smoothing
    positive = 1.0 if class_weights is None else _weights(class_weights)
    loss = smooth * positive * ops.softplus(-logits) + (1.0 - smooth) * ops.softplus(logits)
    return ops.mean(loss, axis=-1)


def balanced_class_weights(counts, power=1.0):
    """Weights inverse to the classes' counts, with mean 1 over the files.

    counts: int `[classes]`. power: 1 makes each class count the same; 0.5 goes half of the way, on a log scale (as
    Mahajan et al. 2018 do in their sampling).
    A class without files gets 0. Returns a list of floats.
    """
    weights = [int(count) ** -power if count else 0.0 for count in counts]
    mean = sum(weight * int(count) for weight, count in zip(weights, counts, strict=True)) / sum(map(int, counts))
    return [weight / mean for weight in weights]


def _weights(values):
    return keras.ops.convert_to_tensor(values, dtype="float32")
