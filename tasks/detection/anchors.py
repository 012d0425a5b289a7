"""Anchors: boxes of fixed sizes and shapes around every position of a feature map (Ren et al. 2015, section 3.1.1)."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def cell_anchors(sizes: Sequence[float], aspect_ratios: Sequence[float]) -> np.ndarray:
    """Make the k anchors around the point (0, 0). Like torchvision's, they are rounded to whole pixels.

    Args:
        sizes: square roots of the areas in pixels.
        aspect_ratios: height / width. All anchors of one size have the same area.

    Returns:
        float32 `[k, 4]`, x1, y1, x2, y2. All sizes of the first aspect ratio come first, then those of the second.
    """
    heights = np.sqrt(np.asarray(aspect_ratios, np.float32))[:, None] * np.asarray(sizes, np.float32)
    widths = (1 / np.sqrt(np.asarray(aspect_ratios, np.float32)))[:, None] * np.asarray(sizes, np.float32)
    widths, heights = widths.reshape(-1), heights.reshape(-1)
    return np.round(np.stack([-widths, -heights, widths, heights], 1) / 2)


def grid_anchors(
    anchors: np.ndarray,
    rows: tf.Tensor | int,
    columns: tf.Tensor | int,
    valid_rows: tf.Tensor,
    valid_columns: tf.Tensor,
    valid_size: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Shift the anchors of one cell to every cell of a padded feature map.

    The cell (i, j) is at i and j times the stride. The stride is the size of the image divided by the number of its
    cells, rounded down. torchvision does the same; it differs from the nominal stride only for a pooled level of an odd
    map.

    Args:
        anchors: float32 `[k, 4]`, the anchors around (0, 0).
        rows: number of rows of the padded map.
        columns: number of columns of the padded map.
        valid_rows: int32 `[n]`, the number of rows that belong to each image. The others are padding.
        valid_columns: int32 `[n]`, the same for columns.
        valid_size: int32 `[n, 2]`, height and width in pixels that the valid rows and columns cover.

    Returns:
        float32 `[n, rows * columns * k, 4]`, the anchors in pixels, ordered by row, column and anchor; and bool
        `[n, rows * columns * k]`, whether the cell of the anchor is valid.
    """
    stride_y, stride_x = valid_size[:, 0] // valid_rows, valid_size[:, 1] // valid_columns
    row, column = tf.expand_dims(tf.range(rows), 0), tf.expand_dims(tf.range(columns), 0)
    valid_rows, valid_columns, stride_y, stride_x = (
        tf.expand_dims(each, 1) for each in (valid_rows, valid_columns, stride_y, stride_x)
    )
    y = tf.expand_dims(tf.cast(row * stride_y, tf.float32), 2)
    x = tf.expand_dims(tf.cast(column * stride_x, tf.float32), 1)
    y, x = y + tf.zeros_like(x), x + tf.zeros_like(y)
    centers = tf.stack([x, y, x, y], -1)
    shifted = tf.expand_dims(centers, 3) + tf.constant(anchors, tf.float32)
    valid = tf.expand_dims(row < valid_rows, 2) & tf.expand_dims(column < valid_columns, 1)
    valid = tf.repeat(tf.expand_dims(valid, 3), len(anchors), axis=-1)
    images = tf.shape(valid_size)[0]
    return tf.reshape(shifted, [images, -1, 4]), tf.reshape(valid, [images, -1])


def inside_image(anchors: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Check which anchors lie completely inside their image.

    Args:
        anchors: float32 `[n, a, 4]` in pixels.
        size: int32 `[n, 2]`, height and width of the images.

    Returns:
        bool `[n, a]`.
    """
    size = tf.expand_dims(tf.cast(size, tf.float32)[:, ::-1], 1)
    return tf.reduce_all(anchors[..., :2] >= 0.0, -1) & tf.reduce_all(anchors[..., 2:] <= size, -1)
