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
    row, column = tf.range(rows), tf.range(columns)
    y = tf.cast(row[None] * stride_y[:, None], tf.float32)[:, :, None]
    x = tf.cast(column[None] * stride_x[:, None], tf.float32)[:, None, :]
    y, x = y + tf.zeros_like(x), x + tf.zeros_like(y)
    centres = tf.stack([x, y, x, y], -1)
    anchors = centres[:, :, :, None, :] + tf.constant(cells, tf.float32)
    own = (row[None] < own_rows[:, None])[:, :, None] & (column[None] < own_columns[:, None])[:, None, :]
    own = tf.repeat(own[..., None], len(cells), axis=-1)
    images = tf.shape(extent)[0]
    return tf.reshape(anchors, [images, -1, 4]), tf.reshape(own, [images, -1])


def inside(anchors, size):
    """Whether anchors `[n, a, 4]` lie wholly inside images of `size` int32 `[n, 2]` (height, width): bool `[n, a]`."""
    size = tf.cast(size, tf.float32)[:, None, ::-1]
    return tf.reduce_all(anchors[..., :2] >= 0.0, -1) & tf.reduce_all(anchors[..., 2:] <= size, -1)
