"""One box of a detector as what is explained.

Boxes move when a picture changes, and suppression chooses among them, so neither has a useful gradient. What is asked
is what Fast R-CNN's head is asked: how much is this proposal of the class? The proposal that the box came from is held,
and the detector becomes a classifier of it, which every method for classifiers takes.
"""

import keras
import numpy as np
import tensorflow as tf

from retinue.tasks.detection.box_coding import PROPOSAL_WEIGHTS, decode
from retinue.tasks.detection.boxes import clip
from retinue.tasks.detection.model import box_classifier
from retinue.tasks.detection.roi_align import levels_of


class ProposalClassifier:
    """A detector, ready to be asked about one box after the other.

    detector: its `TaskModel`. heads: `detection.model.box_classifier` of it. model: a `keras.Model` with its own copy
    of the weights, from image float32 `[n, h, w, 3]`, 0..255 and without padding, to class logits `[n, classes + 1]`,
    background first, of the proposal that `set_proposal` was told. multiple: of it are the sides that `heads` takes.
    """

    def __init__(self, detector):
        self.heads = box_classifier(detector)
        self._align = self.heads.get_layer("roi_align")
        image = keras.Input((None, None, 3), name="picture")
        self.multiple = self._align.multiple
        self._held = ProposalInput(self.multiple, name="held_box")
        made = {}

        def call(operation, *args, **kwargs):
            made[operation.name] = operation(*args, **kwargs)
            return made[operation.name]

        given = self._held(image)
        plain = keras.Model([self.heads.input[name] for name in given], self.heads.output)
        copy = keras.models.clone_model(plain, list(given.values()), clone_function=_copied, call_function=call)
        copy.set_weights(plain.get_weights())
        logits = SelectProposal(name="logits")(made["head_classes"])
        self.model = keras.Model(image, logits, name="proposal_classifier")

    def set_proposal(self, box):
        """From now on `model` is about this proposal: float `[4]`, x1, y1, x2, y2 in pixels of the image."""
        self._held.box.assign(box)

    def default_layer(self, box):
        """The name of the layer whose map the head sees `box` in."""
        level = int(levels_of(tf.constant(box, tf.float32)[None], self._align.strides)[0])
        own = keras.tree.flatten(self.model.get_layer("roi_align").input)[level]
        return next(layer.name for layer in self.model.layers if layer.output is own)


def find_proposal(class_logits, deltas, proposals, size, label, box):
    """Which proposal a detection came from: its row.

    class_logits `[r, classes + 1]`, deltas `[r, 4 (classes + 1)]` and proposals `[r, 4]` are numpy arrays of one image
    of `size` (height, width); label: the detection's class, from 0; box: float `[4]`. All boxes in pixels of the image.
    """
    own = deltas.reshape(len(deltas), class_logits.shape[-1], 4)[:, label + 1]
    boxes = decode(tf.constant(own), tf.constant(proposals), PROPOSAL_WEIGHTS)[None]
    boxes = clip(boxes, tf.constant([size], tf.int32))[0].numpy()
    return int(np.abs(boxes - box).max(axis=-1).argmin())


def _copied(operation):
    """A layer, or an operation, with its own name: some of ours leave that out of their configuration."""
    return type(operation).from_config(operation.get_config() | {"name": operation.name})


class ProposalInput(keras.layers.Layer):
    """From a picture `[n, h, w, 3]` to what `box_classifier` takes: the box that is held, the picture padded below and
    to the right to multiples of `multiple`, and its true size."""

    def __init__(self, multiple, **arguments):
        super().__init__(**arguments)
        self.multiple = multiple

    def build(self, shape):
        self.box = self.add_weight(shape=(4,), initializer="zeros", trainable=False, name="box")

    def call(self, image):
        shape = tf.shape(image)
        missing = -shape[1:3] % self.multiple
        padded = tf.pad(image, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]])
        size = tf.tile(shape[None, 1:3], [shape[0], 1])
        box = tf.tile(tf.convert_to_tensor(self.box)[None, None], [shape[0], 1, 1])
        return {"boxes": box, "image": tf.ensure_shape(padded, [None, None, None, 3]), "size": size}

    def compute_output_spec(self, image):
        count = image.shape[0]
        return {
            "boxes": keras.KerasTensor((count, 1, 4), "float32"),
            "image": keras.KerasTensor((count, None, None, 3), "float32"),
            "size": keras.KerasTensor((count, 2), "int32"),
        }


class SelectProposal(keras.layers.Layer):
    """Logits `[n, 1, classes]` of the only box of each image as `[n, classes]`."""

    def call(self, logits):
        return logits[:, 0]
