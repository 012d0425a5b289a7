"""A detector to explain: one of the boxes that it finds."""

import functools

import cv2
import numpy as np
import tensorflow as tf

from retinue.explain.proposal_classifier import ProposalClassifier, find_proposal
from retinue.pipeline.explaining.explanation_request import (
    ExplanationRequest,
    NothingToExplain,
    class_index,
    cover_of,
    refuse,
)
from retinue.pipeline.runtimes import runtimes, tensorflow_runtime
from retinue.pipeline.runtimes.batching import stack_inputs

LISTED = 8  # boxes named to a user who asked for one that is not there
AT_ONCE = 1_500_000  # pixels that the detector sees in one call


class Detector:
    """Explains one box, by `explain.proposal_classifier.ProposalClassifier`; else as `explained.ClassifierExplainer`.

    name: what it is called on the screen; task: `Detection`; detector: its `TaskModel`.
    """

    makes_class_images = is_video = False

    def __init__(self, name, task, detector):
        self.name, self.classes, self._task = name, task.classes, task
        self._proposal_classifier = ProposalClassifier(detector)
        self.model = self._proposal_classifier.model
        inference = task.inference(detector)
        self._find = tensorflow_runtime.TensorFlowRuntime(tensorflow_runtime.trace(inference), inference)

    def check(self, wanted):
        """As `ClassifierExplainer.check`."""
        refuse(self.name, "detection", point=wanted.point)
        if wanted.class_name is not None:
            class_index(wanted.class_name, self.classes, self.name)

    def prepare(self, photo):
        """The photo, uint8 `[h, w, 3]`, as the detector sees it, without padding: float32 `[h', w', 3]`."""
        prepared = self._task.prepare(photo)
        height, width = prepared["size"].numpy()
        return prepared["image"].numpy()[:height, :width].astype(np.float32)

    def ask(self, photo, image, wanted):
        """The `ExplanationRequest` about one box: the best one, or the N-th of all or of a class.

        Raises NothingToExplain where there is no such box.
        """
        prepared = {name: value.numpy() for name, value in self._task.prepare(photo).items()}
        size = prepared["size"]
        found = {
            name: value[0] for name, value in self._find(stack_inputs([prepared | {"original_size": size}])).items()
        }
        rows = [row for row in range(found["count"]) if self._is_wanted(found["labels"][row], wanted)]
        number = 1 if wanted.box is None else wanted.box
        if not 1 <= number <= len(rows):
            raise NothingToExplain(self._said_of_none(found, rows, wanted))
        row = rows[number - 1]
        label, score, box = int(found["labels"][row]), float(found["scores"][row]), found["boxes"][row]
        proposal = self._proposal(image, found, row)
        self._proposal_classifier.set_proposal(proposal)
        height, width = size
        ratio = np.array([photo.shape[1] / width, photo.shape[0] / height] * 2)
        own = [round(float(side), 1) for side in box * ratio]
        name = self.classes[label]
        words = f"{name}, {score:.1%}, at ({own[0]:.0f}, {own[1]:.0f})-({own[2]:.0f}, {own[3]:.0f})"
        words += f", box {number} of {len(rows)}"
        return ExplanationRequest(
            name,
            score,
            words,
            label + 1,
            functools.partial(self._predict, proposal),
            label + 1,
            self._proposal_classifier.default_layer(proposal),
            cover_of(box, image.shape),
            _filled(own, photo.shape),
            {"box": own},
        )

    def place(self, found, shape):
        """A map of the detector's picture on the photo of `shape`: float32 `[h, w, ...]`."""
        return cv2.resize(found, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)

    def _is_wanted(self, label, wanted):
        return wanted.class_name is None or label == class_index(wanted.class_name, self.classes, self.name)

    def _proposal(self, image, found, row):
        proposals = found["proposals"][found["proposals"].any(-1)]
        heads = self._heads({"image": self._padded(image[None]), "size": _sizes(image[None]), "boxes": proposals[None]})
        place = find_proposal(
            heads["class_logits"][0], heads["deltas"][0], proposals, image.shape[:2], found["labels"][row],
            found["boxes"][row],
        )  # fmt: skip
        return proposals[place]

    def _predict(self, proposal, images):
        """float32 `[m, h, w, 3]` -> probabilities of the proposal float32 `[m, classes + 1]`, background first."""
        parts, step = [], max(1, AT_ONCE // (images.shape[1] * images.shape[2]))
        for first in range(0, len(images), step):
            part = np.asarray(images[first : first + step], np.float32)
            boxes = np.broadcast_to(proposal, (len(part), 1, 4)).astype(np.float32)
            parts.append(
                self._heads({"image": self._padded(part), "size": _sizes(part), "boxes": boxes})["class_logits"][:, 0]
            )
        return tf.nn.softmax(np.concatenate(parts)).numpy()

    def _padded(self, images):
        height, width = (-side % self._proposal_classifier.multiple for side in images.shape[1:3])
        return np.pad(images, ((0, 0), (0, height), (0, width), (0, 0)))

    @functools.cached_property
    def _heads(self):
        runtime, precision, _ = runtimes.choose()
        heads = self._proposal_classifier.heads
        return runtimes.start(tensorflow_runtime.trace(heads), heads, runtime, precision)

    def _said_of_none(self, found, rows, wanted):
        of_class = "" if wanted.class_name is None else f" of the class {wanted.class_name}"
        if not found["count"]:
            return "nothing is found in it, so there is no box to explain"
        prediction = self._task.postprocess({name: value[None] for name, value in found.items()})[0]
        known = [f"{one['label']} {one['score']:.0%}" for one in prediction["detections"]]
        listed = ", ".join(known[:LISTED]) + (", ..." if len(known) > LISTED else "")
        if not rows:
            return f"no box{of_class} is found in it; what is: {listed}"
        return f"has no box {wanted.box}{of_class}; it has {len(rows)}, from 1 to {len(rows)}"


def _sizes(images):
    return np.full((len(images), 2), images.shape[1:3], np.int32)


def _filled(box, shape):
    """bool `[h, w]`: the pixels of a box."""
    filled = np.zeros(shape[:2], bool)
    left, top, right, bottom = (round(side) for side in box)
    filled[max(top, 0) : max(bottom, top + 1), max(left, 0) : max(right, left + 1)] = True
    return filled
