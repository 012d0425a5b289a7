"""Mixup and CutMix: each image of a training batch is combined with another one, and so are their labels."""

import tensorflow as tf

from retinue.data.seeds import sub_seed


def mix(
    images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor, mixup: float = 0.0, cutmix: float = 0.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply mixup, CutMix or, if both are on, one of the two to the whole batch, each with probability 0.5.

    Args:
        images: uint8 [batch, height, width, 3].
        targets: float32 [batch, classes], one-hot or multi-hot.
        seeds: int32 [batch, 2], one for each example. The first one decides for the batch.
        mixup: Alpha of the Beta distribution from which the weight of each image is drawn; 0 turns mixup off.
        cutmix: The same for CutMix.

    Returns:
        Images and targets of the same shapes.
    """
    if not mixup and not cutmix:
        return images, targets
    seed, count = sub_seed(seeds[0], 100), tf.shape(images)[0]  # independent of the draws of augment_image
    partners = draw_partners(count, sub_seed(seed, 0))

    def apply_mixup() -> tuple[tf.Tensor, tf.Tensor]:
        return blend(images, targets, partners, draw_weights(count, mixup, sub_seed(seed, 10)))

    def apply_cutmix() -> tuple[tf.Tensor, tf.Tensor]:
        weights = draw_weights(count, cutmix, sub_seed(seed, 20))
        return paste(images, targets, partners, draw_boxes(tf.shape(images)[1:3], weights, sub_seed(seed, 30)))

    if not cutmix:
        return apply_mixup()
    if not mixup:
        return apply_cutmix()
    uses_mixup = tf.random.stateless_uniform([], sub_seed(seed, 40)) < 0.5
    return tf.cond(uses_mixup, apply_mixup, apply_cutmix)


def blend(
    images: tf.Tensor, targets: tf.Tensor, partners: tf.Tensor, weights: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply mixup (Zhang et al. 2018, equation 1): weight * own + (1 - weight) * partner, for pixels and targets.

    Args:
        images: uint8 [batch, height, width, 3].
        targets: float32 [batch, classes].
        partners: int32 [batch], the row of each image's partner.
        weights: float32 [batch], the weight of each image itself.

    Returns:
        Images, rounded with halves to even, and targets, of the same shapes and dtypes.
    """
    flat = tf.reshape(tf.cast(images, tf.float32), (tf.shape(images)[0], -1))
    blended = weights[:, None] * flat + (1.0 - weights[:, None]) * tf.gather(flat, partners)
    blended = tf.cast(tf.round(blended), tf.uint8)
    blended = tf.ensure_shape(tf.reshape(blended, tf.shape(images)), images.shape)
    return blended, _blend_targets(targets, partners, weights)


def paste(images: tf.Tensor, targets: tf.Tensor, partners: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply CutMix (Yun et al. 2019, section 3.1): paste a box of the partner, and weight the targets by its area.

    Args:
        images: uint8 [batch, height, width, 3].
        targets: float32 [batch, classes].
        partners: int32 [batch], the row of each image's partner.
        boxes: int32 [batch, 4], x1, y1, x2, y2 in pixels, with x2 and y2 exclusive.

    Returns:
        Images and targets of the same shapes and dtypes.
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    rows = tf.reshape(images, (-1, height, 3 * width))  # TensorFlow is slow to broadcast along an axis of length 3
    x, y = tf.range(3 * width)[None, :] // 3, tf.range(height)[None, :]
    in_x, in_y = (x >= boxes[:, :1]) & (x < boxes[:, 2:3]), (y >= boxes[:, 1:2]) & (y < boxes[:, 3:])
    mask = tf.cast(in_y[:, :, None] & in_x[:, None, :], tf.uint8) * 255
    # own ^ (own ^ other) is other; tf.where on bytes takes eight times as long.
    difference = tf.bitwise.bitwise_xor(rows, tf.gather(rows, partners))
    pasted = tf.bitwise.bitwise_xor(rows, tf.bitwise.bitwise_and(difference, mask))
    pasted = tf.ensure_shape(tf.reshape(pasted, tf.shape(images)), images.shape)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    weights = 1.0 - tf.cast(area, tf.float32) / tf.cast(height * width, tf.float32)
    return pasted, _blend_targets(targets, partners, weights)


def draw_partners(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw another row of the batch for each row, by a circular shift of all rows by one random distance.

    Args:
        count: int32 scalar, number of rows.
        seed: int32 [2].

    Returns:
        int32 [count].
    """
    distance = tf.random.stateless_uniform([], seed, 1, tf.maximum(count, 2), tf.int32)
    return (tf.range(count) + distance) % count


def draw_weights(count: tf.Tensor, alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """Draw random numbers from the distribution Beta(alpha, alpha).

    Args:
        count: int32 scalar, how many.
        alpha: Parameter of the distribution, above 0.
        seed: int32 [2].

    Returns:
        float32 [count].
    """
    # Gamma(alpha) is Gamma(alpha + 1) * U ** (1 / alpha). Logarithms avoid an underflow if alpha is small.
    gammas = tf.math.log(tf.random.stateless_gamma([2, count], seed, alpha + 1.0))
    uniforms = tf.math.log(1.0 - tf.random.stateless_uniform([2, count], sub_seed(seed, 1)))
    first, second = tf.unstack(gammas + uniforms / alpha)
    return tf.sigmoid(first - second)


def draw_boxes(size: tf.Tensor, weights: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw boxes with an area of `1 - weights` of the image, its aspect ratio and a uniform random center.

    Args:
        size: int32 [2], height and width of the images in pixels.
        weights: float32 [batch].
        seed: int32 [2].

    Returns:
        int32 [batch, 4], x1, y1, x2, y2 in pixels, clipped to the image.
    """
    extent = tf.cast(size[::-1], tf.float32)  # width and height, because x comes before y
    center = tf.random.stateless_uniform([tf.shape(weights)[0], 2], seed) * extent
    half = extent * tf.sqrt(1.0 - weights)[:, None] / 2
    box = tf.concat([tf.maximum(center - half, 0.0), tf.minimum(center + half, extent)], axis=1)
    return tf.cast(tf.round(box), tf.int32)


def _blend_targets(targets: tf.Tensor, partners: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    weights = tf.cast(weights, targets.dtype)[:, None]
    return weights * targets + (1 - weights) * tf.gather(targets, partners)
