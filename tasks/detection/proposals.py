"""From the outputs of the RPN to proposals, and from the outputs of the heads to detections.

No gradient flows through either.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from retinue.tasks.detection.box_coding import ANCHOR_WEIGHTS, PROPOSAL_WEIGHTS, decode_boxes
from retinue.tasks.detection.boxes import clip_boxes_to_image, has_min_size
from retinue.tasks.detection.non_maximum_suppression import grouped_nms
from retinue.tasks.detection.top_k import top_k_indices

MIN_DETECTION_SIZE = 1e-2  # smallest side of a detection in pixels
REMOVED = -1.0  # score of boxes that are not kept


class FilterProposals(keras.layers.Layer):
    """Select the best boxes of the RPN (Ren et al. 2015, section 3.3; by level as in Lin et al. 2016).

    The best anchors of each level are decoded, clipped at the true edges of the image, filtered by size, and filtered
    by NMS. Then the best of all levels together are kept.

    The layer is called with four lists, with one tensor for each level: logits float32 `[n, a]`, deltas `[n, a, 4]`,
    anchors `[n, a, 4]` and bool `[n, a]`, whether they are valid; and with the sizes of the images, int32 `[n, 2]`
    (height, width). It returns boxes float32 `[n, r, 4]` in pixels, best first, and scores float32 `[n, r]`, where r is
    `post_nms_top_n`, or less if there are not so many anchors. Rows with a score below 0 are padding.
    """

    in_float32 = True

    def __init__(
        self, pre_nms_top_n: int, post_nms_top_n: int, nms_threshold: float, min_size: float, **options: Any
    ) -> None:
        """Initialize the layer.

        Args:
            pre_nms_top_n: number of anchors of each level that enter NMS.
            post_nms_top_n: number of proposals of each image.
            nms_threshold: NMS removes a proposal whose IoU with a better one of the same level is above this.
            min_size: smallest side of a proposal in pixels.
            **options: of `keras.layers.Layer`.
        """
        super().__init__(**options)
        self.pre_nms_top_n, self.post_nms_top_n = pre_nms_top_n, post_nms_top_n
        self.nms_threshold, self.min_size = nms_threshold, min_size

    def call(
        self,
        logits: Sequence[tf.Tensor],
        deltas: Sequence[tf.Tensor],
        anchors: Sequence[tf.Tensor],
        valid: Sequence[tf.Tensor],
        size: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Select the proposals."""
        levels = [self._filter_level(*level, size) for level in zip(logits, deltas, anchors, valid, strict=True)]
        boxes, scores = (tf.concat(parts, 1) for parts in zip(*levels, strict=True))
        best, scores = _top_k(scores, tf.minimum(self.post_nms_top_n, tf.shape(scores)[1]))
        return tf.stop_gradient(tf.gather(boxes, best, batch_dims=1)), tf.stop_gradient(scores)

    def _filter_level(
        self, logits: tf.Tensor, deltas: tf.Tensor, anchors: tf.Tensor, valid: tf.Tensor, size: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return boxes `[n, k, 4]` and scores `[n, k]` of one level."""
        logits = tf.cast(logits, tf.float32)
        below_all = tf.reduce_min(logits, 1, keepdims=True) - 1.0
        count = tf.minimum(self.pre_nms_top_n, tf.shape(logits)[1])
        best = top_k_indices(tf.where(valid, logits, below_all), count)
        logits, valid = tf.gather(logits, best, batch_dims=1), tf.gather(valid, best, batch_dims=1)
        deltas = tf.cast(tf.gather(deltas, best, batch_dims=1), tf.float32)
        boxes = decode_boxes(deltas, tf.gather(anchors, best, batch_dims=1), ANCHOR_WEIGHTS)
        boxes = clip_boxes_to_image(boxes, size)
        scores = tf.where(has_min_size(boxes, self.min_size) & valid, tf.sigmoid(logits), REMOVED)
        shape = tf.shape(scores)
        images = tf.repeat(tf.range(shape[0]), shape[1])
        kept = grouped_nms(
            tf.reshape(boxes, [-1, 4]), tf.reshape(scores, [-1]), images, tf.zeros_like(images), self.nms_threshold
        )
        return boxes, tf.where(tf.reshape(kept, shape), scores, REMOVED)

    def compute_output_spec(
        self,
        logits: Sequence[keras.KerasTensor],
        deltas: Sequence[keras.KerasTensor],
        anchors: Sequence[keras.KerasTensor],
        valid: Sequence[keras.KerasTensor],
        size: keras.KerasTensor,
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Return the shapes and dtypes of the results."""
        images = logits[0].shape[0]
        return keras.KerasTensor((images, None, 4), "float32"), keras.KerasTensor((images, None), "float32")


class PostprocessDetections(keras.layers.Layer):
    """Convert the outputs of the heads to detections, with boxes in pixels of the original image.

    A class whose score is above the threshold makes a detection with the box of that class, clipped at the edges. NMS
    runs class by class. Then the best detections of each image are kept.

    The layer is called with class logits float32 `[n, r, classes + 1]` (background first), deltas
    `[n, r, 4 (classes + 1)]`, proposals `[n, r, 4]`, their scores `[n, r]`, and size and original size, int32 `[n, 2]`
    (height, width). It returns a dict: boxes float32 `[n, max_detections, 4]`, scores float32 `[n, max_detections]` and
    labels int32 `[n, max_detections]` from 0, best first, zeros (label -1) after the last detection; count int32 `[n]`;
    and the proposals float32 `[n, r, 4]` in pixels of the original image, zeros for padding, so that the RPN can be
    scored by itself.
    """

    in_float32 = True

    def __init__(self, score_threshold: float, nms_threshold: float, max_detections: int, **options: Any) -> None:
        """Initialize the layer.

        Args:
            score_threshold: detections need a higher score than this.
            nms_threshold: NMS removes a detection whose IoU with a better one of the same class is above this.
            max_detections: largest number of detections of an image.
            **options: of `keras.layers.Layer`.
        """
        super().__init__(**options)
        self.score_threshold, self.nms_threshold = score_threshold, nms_threshold
        self.max_detections = max_detections

    def call(
        self,
        class_logits: tf.Tensor,
        deltas: tf.Tensor,
        proposals: tf.Tensor,
        proposal_scores: tf.Tensor,
        size: tf.Tensor,
        original_size: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Make the detections."""
        classes = class_logits.shape[-1] - 1
        images, rows = tf.shape(proposals)[0], tf.shape(proposals)[1]
        scores = tf.nn.softmax(tf.cast(class_logits, tf.float32))[..., 1:]
        deltas = tf.reshape(tf.cast(deltas, tf.float32), [images, rows, classes + 1, 4])[:, :, 1:]
        boxes = clip_boxes_to_image(decode_boxes(deltas, tf.expand_dims(proposals, 2), PROPOSAL_WEIGHTS), size)
        is_candidate = (scores > self.score_threshold) & has_min_size(boxes, MIN_DETECTION_SIZE)
        is_proposal = tf.expand_dims(proposal_scores >= 0.0, 2)
        scores = tf.where(is_candidate & is_proposal, scores, REMOVED)
        boxes, scores = tf.reshape(boxes, [images, -1, 4]), tf.reshape(scores, [images, -1])
        candidates = rows * classes
        kept = grouped_nms(
            tf.reshape(boxes, [-1, 4]),
            tf.reshape(scores, [-1]),
            tf.repeat(tf.range(images), candidates),
            tf.tile(tf.range(classes), [images * rows]),
            self.nms_threshold,
        )
        scores = tf.where(tf.reshape(kept, [images, candidates]), scores, REMOVED)
        # Padding, so that there are always enough candidates.
        scores = tf.pad(scores, [[0, 0], [0, self.max_detections]], constant_values=REMOVED)
        best, scores = _top_k(scores, self.max_detections)
        is_detection = scores > 0.0
        best = tf.minimum(best, candidates - 1)
        boxes = _to_original_size(tf.gather(boxes, best, batch_dims=1), size, original_size)
        return {
            "boxes": tf.where(tf.expand_dims(is_detection, 2), boxes, 0.0),
            "scores": tf.where(is_detection, scores, 0.0),
            "labels": tf.where(is_detection, best % classes, -1),
            "count": tf.reduce_sum(tf.cast(is_detection, tf.int32), -1),
            "proposals": tf.where(is_proposal, _to_original_size(proposals, size, original_size), 0.0),
        }

    def compute_output_spec(
        self,
        class_logits: keras.KerasTensor,
        deltas: keras.KerasTensor,
        proposals: keras.KerasTensor,
        proposal_scores: keras.KerasTensor,
        size: keras.KerasTensor,
        original_size: keras.KerasTensor,
    ) -> dict[str, keras.KerasTensor]:
        """Return the shapes and dtypes of the results."""
        images = class_logits.shape[0]
        return {
            "boxes": keras.KerasTensor((images, self.max_detections, 4), "float32"),
            "scores": keras.KerasTensor((images, self.max_detections), "float32"),
            "labels": keras.KerasTensor((images, self.max_detections), "int32"),
            "count": keras.KerasTensor((images,), "int32"),
            "proposals": keras.KerasTensor((images, None, 4), "float32"),
        }


def _top_k(scores: tf.Tensor, count: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the indices of the `count` largest scores of `[n, a]`, the largest first, and these scores."""
    best = top_k_indices(scores, count)
    scores, order = tf.math.top_k(tf.gather(scores, best, batch_dims=1), count)
    return tf.gather(best, order, batch_dims=1), scores


def _to_original_size(boxes: tf.Tensor, size: tf.Tensor, original_size: tf.Tensor) -> tf.Tensor:
    """Scale boxes `[n, d, 4]` from images of `size` to images of `original_size`, int32 `[n, 2]`, and clip them."""
    ratio = (tf.cast(original_size, tf.float32) / tf.cast(tf.maximum(size, 1), tf.float32))[:, ::-1]
    return clip_boxes_to_image(boxes * tf.expand_dims(tf.tile(ratio, [1, 2]), 1), original_size)
