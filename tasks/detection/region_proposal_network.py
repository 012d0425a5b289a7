"""The region proposal network (RPN): at each position, for each anchor, is there an object, and where?

Ren et al. 2015, section 3.1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from retinue.tasks.detection.anchors import grid_anchors, inside_image
from retinue.tasks.detection.box_coding import ANCHOR_WEIGHTS, encode_boxes
from retinue.tasks.detection.matching import IGNORED, POSITIVE, match
from retinue.tasks.detection.padding import MaskPadding, round_up
from retinue.tasks.detection.sampling import sample


def region_proposal_network(
    maps: Mapping[int, Any], anchor_count: int, objectness: str, size: Any, size_divisor: int
) -> tuple[list[Any], list[Any]]:
    """Add the network of section 3.1: a 3x3 convolution, then the objectness and four deltas of each anchor.

    Args:
        maps: dict from stride to float32 `[n, h, w, c]`, with equal c. All maps share the weights.
        anchor_count: k, the number of anchors at each position.
        objectness: "softmax" for two outputs per anchor (background, object), as in the paper; "sigmoid" for one, as in
            torchvision. The one output equals the difference of the two, so both have the same functions and losses.
        size: int32 `[n, 2]`, height and width of the images in pixels.
        size_divisor: see padding.py.

    Returns:
        Two lists with one tensor for each map: logits `[n, h, w, k]` and deltas `[n, h, w, 4 k]`.
    """
    channels = next(iter(maps.values())).shape[-1]
    normal = keras.initializers.RandomNormal(stddev=0.01)
    convolution = layers.Conv2D(
        channels, 3, padding="same", activation="relu", kernel_initializer=normal, name="rpn_conv"
    )
    outputs = 2 if objectness == "softmax" else 1
    to_logits = layers.Conv2D(outputs * anchor_count, 1, kernel_initializer=normal, name="rpn_objectness")
    to_deltas = layers.Conv2D(4 * anchor_count, 1, kernel_initializer=normal, name="rpn_deltas")
    difference = ObjectnessDifference(name="rpn_difference")
    logits, deltas = [], []
    for stride, feature_map in maps.items():
        masked = MaskPadding(stride, size_divisor, name=f"rpn_mask_{stride}")(feature_map, size)
        features = convolution(masked)
        scores = to_logits(features)
        logits.append(difference(scores) if objectness == "softmax" else scores)
        deltas.append(to_deltas(features))
    return logits, deltas


class ObjectnessDifference(layers.Layer):
    """Compute the logit of a softmax over pairs (background, object): `[n, h, w, 2 k]` -> `[n, h, w, k]`."""

    def call(self, scores: tf.Tensor) -> tf.Tensor:
        """Subtract the background's scores from the objects'."""
        return scores[..., 1::2] - scores[..., 0::2]


class GridAnchors(layers.Layer):
    """Make the anchors of all levels, and bring the outputs of the RPN into their order.

    It is called with the logits and deltas of `region_proposal_network` and the sizes of the images, int32 `[n, 2]`.
    It returns four lists with one tensor for each level: logits `[n, a]`, deltas `[n, a, 4]`, anchors
    float32 `[n, a, 4]`, and bool `[n, a]`, whether the anchor is in the valid part of the map.
    """

    in_float32 = True

    def __init__(
        self, cell_anchors: Sequence[np.ndarray], strides: Sequence[int], size_divisor: int, **options: Any
    ) -> None:
        """Initialize the layer.

        Args:
            cell_anchors: the anchors around (0, 0) of each level, float32 `[k, 4]`.
            strides: strides of the levels in pixels.
            size_divisor: see padding.py.
            **options: of `keras.layers.Layer`.
        """
        super().__init__(**options)
        self.cell_anchors, self.strides, self.size_divisor = cell_anchors, tuple(strides), size_divisor

    def call(
        self, logits: Sequence[tf.Tensor], deltas: Sequence[tf.Tensor], size: tf.Tensor
    ) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """Make the four lists."""
        valid_size = round_up(size, self.size_divisor)
        all_logits, all_deltas, all_anchors, all_valid = [], [], [], []
        levels = zip(self.cell_anchors, self.strides, logits, deltas, strict=True)
        for cell_anchors, stride, level_logits, level_deltas in levels:
            shape = tf.shape(level_logits)
            cells = -(-valid_size // stride)  # rounded up, because the pooled level is if the one before it is odd
            anchors, valid = grid_anchors(cell_anchors, shape[1], shape[2], cells[:, 0], cells[:, 1], valid_size)
            all_logits.append(tf.reshape(level_logits, [shape[0], -1]))
            all_deltas.append(tf.reshape(level_deltas, [shape[0], -1, 4]))
            all_anchors.append(anchors)
            all_valid.append(valid)
        return all_logits, all_deltas, all_anchors, all_valid

    def compute_output_spec(
        self, logits: Sequence[keras.KerasTensor], deltas: Sequence[keras.KerasTensor], size: keras.KerasTensor
    ) -> tuple[list[keras.KerasTensor], ...]:
        """Return the shapes and dtypes of the four lists."""
        images = size.shape[0]

        def each_level(shape: tuple[int | None, ...], dtype: str) -> list[keras.KerasTensor]:
            return [keras.KerasTensor((images, *shape), dtype) for _ in logits]

        boxes = (None, 4)
        return (
            each_level((None,), "float32"),
            each_level(boxes, "float32"),
            each_level(boxes, "float32"),
            each_level((None,), "bool"),
        )


class AnchorSampler(layers.Layer):
    """Match the anchors with the annotated boxes, and sample those that enter the losses.

    It is called with the four lists of `GridAnchors`, size int32 `[n, 2]`, boxes float32 `[n, m, 4]`, labels int32
    `[n, m]` and seed int32 `[n, 2]`. It returns a dict of float32 tensors: logits `[n, s]`, deltas `[n, s, 4]`,
    is_positive `[n, s]`, targets `[n, s, 4]` (encoded boxes) and weights `[n, s]` (0 where there were too few anchors).
    """

    in_float32 = True

    def __init__(
        self,
        batch_size_per_image: int,
        positive_fraction: float,
        fg_iou: float,
        bg_iou: float,
        train_on_boundary_anchors: bool = True,
        **options: Any,
    ) -> None:
        """Initialize the layer.

        Args:
            batch_size_per_image: number of anchors of each image.
            positive_fraction: largest fraction of positive anchors among them.
            fg_iou: smallest IoU of a positive anchor with an annotated box.
            bg_iou: upper limit (exclusive) of the IoU of a negative anchor.
            train_on_boundary_anchors: whether to sample anchors that cross the boundary of the image. The paper does
                not.
            **options: of `keras.layers.Layer`.
        """
        super().__init__(**options)
        self.batch_size_per_image, self.positive_fraction = batch_size_per_image, positive_fraction
        self.fg_iou, self.bg_iou = fg_iou, bg_iou
        self.train_on_boundary_anchors = train_on_boundary_anchors

    def call(
        self,
        logits: Sequence[tf.Tensor],
        deltas: Sequence[tf.Tensor],
        anchors: Sequence[tf.Tensor],
        valid: Sequence[tf.Tensor],
        size: tf.Tensor,
        boxes: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Match and sample."""
        all_logits, all_deltas, all_anchors = (tf.concat(levels, 1) for levels in (logits, deltas, anchors))
        is_candidate = tf.concat(valid, 1)
        if not self.train_on_boundary_anchors:
            is_candidate &= inside_image(all_anchors, size)
        boxes = tf.cast(boxes, tf.float32)
        # An anchor that is left out must not be the best match of a box either.
        candidates = tf.where(is_candidate[..., None], all_anchors, 0.0)
        matched_index, assignment = match(
            candidates, boxes, labels, fg_iou=self.fg_iou, bg_iou=self.bg_iou, allow_low_quality_matches=True
        )
        assignment = tf.where(is_candidate, assignment, IGNORED)
        numbers = tf.cumsum(tf.cast(is_candidate, tf.int32), axis=1)  # anchors in the padding are not counted
        max_positives = max(int(self.batch_size_per_image * self.positive_fraction), 1)
        sampled, weights = sample(assignment, numbers, seed, self.batch_size_per_image, max_positives)
        padded = tf.pad(boxes, [[0, 0], [0, 1], [0, 0]])
        matched = tf.gather(padded, tf.gather(matched_index, sampled, batch_dims=1), batch_dims=1)
        targets = encode_boxes(matched, tf.gather(all_anchors, sampled, batch_dims=1), ANCHOR_WEIGHTS)
        return {
            "logits": tf.cast(tf.gather(all_logits, sampled, batch_dims=1), tf.float32),
            "deltas": tf.cast(tf.gather(all_deltas, sampled, batch_dims=1), tf.float32),
            "is_positive": tf.cast(tf.gather(assignment, sampled, batch_dims=1) == POSITIVE, tf.float32),
            "targets": tf.stop_gradient(targets),
            "weights": weights,
        }

    def compute_output_spec(
        self,
        logits: Sequence[keras.KerasTensor],
        deltas: Sequence[keras.KerasTensor],
        anchors: Sequence[keras.KerasTensor],
        valid: Sequence[keras.KerasTensor],
        size: keras.KerasTensor,
        boxes: keras.KerasTensor,
        labels: keras.KerasTensor,
        seed: keras.KerasTensor,
    ) -> dict[str, keras.KerasTensor]:
        """Return the shapes and dtypes of the results."""
        values, of_boxes = (seed.shape[0], None), (seed.shape[0], None, 4)
        shapes = {
            "logits": values,
            "deltas": of_boxes,
            "is_positive": values,
            "targets": of_boxes,
            "weights": values,
        }
        return {name: keras.KerasTensor(shape, "float32") for name, shape in shapes.items()}
