"""What `retinue explain` can open: a run folder, an export, or a backbone by its name, all with one interface."""

import dataclasses
import difflib
import logging
from pathlib import Path

import cv2
import numpy as np

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.data.resize import plain_window, resize_image
from retinue.pipeline import runtimes
from retinue.pipeline.run import Model, open_model

log = logging.getLogger("retinue")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A classifier to explain.

    name: what it is called on the screen. model: `keras.Model` from float32 `[n, s, s, 3]` in 0..255 to logits, or None
    for an export. classes: tuple of names, None where there is no classifier. size: pixels a side. fit: how photos are
    brought to that size. predict: function float32 `[n, s, s, 3]` -> probabilities float32 `[n, classes]`, by the
    fastest runtime.
    """

    name: str
    model: object
    classes: tuple
    size: int
    fit: str
    predict: object

    def prepare(self, photo):
        """The photo, uint8 `[h, w, 3]`, as the model sees it: float32 `[s, s, 3]`."""
        return np.asarray(resize_image(photo, self.size, self.fit), np.float32)

    def place(self, found, shape):
        """A map of the model's picture, `[s, s]` or `[s, s, c]`, on the photo of `shape`: float32 `[h, w, ...]`.

        What the model did not see (cut away by the "crop" fit) is 0.
        """
        window, inner = plain_window(np.array(shape[:2], np.int32), self.size, self.fit)
        left, top, right, bottom = (int(edge) for edge in window)
        height, width = (int(side) for side in inner)
        placed = np.zeros((*shape[:2], *found.shape[2:]), np.float32)
        part = cv2.resize(found[:height, :width], (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        placed[top:bottom, left:right] = part.reshape(placed[top:bottom, left:right].shape)
        return placed

    def index_of(self, name):
        """The class called `name`, whatever the case. Raises UsageError with the nearest names."""
        if self.classes is None:
            raise UsageError(f"{self.name}: has no classifier, so there is no class to explain")
        lower = [known.lower() for known in self.classes]
        if name.lower() in lower:
            return lower.index(name.lower())
        near = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
        near += [known for known in lower if name.lower() in known and known not in near][:3]
        known = ", ".join(self.classes[:20]) + (", ..." if len(self.classes) > 20 else "")
        near = [self.classes[lower.index(one)] for one in near]
        hint = f"did you mean {' or '.join(near)}?" if near else f"it knows {known}"
        raise UsageError(f"--class {name}: {self.name} has no such class; {hint}")


def open_subject(name):
    """The `Subject` that MODEL means: a run folder, an export folder, or the name of a backbone, with its ImageNet
    weights. A folder goes before a name. A `Model` of run.py will do, too.

    Raises UsageError, with the nearest names, for what is none of these, and for models of other tasks.
    """
    if isinstance(name, Model):
        return _of_folder(name, str(name.folder))
    if Path(name).exists():
        return _of_folder(open_model(name), str(name))
    if name not in backbones.names():
        near = difflib.get_close_matches(name, backbones.names(), n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"{name}: there is no such folder, and no backbone of this name{hint}")
    return _of_backbone(name)


def subject_of(task, model, name="model"):
    """The `Subject` of a classification `Task` and its Keras model in memory."""
    size = task.config.model.input_size
    predict = _predictor(model, size, "sigmoid" if task.multi_label else "softmax")
    return Subject(name, model, task.classes, size, task.config.data.fit, predict)


def _of_folder(opened, name):
    if opened.task.name != "classification":
        raise UsageError(f"{name}: is a {opened.task.name} model; the command explains classification models")
    if opened.kind == "run":
        return subject_of(opened.task, opened.build(), name)
    runtime, precision, _ = runtimes.choose(offered=runtimes.offered(opened))
    runtime = runtimes.load(opened, runtime, precision)

    def predict(images):
        return runtime({"image": np.uint8(np.clip(images, 0, 255) + 0.5)})["scores"]

    # Of ten crops the export makes its own; the picture that it takes is then the larger one that they are cut from.
    side = opened.task.prepare(np.zeros((8, 8, 3), np.uint8))["image"].shape[0]
    return Subject(name, None, opened.classes, int(side), opened.config.data.fit, predict)


def _of_backbone(name):
    from retinue.explain.imagenet_classes import IMAGENET_CLASSES

    row = backbones.find(name)
    size = None if row.any_size else row.input_size
    model = backbones.build(name, weights="none", input_size=size, classifier=True)
    report = backbones.load_weights(model, "imagenet", name)
    log.info("%s", report)
    if any(key.startswith(("logits/", "predictions/", "fc6/")) for key in report.missing):
        trunk = backbones.build(name, weights="none", input_size=size)
        backbones.load_weights(trunk, "imagenet", name)
        last = trunk.output[max(trunk.output)]
        return Subject(name, _single(trunk, last), None, row.input_size, "squash", None)
    model = _single(model, model.output["logits"])
    return Subject(
        name, model, IMAGENET_CLASSES, row.input_size, "squash", _predictor(model, row.input_size, "softmax")
    )


def _single(model, output):
    import keras

    return keras.Model(model.input, output, name=model.name)


def _predictor(model, size, activation):
    """A function float32 `[n, s, s, c]` -> probabilities, by the fastest runtime; it is made at the first call."""
    made = []

    def predict(images):
        if not made:
            made.append(probabilities(model, size, activation))
        return made[0](images)

    return predict


def probabilities(model, size, activation="softmax", runtime="auto", precision="auto"):
    """A function float32 `[n, size, size, c]` -> probabilities float32 `[n, classes]` of a Keras model of logits.

    activation: "softmax" or "sigmoid". runtime, precision: see `runtimes.choose`.
    """
    import keras

    image = keras.Input((size, size, model.inputs[0].shape[-1]), name="image")
    logits = keras.tree.flatten(model(image, training=False))[0]
    scores = getattr(keras.ops, activation)(keras.ops.cast(logits, "float32"))
    whole = keras.Model({"image": image}, {"scores": scores}, name="probabilities")
    runtime, precision, _ = runtimes.choose(runtime, precision)
    running = runtimes.start(runtimes.trace(whole), whole, runtime, precision)
    return lambda images: running({"image": np.asarray(images, np.float32)})["scores"]
