"""What `retinue explain` can open: a run folder, an export, or a backbone by its name, all with one interface."""

import dataclasses
import logging
from pathlib import Path

import cv2
import numpy as np

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.configs.suggestions import did_you_mean
from retinue.data.decoding.resize import resize_geometry, resize_image
from retinue.pipeline.explaining.explanation_request import ExplanationRequest, class_index, refuse
from retinue.pipeline.explaining.probabilities import predictor
from retinue.pipeline.runs.run import Model, open_model
from retinue.pipeline.runtimes import runtimes

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ClassifierExplainer:
    """A classifier to explain, or a backbone without one.

    name: what it is called on the screen. model: `keras.Model` from float32 `[n, s, s, 3]` in 0..255 to logits, or None
    for an export. classes: tuple of names, None where there is no classifier. size: pixels a side. resize_mode: how
    photos are
    brought to that size. predict: function float32 `[n, s, s, 3]` -> probabilities float32 `[n, classes]`, by the
    fastest runtime.
    """

    name: str
    model: object
    classes: tuple
    size: int
    resize_mode: str
    predict: object

    makes_class_images, is_video = True, False

    def check(self, wanted):
        """Raise UsageError for a `ExplanationOptions` that this kind of model has no answer to."""
        refuse(self.name, "classification", box=wanted.box, point=wanted.point)
        if wanted.class_name is not None:
            class_index(wanted.class_name, self.classes, self.name)

    def prepare(self, photo):
        """The photo, uint8 `[h, w, 3]`, as the model sees it: float32 `[s, s, 3]`."""
        return np.asarray(resize_image(photo, self.size, self.resize_mode), np.float32)

    def ask(self, photo, image, wanted):
        """The `ExplanationRequest` about a photo; image: what `prepare` made of it."""
        if self.classes is None:
            return ExplanationRequest()
        scores = self.predict(image[None])[0]
        best = int(scores.argmax())
        target = best if wanted.class_name is None else class_index(wanted.class_name, self.classes, self.name)
        label, score = self.classes[target], float(scores[target])
        words = f"{label}, {score:.1%}"
        if target != best:
            words += f"; its answer is {self.classes[best]}, {scores[best]:.1%}"
        return ExplanationRequest(label, score, words, target, self.predict, target)

    def place(self, found, shape):
        """A map of the model's picture, `[s, s]` or `[s, s, c]`, on the photo of `shape`: float32 `[h, w, ...]`.

        What the model did not see (cut away by the "center_crop" mode) is 0.
        """
        window, inner = resize_geometry(np.array(shape[:2], np.int32), self.size, self.resize_mode)
        left, top, right, bottom = (int(edge) for edge in window)
        height, width = (int(side) for side in inner)
        placed = np.zeros((*shape[:2], *found.shape[2:]), np.float32)
        part = cv2.resize(found[:height, :width], (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        placed[top:bottom, left:right] = part.reshape(placed[top:bottom, left:right].shape)
        return placed


def open_explainer(name, weights=None):
    """What MODEL means: a `ClassifierExplainer`, `explained_boxes.Detector`, `explained_regions.Segmenter` or
    `explained_clips.ClipModel`.

    name: a run folder, an export folder, or the name of a backbone. A folder goes before a name. A `Model` of run.py
    will do, too. weights: of a backbone, see `backbones.load_weights`; by default those of ImageNet.
    Raises UsageError, with the nearest names, for what is none of these, and for an export of what only Keras can
    explain.
    """
    if isinstance(name, Model) or Path(name).exists():
        if weights is not None:
            raise UsageError(f"--weights {weights}: is for a backbone by its name; {name} has weights of its own")
        return (
            _of_folder(name, str(name.folder)) if isinstance(name, Model) else _of_folder(open_model(name), str(name))
        )
    if name not in backbones.names():
        hint = did_you_mean(name, backbones.names())
        raise UsageError(f"{name}: there is no such folder, and no backbone of this name{hint}")
    return _of_backbone(name, "imagenet" if weights is None else weights)


def explainer_of_model(task, model, name="model"):
    """The `ClassifierExplainer` of a classification `Task` and its Keras model in memory."""
    size = task.config.model.input_size
    predict = predictor(model, size, "sigmoid" if task.multi_label else "softmax")
    return ClassifierExplainer(name, model, task.classes, size, task.config.data.resize_mode, predict)


def _of_folder(opened, name):
    if opened.task.name == "classification":
        return (
            explainer_of_model(opened.task, opened.build(), name) if opened.kind == "run" else _of_export(opened, name)
        )
    if opened.kind == "export":
        raise UsageError(
            f"{name}: is an export, which holds no Keras model; to explain a {opened.task.name} model give the run "
            "folder that it came from"
        )
    if opened.task.name == "detection":
        from retinue.pipeline.explaining.detector import Detector

        return Detector(name, opened.task, opened.build())
    if opened.task.name == "segmentation":
        from retinue.pipeline.explaining.segmenter import Segmenter

        return Segmenter(name, opened.task, opened.build())
    from retinue.pipeline.explaining.clip_model import ClipModel

    return ClipModel(name, opened.task, opened.build())


def _of_export(opened, name):
    runtime, precision, _ = runtimes.choose(available=runtimes.available_runtimes(opened))
    runtime = runtimes.load(opened, runtime, precision)

    def predict(images):
        return runtime({"image": np.uint8(np.clip(images, 0, 255) + 0.5)})["scores"]

    # Of ten crops the export makes its own; the picture that it takes is then the larger one that they are cut from.
    side = opened.task.prepare(np.zeros((8, 8, 3), np.uint8))["image"].shape[0]
    return ClassifierExplainer(name, None, opened.classes, int(side), opened.config.data.resize_mode, predict)


def _of_backbone(name, weights):
    from retinue.explain.imagenet_classes import IMAGENET_CLASSES

    row = backbones.find(name)
    size = None if row.any_size else row.input_size
    model = backbones.build(name, weights="none", input_size=size, classifier=True)
    missing = ()
    if weights != "none":
        report = backbones.load_weights(model, weights, name)
        logger.info("%s", report)
        missing = report.missing
    if any(key.startswith(("logits/", "predictions/", "fc6/")) for key in missing):
        trunk = backbones.build(name, weights="none", input_size=size)
        backbones.load_weights(trunk, weights, name)
        last = trunk.output[max(trunk.output)]
        return ClassifierExplainer(name, _single(trunk, last), None, row.input_size, "stretch", None)
    model = _single(model, model.output["logits"])
    count = model.output.shape[-1]
    classes = IMAGENET_CLASSES if count == len(IMAGENET_CLASSES) else tuple(map(str, range(count)))  # LeNet-5's digits
    return ClassifierExplainer(
        name, model, classes, row.input_size, "stretch", predictor(model, row.input_size, "softmax")
    )


def _single(model, output):
    import keras

    return keras.Model(model.input, output, name=model.name)
