"""Mixup and cutmix: a training batch in which each image is blended with another of the batch, and so are the labels."""

import tensorflow as tf

from retinue.data.seeds import sub_seed


def mix(images, targets, seeds, mixup=0.0, cutmix=0.0):
    """Apply mixup, cutmix, or (when both are on) one of the two to each image, half of the time each.

    images: uint8 `[batch, height, width, 3]`; targets: float32 `[batch, classes]`, one-hot or multi-hot; seeds: int32
    `[batch, 2]`, one an example; mixup, cutmix: alpha of the Beta distribution that shares are drawn from, 0 is off.
    Returns images and targets of the same shapes and dtypes.
    """
    if not mixup and not cutmix:
        return images, targets
    partners = partner_rows(seeds)
    if not cutmix:
        return blend(images, targets, partners, draw_shares(seeds, mixup))
    boxes = draw_boxes(tf.shape(images)[1:3], draw_shares(seeds, cutmix), seeds)
    if not mixup:
        return paste(images, targets, partners, boxes)
    blended, blended_targets = blend(images, targets, partners, draw_shares(seeds, mixup))
    pasted, pasted_targets = paste(images, targets, partners, boxes)
    is_blended = _uniform(seeds, 3, 1)[:, 0] < 0.5
    images = tf.where(is_blended[:, None, None, None], blended, pasted)
    return images, tf.where(is_blended[:, None], blended_targets, pasted_targets)


def blend(images, targets, partners, shares):
    """Mixup (Zhang et al. 2018, equation 1): share * own + (1 - share) * partner's, of pixels and of targets.

    images: uint8 `[batch, height, width, 3]`; targets: float32 `[batch, classes]`; partners: int32 `[batch]`, rows;
    shares: float32 `[batch]`. Returns images (rounded) and targets like the given ones.
    """
    weights = shares[:, None, None, None]
    own, other = tf.cast(images, tf.float32), tf.cast(tf.gather(images, partners), tf.float32)
    blended = tf.cast(tf.round(other + weights * (own - other)), images.dtype)
    return blended, _blend_targets(targets, partners, shares)


def paste(images, targets, partners, boxes):
    """Cutmix (Yun et al. 2019, section 3.1): the box comes from the partner, and its share of the area in the targets.

    boxes: int32 `[batch, 4]`, x1, y1, x2, y2 in pixels, x2 and y2 exclusive; the others as for `blend`.
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    x, y = tf.range(width)[None, :], tf.range(height)[None, :]
    in_x, in_y = (x >= boxes[:, :1]) & (x < boxes[:, 2:3]), (y >= boxes[:, 1:2]) & (y < boxes[:, 3:])
    inside = (in_y[:, :, None] & in_x[:, None, :])[..., None]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    shares = 1.0 - tf.cast(area / (height * width), tf.float32)
    return tf.where(inside, tf.gather(images, partners), images), _blend_targets(targets, partners, shares)


def partner_rows(seeds):
    """Another row of the batch for each, int32 `[batch]`: all rows shifted in a circle by a drawn distance."""
    count = tf.shape(seeds)[0]
    distance = 1 + tf.cast(_uniform(seeds[:1], 0, 1)[0, 0] * tf.cast(tf.maximum(count - 1, 1), tf.float32), tf.int32)
    return (tf.range(count) + tf.minimum(distance, tf.maximum(count - 1, 1))) % count


def draw_shares(seeds, alpha):
    """A number from Beta(alpha, alpha) for each seed: float32 `[batch]`."""

    def draw(seed):
        first, second = tf.unstack(tf.random.stateless_gamma([2], sub_seed(seed, 1), alpha))
        return tf.math.divide_no_nan(first, first + second)

    return tf.map_fn(draw, seeds, fn_output_signature=tf.float32)


def draw_boxes(size, shares, seeds):
    """Boxes of `1 - shares` of the area, with the image's aspect and a uniform centre, clipped to the image.

    size: int32 `[2]`, height and width; shares: float32 `[batch]`. Returns int32 `[batch, 4]`, x1, y1, x2, y2.
    """
    extent = tf.cast(size[::-1], tf.float32)  # width and height, as x comes before y
    centre = _uniform(seeds, 2, 2) * extent
    half = extent * tf.sqrt(1.0 - shares)[:, None] / 2
    box = tf.concat([tf.maximum(centre - half, 0.0), tf.minimum(centre + half, extent)], axis=1)
    return tf.cast(tf.round(box), tf.int32)


def _blend_targets(targets, partners, shares):
    shares = tf.cast(shares, targets.dtype)[:, None]
    return shares * targets + (1 - shares) * tf.gather(targets, partners)


def _uniform(seeds, number, count):
    """`count` uniform numbers for each seed: float32 `[batch, count]`."""
    return tf.map_fn(
        lambda seed: tf.random.stateless_uniform([count], sub_seed(seed, number)), seeds, fn_output_signature=tf.float32
    )
