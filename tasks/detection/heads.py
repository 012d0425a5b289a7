"""The second stage: the class of each proposal, and its box (Girshick 2015, Fast R-CNN)."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from retinue.tasks.detection.box_coding import PROPOSAL_WEIGHTS, encode_boxes
from retinue.tasks.detection.matching import IGNORED, PADDING_LABEL, POSITIVE, match
from retinue.tasks.detection.sampling import sample

FIRST_BOX_NUMBER = 1 << 24  # in sampling, the number of the first annotated box; proposals have smaller numbers


class ProposalSampler(layers.Layer):
    """Match proposals with the annotated boxes, and sample those that enter the losses.

    The annotated boxes are candidates as well. The layer is called with proposals float32 `[n, r, 4]`, their scores
    float32 `[n, r]`, boxes float32 `[n, m, 4]`, labels int32 `[n, m]` and seed int32 `[n, 2]`. It returns a dict:
    proposals float32 `[n, s, 4]`, labels int32 `[n, s]` (0 is background, class c is c + 1), targets float32
    `[n, s, 4]` (encoded boxes) and weights float32 `[n, s]` (0 where there were too few candidates).
    """

    in_float32 = True

    def __init__(
        self,
        batch_size_per_image: int,
        positive_fraction: float,
        fg_iou: float,
        bg_iou_low: float = 0.0,
        **options: Any,
    ) -> None:
        """Initialize the layer.

        Args:
            batch_size_per_image: number of proposals of each image.
            positive_fraction: largest fraction of positive proposals among them.
            fg_iou: smallest IoU of a positive proposal with an annotated box. Others are negative.
            bg_iou_low: smallest IoU of a negative proposal (0.1 in the paper on VOC).
            **options: of `keras.layers.Layer`.
        """
        super().__init__(**options)
        self.batch_size_per_image, self.positive_fraction = batch_size_per_image, positive_fraction
        self.fg_iou, self.bg_iou_low = fg_iou, bg_iou_low

    def call(
        self, proposals: tf.Tensor, scores: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Match and sample."""
        boxes = tf.pad(tf.cast(boxes, tf.float32), [[0, 0], [0, 1], [0, 0]])
        labels = tf.pad(labels, [[0, 0], [0, 1]], constant_values=PADDING_LABEL)
        candidates = tf.concat([proposals, boxes], 1)
        is_valid = tf.concat([scores >= 0.0, labels >= 0], 1)
        matched_index, assignment = match(
            candidates, boxes, labels, fg_iou=self.fg_iou, bg_iou=self.fg_iou, bg_iou_low=self.bg_iou_low
        )
        assignment = tf.where(is_valid, assignment, IGNORED)
        # The number of a proposal is its rank. How many proposals there are may depend on the padding, so the numbers
        # of the annotated boxes start at a fixed value.
        proposal_numbers = tf.range(tf.shape(proposals)[1])
        numbers = tf.concat([proposal_numbers, FIRST_BOX_NUMBER + tf.range(tf.shape(boxes)[1])], 0)
        max_positives = max(int(self.batch_size_per_image * self.positive_fraction), 1)
        # The seed differs from that of the anchors.
        sampled, weights = sample(assignment, numbers[None], seed + [0, 1], self.batch_size_per_image, max_positives)
        chosen = tf.gather(candidates, sampled, batch_dims=1)
        matched_index = tf.gather(matched_index, sampled, batch_dims=1)
        is_positive = tf.gather(assignment, sampled, batch_dims=1) == POSITIVE
        targets = encode_boxes(tf.gather(boxes, matched_index, batch_dims=1), chosen, PROPOSAL_WEIGHTS)
        return {
            "proposals": tf.stop_gradient(chosen),
            "labels": tf.where(is_positive, tf.gather(labels, matched_index, batch_dims=1) + 1, 0),
            "targets": tf.stop_gradient(targets),
            "weights": weights,
        }

    def compute_output_spec(
        self,
        proposals: keras.KerasTensor,
        scores: keras.KerasTensor,
        boxes: keras.KerasTensor,
        labels: keras.KerasTensor,
        seed: keras.KerasTensor,
    ) -> dict[str, keras.KerasTensor]:
        """Return the shapes and dtypes of the results."""
        values, of_boxes = (seed.shape[0], None), (seed.shape[0], None, 4)
        return {
            "proposals": keras.KerasTensor(of_boxes, "float32"),
            "labels": keras.KerasTensor(values, "int32"),
            "targets": keras.KerasTensor(of_boxes, "float32"),
            "weights": keras.KerasTensor(values, "float32"),
        }


class MergeProposalsIntoBatch(layers.Layer):
    """Put the proposals of all images into the batch axis: `[n, r, h, w, c]` -> `[n r, h, w, c]`."""

    def call(self, pooled: tf.Tensor) -> tf.Tensor:
        """Reshape."""
        return tf.reshape(pooled, [-1, *pooled.shape[2:]])

    def compute_output_spec(self, pooled: keras.KerasTensor) -> keras.KerasTensor:
        """Return the shape and dtype of the result."""
        return keras.KerasTensor((None, *pooled.shape[2:]), pooled.dtype)


class SplitProposalsFromBatch(layers.Layer):
    """Split the batch axis into images and proposals again, and flatten the features: `[n r, ...]` -> `[n, r, c]`.

    It is called with the features and any tensor of shape `[n, r, ...]`.
    """

    def call(self, features: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        """Reshape."""
        shape = tf.shape(like)
        return tf.reshape(features, [shape[0], shape[1], _feature_count(features)])

    def compute_output_spec(self, features: keras.KerasTensor, like: keras.KerasTensor) -> keras.KerasTensor:
        """Return the shape and dtype of the result."""
        return keras.KerasTensor((*like.shape[:2], _feature_count(features)), features.dtype)


def _feature_count(features: tf.Tensor | keras.KerasTensor) -> int:
    """Return the product of all sides but the first."""
    count = 1
    for side in features.shape[1:]:
        count *= side
    return count


def two_mlp_head(pooled: Any, units: int) -> Any:
    """Add the head of FPN (Lin et al. 2016, section 5.2): two fully connected layers with ReLU.

    Args:
        pooled: float32 `[n, r, h, w, c]`, what RoIAlign returns.
        units: number of units of each layer.

    Returns:
        float32 `[n, r, units]`.
    """
    x = SplitProposalsFromBatch(name="head_flat")(MergeProposalsIntoBatch(name="head_each")(pooled), pooled)
    for name in ("head_fc6", "head_fc7"):
        x = layers.Dense(units, activation="relu", kernel_initializer="he_uniform", name=name)(x)
    return x


def backbone_tail_head(pooled: Any, tail: Callable[[Any], Any]) -> Any:
    """Apply the last layers of the backbone to each proposal, and average over all positions.

    Args:
        pooled: float32 `[n, r, h, w, c]`, what RoIAlign returns.
        tail: function from a Keras tensor `[n r, h, w, c]` to `[n r, h', w', c']`.

    Returns:
        float32 `[n, r, c']`.
    """
    x = tail(MergeProposalsIntoBatch(name="head_each")(pooled))
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    return SplitProposalsFromBatch(name="head_flat")(x, pooled)


def box_predictor(features: Any, classes: int) -> tuple[Any, Any]:
    """Add the two outputs of the second stage.

    They are initialized as in Girshick 2015, section 3.1: N(0, 0.01) and N(0, 0.001).

    Args:
        features: float32 `[n, r, c]`.
        classes: number of classes without the background.

    Returns:
        Class logits `[n, r, classes + 1]` and deltas `[n, r, 4 (classes + 1)]`, background first.
    """
    normal = keras.initializers.RandomNormal
    logits = layers.Dense(classes + 1, kernel_initializer=normal(stddev=0.01), name="head_classes")(features)
    deltas = layers.Dense(4 * (classes + 1), kernel_initializer=normal(stddev=0.001), name="head_boxes")(features)
    return logits, deltas
