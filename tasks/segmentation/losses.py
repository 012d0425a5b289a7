"""Losses of segmentation, a value a picture. Void pixels, 255, count nowhere."""

import keras
from keras import ops

from retinue.data.void_label import VOID


def pixel_cross_entropy(targets, logits, class_weights=None, focus=0.0, label_smoothing=0.0):
    """Cross-entropy of the softmax, averaged over the pixels of a picture that are not void.

    targets: int `[n, h, w]`, class ids and 255 for void. logits: float `[n, h, w, classes]`.
    class_weights: float `[classes]` or None; weighs each pixel by its true class.
    focus: gamma of the focal loss, which weighs a pixel by (1 - its true class's probability) to this power (Lin et al.
    2017, arXiv 1708.02002, equation 4); 0 is plain cross-entropy.
    label_smoothing: this share of each target is spread over all classes.
    Returns float32 `[n]`; 0 for a picture that is all void.
    """
    targets, logits = ops.cast(targets, "int32"), ops.cast(logits, "float32")
    counts = targets != VOID
    known = ops.where(counts, targets, 0)
    loss = ops.sparse_categorical_crossentropy(known, logits, from_logits=True)
    weights = ops.cast(counts, "float32")
    if class_weights is not None:
        weights = weights * ops.take(ops.convert_to_tensor(class_weights, "float32"), known)
    if focus:
        weights = weights * ops.power(1.0 - ops.exp(-loss), focus)
    if label_smoothing:
        even = -ops.mean(ops.log_softmax(logits, axis=-1), axis=-1)
        loss = (1.0 - label_smoothing) * loss + label_smoothing * even
    return ops.sum(loss * weights, axis=(1, 2)) / _at_least_one(ops.sum(ops.cast(counts, "float32"), axis=(1, 2)))


def dice_loss(targets, logits):
    """1 - the Dice coefficient of the softmax, averaged over the classes that a picture's truth has.

    2 sum(p t) / (sum p + sum t) over the pixels that are not void (Milletari et al. 2016, arXiv 1606.04797, section 3,
    without its squares). targets, logits: as for `pixel_cross_entropy`. Returns float32 `[n]`, 0 where all is void.
    """
    targets, logits = ops.cast(targets, "int32"), ops.cast(logits, "float32")
    counts = ops.cast(targets != VOID, "float32")[..., None]
    truth = ops.one_hot(ops.where(targets == VOID, 0, targets), logits.shape[-1]) * counts
    said = ops.softmax(logits, axis=-1) * counts
    both, sizes = ops.sum(truth * said, axis=(1, 2)), ops.sum(truth + said, axis=(1, 2))
    there = ops.cast(ops.sum(truth, axis=(1, 2)) > 0, "float32")
    missed = there * (1.0 - 2.0 * both / ops.maximum(sizes, 1e-6))
    return ops.sum(missed, axis=-1) / _at_least_one(ops.sum(there, axis=-1))


def make_loss(class_weights=None, focus=0.0, dice=0.0, label_smoothing=0.0):
    """(the loss function of a segmentation net's `TaskModel`, the names of its parts). dice: its weight, 0 is off."""

    def loss(targets, logits):
        parts = {"cross_entropy": pixel_cross_entropy(targets, logits, class_weights, focus, label_smoothing)}
        return parts | ({"dice": dice * dice_loss(targets, logits)} if dice else {})

    return loss, ("cross_entropy", "dice") if dice else ("cross_entropy",)


def _at_least_one(count):
    return keras.ops.maximum(count, 1.0)
