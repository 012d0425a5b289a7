"""Losses of detection, a value an image.

Each is the sum over an image's sampled anchors or proposals, over their number in that image. torchvision and
py-faster-rcnn divide by the number in the batch; where every image gives equally many samples, which is the rule
since background never runs out, the mean over the images is the same number. An image's share does not depend on the
others here, so the loss of a batch is the same on one replica and on several.
"""

import tensorflow as tf

PROPOSAL_BETA = 1 / 9  # smooth L1 with sigma = 3, as py-faster-rcnn and torchvision have it in the proposal network


def smooth_l1(differences, beta):
    """Half the square over `beta` below `beta`, the magnitude less half of `beta` above: the same shape out.

    Girshick 2015 (Fast R-CNN), equation 3, which has beta = 1. Keras's Huber loss is `beta` times this.
    """
    size = tf.abs(differences)
    return tf.where(size < beta, 0.5 * size**2 / beta, size - 0.5 * beta)


def objectness_loss(logits, is_object, weights):
    """Binary cross-entropy of the sampled anchors: float32 `[n, k]` each, weights 1 or 0 -> float32 `[n]`."""
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=is_object, logits=logits)
    return _mean(entropy, weights, weights)


def class_loss(logits, labels, weights):
    """Cross-entropy of the softmax: logits float32 `[n, k, classes + 1]`, labels int32 `[n, k]` -> float32 `[n]`."""
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return _mean(entropy, weights, weights)


def box_loss(deltas, targets, is_object, weights, beta):
    """Smooth L1 of the four deltas, summed, over the sampled objects alone, by the number of all samples.

    deltas, targets: float32 `[n, k, 4]`; is_object, weights: float32 `[n, k]`. Returns float32 `[n]`.
    """
    return _mean(tf.reduce_sum(smooth_l1(deltas - targets, beta), -1), weights * is_object, weights)


def deltas_of_class(deltas, labels):
    """The four deltas of each proposal's own class: `[n, k, 4 (classes + 1)]`, int32 `[n, k]` -> `[n, k, 4]`."""
    shape = tf.shape(deltas)
    by_class = tf.reshape(deltas, [shape[0], shape[1], -1, 4])
    return tf.gather(by_class, labels, batch_dims=2)


def _mean(values, chosen, weights):
    # where, not a product: a value that doesn't count may be infinite
    total = tf.reduce_sum(tf.where(chosen > 0.0, values, 0.0), -1)
    return total / tf.maximum(tf.reduce_sum(weights, -1), 1.0)
