"""The four losses of Faster R-CNN, one value for each image.

Each loss is the sum over an image's sampled anchors or proposals, divided by their number in that image. torchvision
and py-faster-rcnn divide by the number in the batch. Where every image has equally many samples, which is the rule
because there is always enough background, the mean over the images is the same number. The loss of an image does not
depend on the other images here, so the loss of a batch is the same on one replica and on several.
"""

import tensorflow as tf

RPN_SMOOTH_L1_BETA = 1 / 9  # smooth L1 with sigma = 3, as in the RPN of py-faster-rcnn and torchvision


def smooth_l1(differences: tf.Tensor, beta: float) -> tf.Tensor:
    """Compute the smooth L1 loss: half the square over `beta` below `beta`, the magnitude less half of `beta` above.

    This is equation 3 of Girshick 2015 (Fast R-CNN), which has beta = 1. Keras's Huber loss is `beta` times this.

    Args:
        differences: float32 of any shape.
        beta: magnitude at which the loss changes from quadratic to linear.

    Returns:
        float32 of the same shape.
    """
    size = tf.abs(differences)
    return tf.where(size < beta, 0.5 * size**2 / beta, size - 0.5 * beta)


def objectness_loss(logits: tf.Tensor, is_positive: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Compute the binary cross-entropy of the sampled anchors.

    Args:
        logits: float32 `[n, k]`.
        is_positive: float32 `[n, k]`, 1 for positive anchors, 0 for negative ones.
        weights: float32 `[n, k]`, 1 for sampled anchors, 0 for padding.

    Returns:
        float32 `[n]`.
    """
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=is_positive, logits=logits)
    return _weighted_mean(entropy, weights, weights)


def class_loss(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Compute the softmax cross-entropy of the sampled proposals.

    Args:
        logits: float32 `[n, k, classes + 1]`, background first.
        labels: int32 `[n, k]`, 0 for background.
        weights: float32 `[n, k]`, 1 for sampled proposals, 0 for padding.

    Returns:
        float32 `[n]`.
    """
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return _weighted_mean(entropy, weights, weights)


def box_loss(
    deltas: tf.Tensor, targets: tf.Tensor, is_positive: tf.Tensor, weights: tf.Tensor, beta: float
) -> tf.Tensor:
    """Compute smooth L1 of the deltas, summed over the positive samples and divided by the number of all samples.

    Args:
        deltas: float32 `[n, k, 4]`, predicted.
        targets: float32 `[n, k, 4]`, the encoded annotated boxes.
        is_positive: float32 `[n, k]`, 1 for positive samples.
        weights: float32 `[n, k]`, 1 for samples, 0 for padding.
        beta: see `smooth_l1`.

    Returns:
        float32 `[n]`.
    """
    return _weighted_mean(tf.reduce_sum(smooth_l1(deltas - targets, beta), -1), weights * is_positive, weights)


def select_class_deltas(deltas: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Select the four deltas of each proposal's class: `[n, k, 4 (classes + 1)]`, int32 `[n, k]` -> `[n, k, 4]`."""
    shape = tf.shape(deltas)
    by_class = tf.reshape(deltas, [shape[0], shape[1], -1, 4])
    return tf.gather(by_class, labels, batch_dims=2)


def _weighted_mean(values: tf.Tensor, is_counted: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sum the values that count and divide by the sum of the weights: `[n, k]` each -> `[n]`."""
    # tf.where instead of a product, because a value that doesn't count may be infinite.
    total = tf.reduce_sum(tf.where(is_counted > 0.0, values, 0.0), -1)
    return total / tf.maximum(tf.reduce_sum(weights, -1), 1.0)
