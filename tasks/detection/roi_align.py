"""RoIAlign: a map of fixed size for each box, by exact bilinear sampling (He et al. 2017, Mask R-CNN, section 3)."""

import math

import keras
import tensorflow as tf

from retinue.tasks.detection.padding import up_to_multiple

SAMPLES = 2  # points a side in each bin, whose values are averaged
CANONICAL_SIZE, CANONICAL_LEVEL = 224.0, 4  # a box of ImageNet's size belongs to the map of stride 2**4


class RoIAlign(keras.layers.Layer):
    """Sample `bins` x `bins` averages from feature maps for each box.

    Called with a list of maps float32 `[n, h, w, c]`, boxes float32 `[n, r, 4]` in pixels and size int32 `[n, 2]`.
    Gives float32 `[n, r, bins, bins, c]` and `[n, r]`, the share of each box's points that lie on the map. strides: of
    the maps, rising by 2; multiple: see `roi_align`.
    With several maps, a box is sampled from the one that `levels_of` names. Gradients flow to the maps, not the boxes.
    """

    in_float32 = True

    def __init__(self, strides, bins, multiple, **arguments):
        # Maps of 16 bits are sampled as they are, and only the boxes must be float32: so nothing is cast.
        super().__init__(autocast=False, **arguments)
        self.strides, self.bins, self.multiple = tuple(strides), bins, multiple

    def call(self, maps, boxes, size):
        return roi_align(maps, tf.stop_gradient(boxes), size, self.strides, self.bins, self.multiple)

    def compute_output_spec(self, maps, boxes, size):
        pooled = keras.KerasTensor((*boxes.shape[:2], self.bins, self.bins, maps[0].shape[-1]), maps[0].dtype)
        return pooled, keras.KerasTensor(boxes.shape[:2], "float32")


def roi_align(maps, boxes, size, strides, bins, multiple=1):
    """The function of `RoIAlign`.

    Each bin is the mean of 2 x 2 points; a point's value is interpolated between the four places around it, where place
    i of a map of stride s is at i * s, and a box is at least one place wide and high (torchvision's `aligned=False`).
    Points beyond the last place of the image's own part of the map (its size rounded up to a whole `multiple`) have the
    value of that place, and more than one place beyond it, 0.
    """
    # What has a name here is found by it in a converted graph: see pipeline/runtimes/openvino_roi_align.py.
    maps = [tf.identity(each, name=f"map_{number}") for number, each in enumerate(maps)]
    channels, images = maps[0].shape[-1], tf.shape(boxes)[0]
    flat = tf.concat([tf.reshape(each, [tf.shape(each)[0], -1, channels]) for each in maps], 1)
    columns_of = tf.stack([tf.shape(each)[2] for each in maps])
    starts_of = tf.cumsum(tf.stack([tf.shape(each)[1] * tf.shape(each)[2] for each in maps]), exclusive=True)
    level = tf.identity(levels_of(boxes, strides), name="level")
    stride = tf.gather(tf.constant(strides), level)
    own = tf.identity(up_to_multiple(size, multiple) // strides[0], name="own_places")  # of the first map
    last_row = own[:, :1] // (stride // strides[0]) - 1
    last_column = own[:, 1:] // (stride // strides[0]) - 1
    boxes = tf.identity(boxes / tf.expand_dims(tf.cast(stride, tf.float32), 2), name="boxes_in_places")
    y, y_weights = _points(boxes[..., 1], boxes[..., 3], last_row, bins)
    x, x_weights = _points(boxes[..., 0], boxes[..., 2], last_column, bins)
    level = tf.expand_dims(tf.expand_dims(level, 2), 3)
    rows = tf.gather(starts_of, level) + y * tf.gather(columns_of, level)
    place = _down(rows) + _across(x)
    weights = _down(y_weights) * _across(x_weights)
    on_map = tf.reduce_sum(y_weights, [2, 3]) * tf.reduce_sum(x_weights, [2, 3]) / bins**2
    # Sixteen places a bin and their weights: one gather and one product of matrices, fast forwards and backwards.
    taps = (2 * SAMPLES) ** 2
    sampled = tf.gather(flat, tf.reshape(place, [images, -1]), batch_dims=1)
    sampled = tf.reshape(sampled, [-1, taps, channels])
    weights = tf.cast(tf.reshape(weights, [-1, 1, taps]), sampled.dtype)
    pooled = tf.reshape(tf.matmul(weights, sampled), [images, -1, bins, bins, channels])
    return tf.identity(pooled, name="pooled"), on_map


def levels_of(boxes, strides):
    """Which of the maps each box `[..., 4]` is sampled from: int32 `[...]`, 0 for the first of `strides`.

    k = floor(4 + log2(sqrt(w h) / 224)), equation 1 of Lin et al. 2016 (FPN), within what there is.
    """
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    root = tf.maximum(tf.sqrt(sides[..., 0] * sides[..., 1]), 1e-6)
    level = tf.floor(CANONICAL_LEVEL + tf.math.log(root / CANONICAL_SIZE) / math.log(2.0) + 1e-6)
    first, last = (int(math.log2(stride)) for stride in (strides[0], strides[-1]))
    return tf.cast(tf.clip_by_value(level, first, last), tf.int32) - first


def _down(each):
    """`[n, r, bins, samples]` of a column of bins as `[n, r, bins, 1, samples, 1]`."""
    return tf.expand_dims(tf.expand_dims(each, 3), 5)


def _across(each):
    """`[n, r, bins, samples]` of a row of bins as `[n, r, 1, bins, 1, samples]`."""
    return tf.expand_dims(tf.expand_dims(each, 2), 4)


def _points(low, high, last, bins):
    """The places along one axis that the bins of boxes are made of, and their weights.

    low, high: float32 `[n, r]` in places; last: int32 `[n, r]`. Returns int32 and float32 `[n, r, bins, 2 SAMPLES]`.
    """
    count = bins * SAMPLES
    steps = (tf.range(count, dtype=tf.float32) + 0.5) / count
    points = tf.expand_dims(low, 2) + tf.expand_dims(tf.maximum(high - low, 1.0), 2) * steps
    last = tf.expand_dims(last, 2)
    is_on_map = tf.cast(points <= tf.cast(last + 1, tf.float32), tf.float32)
    points = tf.clip_by_value(points, 0.0, tf.cast(last, tf.float32))
    before = tf.cast(points, tf.int32)
    share = points - tf.cast(before, tf.float32)
    places = tf.stack([before, tf.minimum(before + 1, last)], -1)
    weights = tf.stack([1.0 - share, share], -1) * tf.expand_dims(is_on_map, 3) / SAMPLES
    shape = tf.concat([tf.shape(low), [bins, 2 * SAMPLES]], 0)
    return tf.reshape(places, shape), tf.reshape(weights, shape)
