"""Losses of segmentation. Each returns one value per image. Void pixels, 255, are ignored."""

from collections.abc import Callable, Sequence

import tensorflow as tf
from keras import ops

from retinue.data.void_label import VOID

Loss = Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]


def pixel_cross_entropy(
    targets: tf.Tensor,
    logits: tf.Tensor,
    class_weights: Sequence[float] | None = None,
    focal_gamma: float = 0.0,
    label_smoothing: float = 0.0,
) -> tf.Tensor:
    """Compute the cross-entropy of the softmax, averaged over the pixels of an image that are not void.

    Args:
        targets: int [n, h, w], class ids, 255 for void.
        logits: float [n, h, w, classes].
        class_weights: float [classes], weight of a pixel by its true class, or None for equal weights.
        focal_gamma: gamma of the focal loss, which weighs a pixel by (1 - the probability of its true class) to this
            power (Lin et al. 2017, arXiv 1708.02002, equation 4); 0 is plain cross-entropy.
        label_smoothing: fraction of each target that is spread over all classes.

    Returns:
        float32 [n]; 0 for an image that is all void.
    """
    targets, logits = ops.cast(targets, "int32"), ops.cast(logits, "float32")
    valid = targets != VOID
    labels = ops.where(valid, targets, 0)
    loss = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    weights = ops.cast(valid, "float32")
    if class_weights is not None:
        weights = weights * ops.take(ops.convert_to_tensor(class_weights, "float32"), labels)
    if focal_gamma:
        weights = weights * ops.power(1.0 - ops.exp(-loss), focal_gamma)
    if label_smoothing:
        uniform = -ops.mean(ops.log_softmax(logits, axis=-1), axis=-1)
        loss = (1.0 - label_smoothing) * loss + label_smoothing * uniform
    return ops.sum(loss * weights, axis=(1, 2)) / _at_least_one(ops.sum(ops.cast(valid, "float32"), axis=(1, 2)))


def dice_loss(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Compute 1 - the Dice coefficient of the softmax, averaged over the classes that are in an image's mask.

    The coefficient is 2 sum(p t) / (sum p + sum t) over the pixels that are not void (Milletari et al. 2016, arXiv
    1606.04797, section 3, without its squares).

    Args:
        targets: int [n, h, w], class ids, 255 for void.
        logits: float [n, h, w, classes].

    Returns:
        float32 [n]; 0 for an image that is all void.
    """
    targets, logits = ops.cast(targets, "int32"), ops.cast(logits, "float32")
    valid = ops.cast(targets != VOID, "float32")[..., None]
    truth = ops.one_hot(ops.where(targets == VOID, 0, targets), logits.shape[-1]) * valid
    probabilities = ops.softmax(logits, axis=-1) * valid
    intersection = ops.sum(truth * probabilities, axis=(1, 2))
    sizes = ops.sum(truth + probabilities, axis=(1, 2))
    present = ops.cast(ops.sum(truth, axis=(1, 2)) > 0, "float32")
    loss = present * (1.0 - 2.0 * intersection / ops.maximum(sizes, 1e-6))
    return ops.sum(loss, axis=-1) / _at_least_one(ops.sum(present, axis=-1))


def make_loss(
    class_weights: Sequence[float] | None = None,
    focal_gamma: float = 0.0,
    dice_weight: float = 0.0,
    label_smoothing: float = 0.0,
) -> tuple[Loss, tuple[str, ...]]:
    """Make the loss of a segmentation model.

    Args:
        class_weights: as for `pixel_cross_entropy`.
        focal_gamma: as for `pixel_cross_entropy`.
        dice_weight: weight of the Dice loss; 0 for none.
        label_smoothing: as for `pixel_cross_entropy`.

    Returns:
        (function from targets and logits to the terms of the loss by name, the names of the terms).
    """

    def loss(targets: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        terms = {"cross_entropy": pixel_cross_entropy(targets, logits, class_weights, focal_gamma, label_smoothing)}
        return terms | ({"dice": dice_weight * dice_loss(targets, logits)} if dice_weight else {})

    return loss, ("cross_entropy", "dice") if dice_weight else ("cross_entropy",)


def _at_least_one(count: tf.Tensor) -> tf.Tensor:
    return ops.maximum(count, 1.0)
