"""The region proposal network: at each place, for each anchor, is there an object, and where (Ren et al. 2015)."""

import keras
import tensorflow as tf
from keras import layers

from retinue.tasks.detection import anchors as anchor_functions
from retinue.tasks.detection.box_coding import ANCHOR_WEIGHTS, encode
from retinue.tasks.detection.matching import OBJECT, match
from retinue.tasks.detection.padding import HidePadding, up_to_multiple
from retinue.tasks.detection.sampling import sample

OBJECT_FROM, BACKGROUND_TO = 0.7, 0.3  # IoU with an annotated box
OBJECT_SHARE = 0.5  # of the sampled anchors, at most


def region_proposal_network(maps, anchor_count, objectness, size, multiple):
    """Add the network of section 3.1: a 3x3 convolution, then for each anchor its objectness and four deltas.

    maps: dict from stride to float32 `[n, h, w, c]`, all of one c; they share the weights. anchor_count: k.
    objectness: "softmax" has two outputs an anchor (background, object), as the paper, "sigmoid" one, as torchvision;
    the difference of the two is the one, so both give the same functions and losses.
    size: int32 `[n, 2]` and multiple: see padding.py. Returns two lists, a map each: logits `[n, h, w, k]` and deltas
    `[n, h, w, 4 k]`.
    """
    channels = next(iter(maps.values())).shape[-1]
    gaussian = keras.initializers.RandomNormal(stddev=0.01)
    window = layers.Conv2D(channels, 3, padding="same", activation="relu", kernel_initializer=gaussian, name="rpn_conv")
    outputs = 2 if objectness == "softmax" else 1
    to_logits = layers.Conv2D(outputs * anchor_count, 1, kernel_initializer=gaussian, name="rpn_objectness")
    to_deltas = layers.Conv2D(4 * anchor_count, 1, kernel_initializer=gaussian, name="rpn_deltas")
    difference = ObjectnessDifference(name="rpn_difference")
    logits, deltas = [], []
    for stride, each in maps.items():
        shared = window(HidePadding(stride, multiple, name=f"rpn_hide_{stride}")(each, size))
        scores = to_logits(shared)
        logits.append(difference(scores) if objectness == "softmax" else scores)
        deltas.append(to_deltas(shared))
    return logits, deltas


class ObjectnessDifference(layers.Layer):
    """The logit of a softmax over pairs (background, object): `[n, h, w, 2 k]` -> `[n, h, w, k]`."""

    def call(self, scores):
        return scores[..., 1::2] - scores[..., 0::2]


class AnchorGrid(layers.Layer):
    """The anchors of all levels, and the network's outputs in their order.

    cells: the anchors of one place, a list a level of float32 `[k, 4]`; strides: of the levels; multiple: see
    padding.py. Called with the logits and deltas of `region_proposal_network` and size int32 `[n, 2]`.
    Gives four lists, a level each: logits `[n, a]`, deltas `[n, a, 4]`, anchors float32 `[n, a, 4]`, and bool
    `[n, a]`, whether the anchor is in the image's own part of the map.
    """

    in_float32 = True

    def __init__(self, cells, strides, multiple, **arguments):
        super().__init__(**arguments)
        self.cells, self.strides, self.multiple = cells, tuple(strides), multiple

    def call(self, logits, deltas, size):
        extent = up_to_multiple(size, self.multiple)
        flat_logits, flat_deltas, anchors, own = [], [], [], []
        for cells, stride, scores, shifts in zip(self.cells, self.strides, logits, deltas, strict=True):
            shape = tf.shape(scores)
            parts = -(-extent // stride)  # rounded up, as the pooled level is where the one before is odd
            boxes, is_own = anchor_functions.grid_anchors(cells, shape[1], shape[2], parts[:, 0], parts[:, 1], extent)
            flat_logits.append(tf.reshape(scores, [shape[0], -1]))
            flat_deltas.append(tf.reshape(shifts, [shape[0], -1, 4]))
            anchors.append(boxes)
            own.append(is_own)
        return flat_logits, flat_deltas, anchors, own

    def compute_output_spec(self, logits, deltas, size):
        images = size.shape[0]

        def each(shape, dtype):
            return [keras.KerasTensor((images, *shape), dtype) for _ in logits]

        return each((None,), "float32"), each((None, 4), "float32"), each((None, 4), "float32"), each((None,), "bool")


class AnchorSamples(layers.Layer):
    """Match the anchors with the annotated boxes and draw those that are learned from.

    count: of anchors an image. crossing: whether those that cross the image's edge are among them (the paper leaves
    them out). Called with the four lists of `AnchorGrid`, size int32 `[n, 2]`, boxes float32 `[n, m, 4]`, labels int32
    `[n, m]` and seed int32 `[n, 2]`. Gives a dict of float32: logits `[n, s]`, deltas `[n, s, 4]`, is_object `[n, s]`,
    targets `[n, s, 4]` (encoded boxes), weights `[n, s]` (0 where there were too few to draw).
    """

    in_float32 = True

    def __init__(self, count, crossing=True, **arguments):
        super().__init__(**arguments)
        self.count, self.crossing = count, crossing

    def call(self, logits, deltas, anchors, own, size, boxes, labels, seed):
        logits, deltas, anchors, own = (tf.concat(part, 1) for part in (logits, deltas, anchors, own))
        if not self.crossing:
            own &= anchor_functions.inside(anchors, size)
        boxes = tf.cast(boxes, tf.float32)
        # An anchor that is left out must not be the best of a box either.
        candidates = tf.where(own[..., None], anchors, 0.0)
        nearest, kind = match(
            candidates, boxes, labels, object_from=OBJECT_FROM, background_to=BACKGROUND_TO, best_too=True
        )
        kind = tf.where(own, kind, -1)
        numbers = tf.cumsum(tf.cast(own, tf.int32), axis=1)  # those in the padding do not count
        drawn, weights = sample(kind, numbers, seed, self.count, max(int(self.count * OBJECT_SHARE), 1))
        padded = tf.pad(boxes, [[0, 0], [0, 1], [0, 0]])
        matched = tf.gather(padded, tf.gather(nearest, drawn, batch_dims=1), batch_dims=1)
        return {
            "logits": tf.cast(tf.gather(logits, drawn, batch_dims=1), tf.float32),
            "deltas": tf.cast(tf.gather(deltas, drawn, batch_dims=1), tf.float32),
            "is_object": tf.cast(tf.gather(kind, drawn, batch_dims=1) == OBJECT, tf.float32),
            "targets": tf.stop_gradient(encode(matched, tf.gather(anchors, drawn, batch_dims=1), ANCHOR_WEIGHTS)),
            "weights": weights,
        }

    def compute_output_spec(self, logits, deltas, anchors, own, size, boxes, labels, seed):
        flat, four = (seed.shape[0], None), (seed.shape[0], None, 4)
        shapes = {"logits": flat, "deltas": four, "is_object": flat, "targets": four, "weights": flat}
        return {name: keras.KerasTensor(shape, "float32") for name, shape in shapes.items()}
