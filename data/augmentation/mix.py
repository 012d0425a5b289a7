"""Mixup and cutmix: each image of a training batch is blended with another one of it, and so are their labels."""

import tensorflow as tf

from retinue.data.seeds import sub_seed


def mix(images, targets, seeds, mixup=0.0, cutmix=0.0):
    """Apply mixup, cutmix, or, when both are on, one of the two to the whole batch, each half of the time.

    images: uint8 `[batch, height, width, 3]`; targets: float32 `[batch, classes]`, one-hot or multi-hot; seeds: int32
    `[batch, 2]`, one an example, of which the first decides for the batch; mixup, cutmix: alpha of the Beta
    distribution that each image's share is drawn from, 0 is off. Returns images and targets of the same shapes.
    """
    if not mixup and not cutmix:
        return images, targets
    seed, count = sub_seed(seeds[0], 100), tf.shape(images)[0]  # apart from what augment_image draws
    partners = draw_partners(count, sub_seed(seed, 0))

    def mixed_up():
        return blend(images, targets, partners, draw_shares(count, mixup, sub_seed(seed, 10)))

    def cut_and_mixed():
        shares = draw_shares(count, cutmix, sub_seed(seed, 20))
        return paste(images, targets, partners, draw_boxes(tf.shape(images)[1:3], shares, sub_seed(seed, 30)))

    if not cutmix:
        return mixed_up()
    if not mixup:
        return cut_and_mixed()
    return tf.cond(tf.random.stateless_uniform([], sub_seed(seed, 40)) < 0.5, mixed_up, cut_and_mixed)


def blend(images, targets, partners, shares):
    """Mixup (Zhang et al. 2018, equation 1): share * own + (1 - share) * partner's, of pixels and of targets.

    images: uint8 `[batch, height, width, 3]`; targets: float32 `[batch, classes]`; partners: int32 `[batch]`, rows;
    shares: float32 `[batch]`. Returns images (rounded, halves to even) and targets like the given ones.
    """
    flat = tf.reshape(tf.cast(images, tf.float32), (tf.shape(images)[0], -1))
    blended = shares[:, None] * flat + (1.0 - shares[:, None]) * tf.gather(flat, partners)
    blended = tf.cast(tf.round(blended), tf.uint8)
    blended = tf.ensure_shape(tf.reshape(blended, tf.shape(images)), images.shape)
    return blended, _blend_targets(targets, partners, shares)


def paste(images, targets, partners, boxes):
    """CutMix (Yun et al. 2019, section 3.1): the box comes from the partner, and its share of the area in the targets.

    boxes: int32 `[batch, 4]`, x1, y1, x2, y2 in pixels, x2 and y2 exclusive; the others as for `blend`.
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    rows = tf.reshape(images, (-1, height, 3 * width))  # TensorFlow is slow to broadcast along an axis of 3
    x, y = tf.range(3 * width)[None, :] // 3, tf.range(height)[None, :]
    in_x, in_y = (x >= boxes[:, :1]) & (x < boxes[:, 2:3]), (y >= boxes[:, 1:2]) & (y < boxes[:, 3:])
    mask = tf.cast(in_y[:, :, None] & in_x[:, None, :], tf.uint8) * 255
    # own ^ (own ^ other) is other; tf.where on bytes takes eight times as long.
    difference = tf.bitwise.bitwise_xor(rows, tf.gather(rows, partners))
    pasted = tf.bitwise.bitwise_xor(rows, tf.bitwise.bitwise_and(difference, mask))
    pasted = tf.ensure_shape(tf.reshape(pasted, tf.shape(images)), images.shape)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    shares = 1.0 - tf.cast(area, tf.float32) / tf.cast(height * width, tf.float32)
    return pasted, _blend_targets(targets, partners, shares)


def draw_partners(count, seed):
    """Another row of the batch for each, int32 `[count]`: all rows shifted in a circle by one drawn distance."""
    distance = tf.random.stateless_uniform([], seed, 1, tf.maximum(count, 2), tf.int32)
    return (tf.range(count) + distance) % count


def draw_shares(count, alpha, seed):
    """Numbers from Beta(alpha, alpha): float32 `[count]`."""
    # Gamma(alpha) is Gamma(alpha + 1) * U ** (1 / alpha); in logarithms nothing underflows when alpha is small.
    gammas = tf.math.log(tf.random.stateless_gamma([2, count], seed, alpha + 1.0))
    uniforms = tf.math.log(1.0 - tf.random.stateless_uniform([2, count], sub_seed(seed, 1)))
    first, second = tf.unstack(gammas + uniforms / alpha)
    return tf.sigmoid(first - second)


def draw_boxes(size, shares, seed):
    """Boxes of `1 - shares` of the area, with the image's aspect and a uniform centre, clipped to the image.

    size: int32 `[2]`, height and width; shares: float32 `[batch]`. Returns int32 `[batch, 4]`, x1, y1, x2, y2.
    """
    extent = tf.cast(size[::-1], tf.float32)  # width and height, as x comes before y
    centre = tf.random.stateless_uniform([tf.shape(shares)[0], 2], seed) * extent
    half = extent * tf.sqrt(1.0 - shares)[:, None] / 2
    box = tf.concat([tf.maximum(centre - half, 0.0), tf.minimum(centre + half, extent)], axis=1)
    return tf.cast(tf.round(box), tf.int32)


def _blend_targets(targets, partners, shares):
    shares = tf.cast(shares, targets.dtype)[:, None]
    return shares * targets + (1 - shares) * tf.gather(targets, partners)
