"""The second stage: what each proposal is, and its box (Girshick 2015, Fast R-CNN)."""

import keras
import tensorflow as tf
from keras import layers

from retinue.tasks.detection.box_coding import PROPOSAL_WEIGHTS, encode
from retinue.tasks.detection.matching import OBJECT, match
from retinue.tasks.detection.sampling import sample

OBJECT_FROM = 0.5  # IoU with an annotated box
OBJECT_SHARE = 0.25  # of the sampled proposals, at most
BOXES_FROM = 1 << 24  # the number of the first annotated box in the draw


class ProposalSamples(layers.Layer):
    """Match proposals with the annotated boxes, which are proposals as well, and draw those that are learned from.

    count: of proposals an image; box_bg_iou_low: the IoU that background must have (0.1 in the paper on VOC).
    Called with proposals float32 `[n, r, 4]`, their scores `[n, r]`, boxes float32 `[n, m, 4]`, labels int32 `[n, m]`
    and seed int32 `[n, 2]`. Gives a dict: proposals float32 `[n, s, 4]`, labels int32 `[n, s]` (0 is background, class
    c is c + 1), targets float32 `[n, s, 4]` (encoded boxes), weights float32 `[n, s]` (0 where there were too few).
    """

    in_float32 = True

    def __init__(self, count, box_bg_iou_low=0.0, **arguments):
        super().__init__(**arguments)
        self.count, self.box_bg_iou_low = count, box_bg_iou_low

    def call(self, proposals, scores, boxes, labels, seed):
        boxes = tf.pad(tf.cast(boxes, tf.float32), [[0, 0], [0, 1], [0, 0]])
        labels = tf.pad(labels, [[0, 0], [0, 1]], constant_values=-1)
        candidates = tf.concat([proposals, boxes], 1)
        is_real = tf.concat([scores >= 0.0, labels >= 0], 1)
        nearest, kind = match(
            candidates,
            boxes,
            labels,
            object_from=OBJECT_FROM,
            background_to=OBJECT_FROM,
            box_bg_iou_low=self.box_bg_iou_low,
        )
        kind = tf.where(is_real, kind, -1)
        # A proposal's number is its rank. How many there are may hang on the padding, so boxes have their own.
        numbers = tf.concat([tf.range(tf.shape(proposals)[1]), BOXES_FROM + tf.range(tf.shape(boxes)[1])], 0)
        # another draw than that of the anchors
        drawn, weights = sample(kind, numbers[None], seed + [0, 1], self.count, max(int(self.count * OBJECT_SHARE), 1))
        chosen = tf.gather(candidates, drawn, batch_dims=1)
        nearest = tf.gather(nearest, drawn, batch_dims=1)
        is_object = tf.gather(kind, drawn, batch_dims=1) == OBJECT
        targets = encode(tf.gather(boxes, nearest, batch_dims=1), chosen, PROPOSAL_WEIGHTS)
        return {
            "proposals": tf.stop_gradient(chosen),
            "labels": tf.where(is_object, tf.gather(labels, nearest, batch_dims=1) + 1, 0),
            "targets": tf.stop_gradient(targets),
            "weights": weights,
        }

    def compute_output_spec(self, proposals, scores, boxes, labels, seed):
        flat, four = (seed.shape[0], None), (seed.shape[0], None, 4)
        return {
            "proposals": keras.KerasTensor(four, "float32"),
            "labels": keras.KerasTensor(flat, "int32"),
            "targets": keras.KerasTensor(four, "float32"),
            "weights": keras.KerasTensor(flat, "float32"),
        }


class EachProposal(layers.Layer):
    """Put the proposals of all images into the batch axis: `[n, r, h, w, c]` -> `[n r, h, w, c]`."""

    def call(self, pooled):
        return tf.reshape(pooled, [-1, *pooled.shape[2:]])

    def compute_output_spec(self, pooled):
        return keras.KerasTensor((None, *pooled.shape[2:]), pooled.dtype)


class EachImage(layers.Layer):
    """The way back: `[n r, ...]` -> `[n, r, c]`, flattened; called with it and any tensor of shape `[n, r, ...]`."""

    def call(self, features, like):
        shape = tf.shape(like)
        count = 1
        for side in features.shape[1:]:
            count *= side
        return tf.reshape(features, [shape[0], shape[1], count])

    def compute_output_spec(self, features, like):
        count = 1
        for side in features.shape[1:]:
            count *= side
        return keras.KerasTensor((*like.shape[:2], count), features.dtype)


def two_linear_layers(pooled, width):
    """The head of FPN (Lin et al. 2016, section 5.2): `[n, r, h, w, c]` -> `[n, r, width]`, two layers with ReLU."""
    x = EachImage(name="head_flat")(EachProposal(name="head_each")(pooled), pooled)
    for name in ("head_fc6", "head_fc7"):
        x = layers.Dense(width, activation="relu", kernel_initializer="he_uniform", name=name)(x)
    return x


def tail_of_backbone(pooled, tail):
    """The backbone's own last layers on each proposal: `[n, r, h, w, c]` -> `[n, r, c']`.

    tail: function from a `keras` tensor `[n r, h, w, c]` to `[n r, h', w', c']`, whose places are averaged.
    """
    x = tail(EachProposal(name="head_each")(pooled))
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    return EachImage(name="head_flat")(x, pooled)


def class_and_box(features, classes):
    """The two outputs: `[n, r, c]` -> logits `[n, r, classes + 1]`, deltas `[n, r, 4 (classes + 1)]`, background first.

    Initialised as in Girshick 2015, section 3.1: N(0, 0.01) and N(0, 0.001).
    """
    gaussian = keras.initializers.RandomNormal
    logits = layers.Dense(classes + 1, kernel_initializer=gaussian(stddev=0.01), name="head_classes")(features)
    deltas = layers.Dense(4 * (classes + 1), kernel_initializer=gaussian(stddev=0.001), name="head_boxes")(features)
    return logits, deltas
