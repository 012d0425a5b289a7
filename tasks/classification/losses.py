"""Losses of classification. Each returns one value per example."""

from collections.abc import Sequence

import tensorflow as tf
from keras import ops


def softmax_cross_entropy(
    targets: tf.Tensor,
    logits: tf.Tensor,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> tf.Tensor:
    """Compute the cross-entropy of the softmax.

    Args:
        targets: float [n, classes], rows that sum to 1 (one-hot, or mixed by mixup).
        logits: float [n, classes].
        label_smoothing: fraction of each target that is spread over all classes (Szegedy et al. 2015, section 7).
        class_weights: float [classes], weight of the term of each class, or None for equal weights.

    Returns:
        float32 [n], the loss of each example.
    """
    targets, logits = ops.cast(targets, "float32"), ops.cast(logits, "float32")
    smoothed = targets * (1.0 - label_smoothing) + label_smoothing / targets.shape[-1]
    loss = -ops.sum(smoothed * ops.log_softmax(logits, axis=-1), axis=-1)
    return loss if class_weights is None else loss * ops.sum(targets * _as_tensor(class_weights), axis=-1)


def sigmoid_cross_entropy(
    targets: tf.Tensor,
    logits: tf.Tensor,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> tf.Tensor:
    """Compute the binary cross-entropy of the sigmoid of each class, averaged over the classes.

    Args:
        targets: float [n, classes] in 0..1.
        logits: float [n, classes].
        label_smoothing: moves the targets 0 and 1 towards 0.5 by half of this value.
        class_weights: float [classes], weight of the positive term of each class, or None for equal weights.

    Returns:
        float32 [n], the loss of each example.
    """
    targets, logits = ops.cast(targets, "float32"), ops.cast(logits, "float32")
    smoothed = targets * (1.0 - label_smoothing) + 0.5 * label_smoothing
    positive_weight = 1.0 if class_weights is None else _as_tensor(class_weights)
    loss = smoothed * positive_weight * ops.softplus(-logits) + (1.0 - smoothed) * ops.softplus(logits)
    return ops.mean(loss, axis=-1)


def _as_tensor(values: Sequence[float]) -> tf.Tensor:
    return ops.convert_to_tensor(values, dtype="float32")
