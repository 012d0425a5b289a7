"""A detector to explain: the class of one of the boxes that it predicts."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from retinue.tasks.detection.proposal_classifier import ProposalClassifier, find_proposal
from retinue.tasks.explainer import (
    PIXELS_PER_CALL,
    CompiledModel,
    CompileModel,
    ExplanationRequest,
    ImageExplainer,
    NothingToExplain,
    TargetSelection,
    occlusion_near,
)

if TYPE_CHECKING:
    from retinue.tasks.detection.task import Detection
    from retinue.tasks.model import TaskModel

MAX_LISTED = 8  # boxes that are named to a user who selects one that does not exist


class DetectionExplainer(ImageExplainer):
    """Explains one predicted box, by `ProposalClassifier`."""

    selections = ("box",)
    classes: tuple[str, ...]

    def __init__(self, name: str, task: "Detection", model: "TaskModel", compile_model: CompileModel) -> None:
        """Prepare the detector.

        Args:
            name: what the model is called in messages.
            task: the task.
            model: what `Detection.build` returned, trained.
            compile_model: makes a Keras model run in the fastest runtime.
        """
        self._proposal_classifier = ProposalClassifier(model)
        super().__init__(name, task.name, task.classes, self._proposal_classifier.model)
        self._task, self._compile_model = task, compile_model
        inference = task.inference(model)
        specs = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in inference.inputs}
        self._detect = tf.function(
            lambda inputs: inference(inputs, training=False), input_signature=[specs], autograph=False
        )

    def prepare(self, original: np.ndarray) -> np.ndarray:
        """Resize an image, uint8 `[h, w, 3]`, as the detector sees it, without padding: float32 `[h', w', 3]`."""
        prepared = self._task.prepare(original)
        height, width = prepared["size"].numpy()
        return prepared["image"].numpy()[:height, :width].astype(np.float32)

    def request(self, original: np.ndarray, image: np.ndarray, selection: TargetSelection) -> ExplanationRequest:
        """Explain one box: the best one, or the N-th of all or of the selected class; see `ImageExplainer.request`."""
        prepared = self._task.prepare(original)
        size = prepared["size"].numpy()
        inputs = {name: tensor[None] for name, tensor in (prepared | {"original_size": prepared["size"]}).items()}
        detected = {name: value.numpy()[0] for name, value in self._detect(inputs).items()}
        rows = [row for row in range(detected["count"]) if self._is_selected(detected["labels"][row], selection)]
        number = 1 if selection.box is None else selection.box
        if not 1 <= number <= len(rows):
            raise NothingToExplain(self._describe_missing(detected, rows, selection))
        row = rows[number - 1]
        label, score, box = int(detected["labels"][row]), float(detected["scores"][row]), detected["boxes"][row]
        proposal = self._proposal(image, detected, row)
        self._proposal_classifier.set_proposal(proposal)
        height, width = size
        ratio = np.array([original.shape[1] / width, original.shape[0] / height] * 2)
        original_box = [round(float(side), 1) for side in box * ratio]
        left, top, right, bottom = original_box
        name = self.class_names[label]
        return ExplanationRequest(
            label=name,
            score=score,
            description=f"{name}, {score:.1%}, at ({left:.0f}, {top:.0f})-({right:.0f}, {bottom:.0f}), box {number} of "
            f"{len(rows)}",
            target=label + 1,
            predict=functools.partial(self._predict, proposal),
            column=label + 1,
            layer=self._proposal_classifier.default_layer(proposal),
            occlusion=occlusion_near(box, image.shape),
            region=_fill_box(original_box, original.shape),
            facts={"box": original_box},
        )

    def _is_selected(self, label: int, selection: TargetSelection) -> bool:
        return selection.class_name is None or label == self.class_index(selection.class_name)

    def _proposal(self, image: np.ndarray, detected: dict[str, Any], row: int) -> np.ndarray:
        """Return the proposal that a detection came from, float32 `[4]`."""
        proposals = detected["proposals"][detected["proposals"].any(-1)]
        padded = self._pad(image[None])
        heads = self._heads({"image": padded, "size": _sizes(image[None]), "boxes": proposals[None]})
        class_logits, deltas = heads["class_logits"][0], heads["deltas"][0]
        label, box = detected["labels"][row], detected["boxes"][row]
        return proposals[find_proposal(class_logits, deltas, proposals, image.shape[:2], label, box)]

    def _predict(self, proposal: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Classify a proposal: images float32 `[m, h, w, 3]` -> float32 `[m, classes + 1]`, background first."""
        logits, batch_size = [], max(1, PIXELS_PER_CALL // (images.shape[1] * images.shape[2]))
        for first in range(0, len(images), batch_size):
            batch = np.asarray(images[first : first + batch_size], np.float32)
            boxes = np.broadcast_to(proposal, (len(batch), 1, 4)).astype(np.float32)
            heads = self._heads({"image": self._pad(batch), "size": _sizes(batch), "boxes": boxes})
            logits.append(heads["class_logits"][:, 0])
        return tf.nn.softmax(np.concatenate(logits)).numpy()

    def _pad(self, images: np.ndarray) -> np.ndarray:
        height, width = (-side % self._proposal_classifier.multiple for side in images.shape[1:3])
        return np.pad(images, ((0, 0), (0, height), (0, width), (0, 0)))

    @functools.cached_property
    def _heads(self) -> CompiledModel:
        return self._compile_model(self._proposal_classifier.heads)

    def _describe_missing(self, detected: dict[str, Any], rows: Sequence[int], selection: TargetSelection) -> str:
        """Say why the selected box does not exist. rows: the boxes of the selected class."""
        of_class = "" if selection.class_name is None else f" of the class {selection.class_name}"
        if not detected["count"]:
            return "the model detects nothing in it, so there is no box to explain"
        prediction = self._task.postprocess({name: value[None] for name, value in detected.items()})[0]
        boxes = [f"{one['label']} {one['score']:.0%}" for one in prediction["detections"]]
        listed = ", ".join(boxes[:MAX_LISTED]) + (", ..." if len(boxes) > MAX_LISTED else "")
        if not rows:
            return f"the model detects no box{of_class} in it; it detects: {listed}"
        return f"it has no box {selection.box}{of_class}; it has {len(rows)}, numbered from 1 to {len(rows)}"


def _sizes(images: np.ndarray) -> np.ndarray:
    return np.full((len(images), 2), images.shape[1:3], np.int32)


def _fill_box(box: Sequence[float], shape: Sequence[int]) -> np.ndarray:
    """Return the pixels of a box as a mask, bool `[h, w]`."""
    mask = np.zeros(shape[:2], bool)
    left, top, right, bottom = (round(side) for side in box)
    mask[max(top, 0) : max(bottom, top + 1), max(left, 0) : max(right, left + 1)] = True
    return mask
