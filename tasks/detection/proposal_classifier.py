"""A detector as a classifier of one fixed proposal, so that the methods for classifiers can explain one box.

Boxes move when an image changes, and non-maximum suppression selects among them, so neither has a useful gradient. The
question is therefore the one that the head of Fast R-CNN answers: which class does this proposal have? The proposal
that the box came from is fixed.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from retinue.tasks.detection.box_coding import PROPOSAL_WEIGHTS, decode_boxes
from retinue.tasks.detection.boxes import clip_boxes_to_image
from retinue.tasks.detection.model import box_classifier
from retinue.tasks.detection.roi_align import assign_levels


class ProposalClassifier:
    """A detector as a classifier of one proposal after the other.

    Attributes:
        heads: `detection.model.box_classifier` of the detector.
        model: A `keras.Model` with its own copy of the weights. Input: image float32 `[n, h, w, 3]`, 0..255, without
            padding. Output: class logits `[n, classes + 1]`, background first, of the proposal that `set_proposal` was
            given.
        multiple: The sides of the images that `heads` takes are multiples of this.
    """

    def __init__(self, detector: keras.Model) -> None:
        """Build the classifier.

        Args:
            detector: The `TaskModel` of a detector.
        """
        self.heads = box_classifier(detector)
        self._roi_align = self.heads.get_layer("roi_align")
        image = keras.Input((None, None, 3), name="image")
        self.multiple = self._roi_align.size_divisor
        self._proposal_input = ProposalInput(self.multiple, name="proposal_input")
        outputs: dict[str, Any] = {}

        def call_and_record(operation: Any, *args: Any, **kwargs: Any) -> Any:
            outputs[operation.name] = operation(*args, **kwargs)
            return outputs[operation.name]

        inputs = self._proposal_input(image)
        plain = keras.Model([self.heads.input[name] for name in inputs], self.heads.output)
        copy = keras.models.clone_model(
            plain, list(inputs.values()), clone_function=_copy_with_name, call_function=call_and_record
        )
        copy.set_weights(plain.get_weights())
        logits = SelectProposal(name="logits")(outputs["head_classes"])
        self.model = keras.Model(image, logits, name="proposal_classifier")

    def set_proposal(self, box: np.ndarray | Sequence[float]) -> None:
        """Fix the proposal that `model` classifies.

        Args:
            box: float `[4]`, x1, y1, x2, y2 in pixels of the image.
        """
        self._proposal_input.box.assign(box)

    def default_layer(self, box: np.ndarray | Sequence[float]) -> str:
        """Return the name of the layer from whose feature map the head pools `box`.

        Args:
            box: float `[4]`, x1, y1, x2, y2 in pixels of the image.
        """
        level = int(assign_levels(tf.constant(box, tf.float32)[None], self._roi_align.strides)[0])
        feature_map = keras.tree.flatten(self.model.get_layer("roi_align").input)[level]
        return next(layer.name for layer in self.model.layers if layer.output is feature_map)


def find_proposal(
    class_logits: np.ndarray,
    deltas: np.ndarray,
    proposals: np.ndarray,
    size: Sequence[int] | np.ndarray,
    label: int,
    box: np.ndarray,
) -> int:
    """Find the proposal of one image that a detection came from.

    Args:
        class_logits: `[r, classes + 1]`, background first.
        deltas: `[r, 4 (classes + 1)]`, the box regression of each class.
        proposals: `[r, 4]`, x1, y1, x2, y2 in pixels of the image.
        size: (height, width) of the image in pixels.
        label: Class index of the detection, from 0 and without background.
        box: float `[4]`, the detected box, x1, y1, x2, y2 in pixels of the image.

    Returns:
        The index of the proposal.
    """
    own = deltas.reshape(len(deltas), class_logits.shape[-1], 4)[:, label + 1]
    boxes = decode_boxes(tf.constant(own), tf.constant(proposals), PROPOSAL_WEIGHTS)[None]
    boxes = clip_boxes_to_image(boxes, tf.constant([size], tf.int32))[0].numpy()
    return int(np.abs(boxes - box).max(axis=-1).argmin())


def _copy_with_name(operation: Any) -> Any:
    """Copy a layer or operation with its name, which some operations leave out of their configuration."""
    return type(operation).from_config(operation.get_config() | {"name": operation.name})


class ProposalInput(keras.layers.Layer):
    """Turn an image `[n, h, w, 3]` into the inputs of `box_classifier`.

    The outputs are the fixed proposal ("boxes"), the image padded below and to the right to multiples of `multiple`
    ("image"), and the size of the image before padding ("size").
    """

    def __init__(self, multiple: int, **arguments: Any) -> None:
        """Set the padding.

        Args:
            multiple: The sides of the padded image are multiples of this.
            **arguments: Arguments of `keras.layers.Layer`.
        """
        super().__init__(**arguments)
        self.multiple = multiple

    def build(self, input_shape: Any) -> None:
        """Create the variable that holds the proposal; Keras calls this."""
        self.box = self.add_weight(shape=(4,), initializer="zeros", trainable=False, name="box")

    def call(self, image: Any) -> dict[str, Any]:
        """Return {"boxes": `[n, 1, 4]`, "image": `[n, h', w', 3]`, "size": int32 `[n, 2]`}."""
        shape = tf.shape(image)
        missing = -shape[1:3] % self.multiple
        padded = tf.pad(image, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]])
        size = tf.tile(shape[None, 1:3], [shape[0], 1])
        box = tf.tile(tf.convert_to_tensor(self.box)[None, None], [shape[0], 1, 1])
        return {"boxes": box, "image": tf.ensure_shape(padded, [None, None, None, 3]), "size": size}

    def compute_output_spec(self, image: Any) -> dict[str, Any]:
        """Return the shapes and dtypes of the outputs; Keras calls this."""
        count = image.shape[0]
        return {
            "boxes": keras.KerasTensor((count, 1, 4), "float32"),
            "image": keras.KerasTensor((count, None, None, 3), "float32"),
            "size": keras.KerasTensor((count, 2), "int32"),
        }


class SelectProposal(keras.layers.Layer):
    """Select the logits `[n, classes]` of the only proposal of each image from `[n, 1, classes]`."""

    def call(self, logits: Any) -> Any:
        """Return the logits without the axis of proposals."""
        return logits[:, 0]
