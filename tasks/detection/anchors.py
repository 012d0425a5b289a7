"""Anchors: the boxes of fixed sizes and shapes around every place of a feature map (Ren et al. 2015, section 3.1.1)."""

import numpy as np
import tensorflow as tf


def cell_anchors(sizes, ratios):
    """The k anchors around the point (0, 0), float32 `[k, 4]`, rounded to whole pixels as torchvision's are.

    sizes: square roots of the areas in pixels; ratios: height / width. The area is the same for all ratios of a size.
    The order is ratio by ratio, and within one, size by size.
    """
    heights = np.sqrt(np.asarray(ratios, np.float32))[:, None] * np.asarray(sizes, np.float32)
    widths = (1 / np.sqrt(np.asarray(ratios, np.float32)))[:, None] * np.asarray(sizes, np.float32)
    widths, heights = widths.reshape(-1), heights.reshape(-1)
    return np.round(np.stack([-widths, -heights, widths, heights], 1) / 2)


def grid_anchors(cells, rows, columns, own_rows, own_columns, extent):
    """Shift the anchors of one cell to every place of a padded map.

    cells: float32 `[k, 4]`; rows, columns: of the map; own_rows, own_columns: int32 `[n]`, the part of it that is an
    image's own; extent: int32 `[n, 2]`, height and width in pixels that this part stands for.
    The place (i, j) is at i, j times the stride, which is the image's extent over its part, rounded down: so
    torchvision has it, where only a pooled level of an odd map differs from the plain stride.
    Returns float32 `[n, rows * columns * k, 4]` in pixels, ordered by row, column and cell, and bool
    `[n, rows * columns * k]`: whether the place is in the image's own part.
    """
    stride_y, stride_x = extent[:, 0] // own_rows, extent[:, 1] // own_columns
    row, column = tf.expand_dims(tf.range(rows), 0), tf.expand_dims(tf.range(columns), 0)
    own_rows, own_columns, stride_y, stride_x = (
        tf.expand_dims(each, 1) for each in (own_rows, own_columns, stride_y, stride_x)
    )
    y = tf.expand_dims(tf.cast(row * stride_y, tf.float32), 2)
    x = tf.expand_dims(tf.cast(column * stride_x, tf.float32), 1)
    y, x = y + tf.zeros_like(x), x + tf.zeros_like(y)
    centres = tf.stack([x, y, x, y], -1)
    anchors = tf.expand_dims(centres, 3) + tf.constant(cells, tf.float32)
    own = tf.expand_dims(row < own_rows, 2) & tf.expand_dims(column < own_columns, 1)
    own = tf.repeat(tf.expand_dims(own, 3), len(cells), axis=-1)
    images = tf.shape(extent)[0]
    return tf.reshape(anchors, [images, -1, 4]), tf.reshape(own, [images, -1])


def inside(anchors, size):
    """Whether anchors `[n, a, 4]` lie wholly inside images of `size` int32 `[n, 2]` (height, width): bool `[n, a]`."""
    size = tf.expand_dims(tf.cast(size, tf.float32)[:, ::-1], 1)
    return tf.reduce_all(anchors[..., :2] >= 0.0, -1) & tf.reduce_all(anchors[..., 2:] <= size, -1)
