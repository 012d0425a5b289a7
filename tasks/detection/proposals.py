"""From the proposal network's outputs to proposals, and from those to detections. No gradient flows through either."""

import keras
import tensorflow as tf

from retinue.tasks.detection import boxes as box_functions
from retinue.tasks.detection.box_coding import ANCHOR_WEIGHTS, PROPOSAL_WEIGHTS, decode
from retinue.tasks.detection.non_maximum_suppression import kept_by_nms
from retinue.tasks.detection.top_k import largest

PROPOSAL_OVERLAP = 0.7  # more than this with a better proposal, and it is dropped
SMALLEST_PROPOSAL, SMALLEST_DETECTION = 1e-3, 1e-2  # pixels a side
NEVER = -1.0  # the score of what is not to be kept


class Proposals(keras.layers.Layer):
    """The best boxes of the proposal network (Ren et al. 2015, section 3.3; by level as Lin et al. 2016 have it).

    Of each level the `candidates` best are decoded, cut at the true edges of the image, dropped where a side is below
    `smallest` pixels, and suppressed; of all levels together the `count` best stay.
    Called with the lists, a level each, of logits float32 `[n, a]`, deltas `[n, a, 4]`, anchors `[n, a, 4]` and whether
    they are the image's own, bool `[n, a]`, and with the size int32 `[n, 2]` (height, width).
    Gives boxes float32 `[n, r, 4]` in pixels, best first, and scores float32 `[n, r]`, where r is `count` or less if
    there are not so many candidates. Rows with a score below 0 are padding.
    """

    in_float32 = True

    def __init__(self, candidates, count, smallest=SMALLEST_PROPOSAL, **arguments):
        super().__init__(**arguments)
        self.candidates, self.count, self.smallest = candidates, count, smallest

    def call(self, logits, deltas, anchors, own, size):
        found = [self._of_level(*level, size) for level in zip(logits, deltas, anchors, own, strict=True)]
        boxes, scores = (tf.concat(part, 1) for part in zip(*found, strict=True))
        best, scores = _best(scores, tf.minimum(self.count, tf.shape(scores)[1]))
        return tf.stop_gradient(tf.gather(boxes, best, batch_dims=1)), tf.stop_gradient(scores)

    def _of_level(self, logits, deltas, anchors, own, size):
        logits = tf.cast(logits, tf.float32)
        below = tf.reduce_min(logits, 1, keepdims=True) - 1.0
        best = largest(tf.where(own, logits, below), tf.minimum(self.candidates, tf.shape(logits)[1]))
        logits, own = tf.gather(logits, best, batch_dims=1), tf.gather(own, best, batch_dims=1)
        deltas = tf.cast(tf.gather(deltas, best, batch_dims=1), tf.float32)
        boxes = decode(deltas, tf.gather(anchors, best, batch_dims=1), ANCHOR_WEIGHTS)
        boxes = box_functions.clip(boxes, size)
        good = box_functions.at_least(boxes, self.smallest) & own
        scores = tf.where(good, tf.sigmoid(logits), NEVER)
        shape = tf.shape(scores)
        images = tf.repeat(tf.range(shape[0]), shape[1])
        kept = kept_by_nms(
            tf.reshape(boxes, [-1, 4]), tf.reshape(scores, [-1]), images, tf.zeros_like(images), PROPOSAL_OVERLAP
        )
        return boxes, tf.where(tf.reshape(kept, shape), scores, NEVER)

    def compute_output_spec(self, logits, deltas, anchors, own, size):
        images = logits[0].shape[0]
        return keras.KerasTensor((images, None, 4), "float32"), keras.KerasTensor((images, None), "float32")


class Detections(keras.layers.Layer):
    """What the heads say of the proposals, as the answer: boxes in pixels of the original picture.

    A class's score above `score_threshold` makes a detection with that class's own box, cut at the edges; suppression
    runs class by class (`nms_threshold`); the `count` best of an image stay.
    Called with class logits float32 `[n, r, classes + 1]` (background first), deltas `[n, r, 4 (classes + 1)]`,
    proposals `[n, r, 4]`, their scores `[n, r]` and int32 `[n, 2]` size and original size (height, width).
    Gives a dict: boxes float32 `[n, count, 4]`, scores float32 `[n, count]`, labels int32 `[n, count]` from 0, best
    first, zeros (label -1) after the last; count int32 `[n]`; and the proposals float32 `[n, r, 4]` in the same pixels,
    zeros where there is none, so that the proposal network can be scored by itself.
    """

    in_float32 = True

    def __init__(self, score_threshold, nms_threshold, count, **arguments):
        super().__init__(**arguments)
        self.score_threshold, self.nms_threshold, self.count = score_threshold, nms_threshold, count

    def call(self, class_logits, deltas, proposals, proposal_scores, size, original_size):
        classes = class_logits.shape[-1] - 1
        images, rows = tf.shape(proposals)[0], tf.shape(proposals)[1]
        scores = tf.nn.softmax(tf.cast(class_logits, tf.float32))[..., 1:]
        deltas = tf.reshape(tf.cast(deltas, tf.float32), [images, rows, classes + 1, 4])[:, :, 1:]
        boxes = box_functions.clip(decode(deltas, tf.expand_dims(proposals, 2), PROPOSAL_WEIGHTS), size)
        good = (scores > self.score_threshold) & box_functions.at_least(boxes, SMALLEST_DETECTION)
        is_proposal = tf.expand_dims(proposal_scores >= 0.0, 2)
        scores = tf.where(good & is_proposal, scores, NEVER)
        boxes, scores = tf.reshape(boxes, [images, -1, 4]), tf.reshape(scores, [images, -1])
        number = rows * classes
        kept = kept_by_nms(
            tf.reshape(boxes, [-1, 4]),
            tf.reshape(scores, [-1]),
            tf.repeat(tf.range(images), number),
            tf.tile(tf.range(classes), [images * rows]),
            self.nms_threshold,
        )
        scores = tf.where(tf.reshape(kept, [images, number]), scores, NEVER)
        scores = tf.pad(scores, [[0, 0], [0, self.count]], constant_values=NEVER)  # so that there are always enough
        best, scores = _best(scores, self.count)
        is_found = scores > 0.0
        best = tf.minimum(best, number - 1)
        boxes = _resized(tf.gather(boxes, best, batch_dims=1), size, original_size)
        return {
            "boxes": tf.where(tf.expand_dims(is_found, 2), boxes, 0.0),
            "scores": tf.where(is_found, scores, 0.0),
            "labels": tf.where(is_found, best % classes, -1),
            "count": tf.reduce_sum(tf.cast(is_found, tf.int32), -1),
            "proposals": tf.where(is_proposal, _resized(proposals, size, original_size), 0.0),
        }

    def compute_output_spec(self, class_logits, deltas, proposals, proposal_scores, size, original_size):
        images = class_logits.shape[0]
        return {
            "boxes": keras.KerasTensor((images, self.count, 4), "float32"),
            "scores": keras.KerasTensor((images, self.count), "float32"),
            "labels": keras.KerasTensor((images, self.count), "int32"),
            "count": keras.KerasTensor((images,), "int32"),
            "proposals": keras.KerasTensor((images, None, 4), "float32"),
        }


def _best(scores, count):
    """The places of the `count` largest scores `[n, a]`, the largest first, and these scores: `[n, count]` each."""
    best = largest(scores, count)
    scores, order = tf.math.top_k(tf.gather(scores, best, batch_dims=1), count)
    return tf.gather(best, order, batch_dims=1), scores


def _resized(boxes, size, original_size):
    """Boxes `[n, d, 4]` from images of `size` to pictures of `original_size`, both int32 `[n, 2]`, and cut there."""
    ratio = (tf.cast(original_size, tf.float32) / tf.cast(tf.maximum(size, 1), tf.float32))[:, ::-1]
    return box_functions.clip(boxes * tf.expand_dims(tf.tile(ratio, [1, 2]), 1), original_size)
