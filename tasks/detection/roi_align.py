"""RoIAlign: a feature map of fixed size for each box, by exact bilinear sampling.

He et al. 2017, Mask R-CNN, section 3.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from retinue.tasks.detection.padding import round_up

SAMPLING_RATIO = 2  # sampling points per side of each bin, whose values are averaged
CANONICAL_SIZE, CANONICAL_LEVEL = 224.0, 4  # a box of ImageNet's image size belongs to the map of stride 2**4


class RoIAlign(keras.layers.Layer):
    """Sample `output_size` x `output_size` averages from feature maps for each box.

    It is called with a list of maps, float32 `[n, h, w, c]`, boxes, float32 `[n, r, 4]` in pixels, and the sizes of the
    images, int32 `[n, 2]`. It returns what `roi_align` returns. Gradients flow to the maps, not to the boxes.
    """

    in_float32 = True

    def __init__(self, strides: Sequence[int], output_size: int, size_divisor: int, **options: Any) -> None:
        """Initialize the layer.

        Args:
            strides: strides of the maps in pixels, each twice the one before.
            output_size: number of bins on each side.
            size_divisor: see `roi_align`.
            **options: of `keras.layers.Layer`.
        """
        # Nothing is cast: maps of 16 bits are sampled as they are, and only the boxes must be float32.
        super().__init__(autocast=False, **options)
        self.strides, self.output_size, self.size_divisor = tuple(strides), output_size, size_divisor

    def call(self, maps: Sequence[tf.Tensor], boxes: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Sample the maps."""
        return roi_align(maps, tf.stop_gradient(boxes), size, self.strides, self.output_size, self.size_divisor)

    def compute_output_spec(
        self, maps: Sequence[keras.KerasTensor], boxes: keras.KerasTensor, size: keras.KerasTensor
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Return the shapes and dtypes of the results."""
        shape = (*boxes.shape[:2], self.output_size, self.output_size, maps[0].shape[-1])
        return keras.KerasTensor(shape, maps[0].dtype), keras.KerasTensor(boxes.shape[:2], "float32")


def roi_align(
    maps: Sequence[tf.Tensor],
    boxes: tf.Tensor,
    size: tf.Tensor,
    strides: Sequence[int],
    output_size: int,
    size_divisor: int = 1,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sample a map of fixed size for each box.

    Each bin is the mean of 2 x 2 points. The value of a point is interpolated between the four cells around it, where
    cell i of a map of stride s is at i * s. A box is at least one cell wide and high (torchvision's `aligned=False`).
    Points beyond the last cell of the valid part of a map have the value of that cell, and points more than one cell
    beyond it have the value 0.

    Args:
        maps: feature maps, float32 `[n, h, w, c]`. With several maps, each box is sampled from the one that
            `assign_levels` selects.
        boxes: float32 `[n, r, 4]` in pixels.
        size: int32 `[n, 2]`, height and width of the images in pixels.
        strides: strides of the maps in pixels, each twice the one before.
        output_size: number of bins on each side.
        size_divisor: the valid part of a map covers the image's size, rounded up to a multiple of this.

    Returns:
        float32 `[n, r, output_size, output_size, c]`; and float32 `[n, r]`, the fraction of each box's points that lie
        on the map.
    """
    # The names are used to find these tensors in a converted graph: see pipeline/runtimes/openvino_roi_align.py.
    maps = [tf.identity(each, name=f"map_{index}") for index, each in enumerate(maps)]
    channels, images = maps[0].shape[-1], tf.shape(boxes)[0]
    flat = tf.concat([tf.reshape(each, [tf.shape(each)[0], -1, channels]) for each in maps], 1)
    map_widths = tf.stack([tf.shape(each)[2] for each in maps])
    map_starts = tf.cumsum(tf.stack([tf.shape(each)[1] * tf.shape(each)[2] for each in maps]), exclusive=True)
    level = tf.identity(assign_levels(boxes, strides), name="level")
    stride = tf.gather(tf.constant(strides), level)
    valid_cells = tf.identity(round_up(size, size_divisor) // strides[0], name="valid_cells")  # of the first map
    last_row = valid_cells[:, :1] // (stride // strides[0]) - 1
    last_column = valid_cells[:, 1:] // (stride // strides[0]) - 1
    boxes = tf.identity(boxes / tf.expand_dims(tf.cast(stride, tf.float32), 2), name="boxes_in_cells")
    y, y_weights = _sampling_cells(boxes[..., 1], boxes[..., 3], last_row, output_size)
    x, x_weights = _sampling_cells(boxes[..., 0], boxes[..., 2], last_column, output_size)
    level = tf.expand_dims(tf.expand_dims(level, 2), 3)
    rows = tf.gather(map_starts, level) + y * tf.gather(map_widths, level)
    indices = _vertical(rows) + _horizontal(x)
    weights = _vertical(y_weights) * _horizontal(x_weights)
    on_map = tf.reduce_sum(y_weights, [2, 3]) * tf.reduce_sum(x_weights, [2, 3]) / output_size**2
    # Sixteen cells for each bin, and their weights: one gather and one matrix product, which are fast in both
    # directions.
    cells = (2 * SAMPLING_RATIO) ** 2
    sampled = tf.gather(flat, tf.reshape(indices, [images, -1]), batch_dims=1)
    sampled = tf.reshape(sampled, [-1, cells, channels])
    weights = tf.cast(tf.reshape(weights, [-1, 1, cells]), sampled.dtype)
    pooled = tf.reshape(tf.matmul(weights, sampled), [images, -1, output_size, output_size, channels])
    return tf.identity(pooled, name="pooled"), on_map


def assign_levels(boxes: tf.Tensor, strides: Sequence[int]) -> tf.Tensor:
    """Select the map that each box is sampled from.

    k = floor(4 + log2(sqrt(w h) / 224)), equation 1 of Lin et al. 2016 (FPN), limited to the maps that exist.

    Args:
        boxes: float32 `[..., 4]` in pixels.
        strides: strides of the maps in pixels.

    Returns:
        int32 `[...]`, indices into `strides`.
    """
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    root = tf.maximum(tf.sqrt(sides[..., 0] * sides[..., 1]), 1e-6)
    level = tf.floor(CANONICAL_LEVEL + tf.math.log(root / CANONICAL_SIZE) / math.log(2.0) + 1e-6)
    first, last = (int(math.log2(stride)) for stride in (strides[0], strides[-1]))
    return tf.cast(tf.clip_by_value(level, first, last), tf.int32) - first


def _vertical(values: tf.Tensor) -> tf.Tensor:
    """Reshape `[n, r, bins, cells]` of a column of bins to `[n, r, bins, 1, cells, 1]`."""
    return tf.expand_dims(tf.expand_dims(values, 3), 5)


def _horizontal(values: tf.Tensor) -> tf.Tensor:
    """Reshape `[n, r, bins, cells]` of a row of bins to `[n, r, 1, bins, 1, cells]`."""
    return tf.expand_dims(tf.expand_dims(values, 2), 4)


def _sampling_cells(low: tf.Tensor, high: tf.Tensor, last: tf.Tensor, bins: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Find the cells along one axis that the bins of boxes are averages of, and their weights.

    Args:
        low: float32 `[n, r]`, the lower edges of the boxes in cells.
        high: float32 `[n, r]`, the upper edges in cells.
        last: int32 `[n, r]`, index of the last valid cell.
        bins: number of bins.

    Returns:
        int32 `[n, r, bins, 2 * SAMPLING_RATIO]`, indices of cells; and float32 of the same shape, their weights.
    """
    count = bins * SAMPLING_RATIO
    steps = (tf.range(count, dtype=tf.float32) + 0.5) / count
    points = tf.expand_dims(low, 2) + tf.expand_dims(tf.maximum(high - low, 1.0), 2) * steps
    last = tf.expand_dims(last, 2)
    is_on_map = tf.cast(points <= tf.cast(last + 1, tf.float32), tf.float32)
    points = tf.clip_by_value(points, 0.0, tf.cast(last, tf.float32))
    before = tf.cast(points, tf.int32)
    fraction = points - tf.cast(before, tf.float32)
    cells = tf.stack([before, tf.minimum(before + 1, last)], -1)
    weights = tf.stack([1.0 - fraction, fraction], -1) * tf.expand_dims(is_on_map, 3) / SAMPLING_RATIO
    shape = tf.concat([tf.shape(low), [bins, 2 * SAMPLING_RATIO]], 0)
    return tf.reshape(cells, shape), tf.reshape(weights, shape)
