"""A segmentation net to explain: the pixels of a class, or the region around a point."""

import functools

import cv2
import keras
import numpy as np
from keras import ops

from retinue import backbones
from retinue.explain.targets import region_target
from retinue.pipeline.explaining.explanation_request import (
    ExplanationRequest,
    NothingToExplain,
    class_index,
    cover_of,
    refuse,
)
from retinue.pipeline.runtimes import runtimes, tensorflow_runtime

AT_ONCE = 1_500_000  # pixels that the net sees in one call
BACKGROUND = "background"
STRIDE = 8  # of the map that grad-cam looks at: fine enough for small regions


class Segmenter:
    """Explains the mean score of one class over a region of its pixels; else as `explained.ClassifierExplainer`.

    name: what it is called on the screen; task: `Segmentation`; model: its `TaskModel`. The picture is seen at the
    scale of `segmentation.tta_scales` that is nearest to 1, and not mirrored.
    """

    makes_class_images = is_video = False

    def __init__(self, name, task, model):
        self.name, self.classes, self._task, self.model = name, task.classes, task, model
        self._layer = _finest(model)
        self._scale = min(task.config.segmentation.tta_scales, key=lambda scale: abs(np.log(scale)))

    def check(self, wanted):
        """As `ClassifierExplainer.check`."""
        refuse(self.name, "segmentation", box=wanted.box)
        if wanted.class_name is not None:
            class_index(wanted.class_name, self.classes, self.name)

    def prepare(self, photo):
        """The photo, uint8 `[h, w, 3]`, as the net sees it: float32 `[h', w', 3]`."""
        image = self._task.prepare(photo)["image"].numpy()
        window = self._task.config.segmentation.tile_size
        if window and max(image.shape[:2]) > window:
            raise NothingToExplain(
                f"is {image.shape[1]} x {image.shape[0]} pixels, and the model looks at {window} at a time "
                "(segmentation.tile_size); cut out the part that is to be explained"
            )
        if self._scale == 1.0:
            return image.astype(np.float32)
        size = [max(1, round(side * self._scale)) for side in image.shape[1::-1]]
        kind = cv2.INTER_AREA if self._scale < 1 else cv2.INTER_LINEAR
        return cv2.resize(image, size, interpolation=kind).astype(np.float32)

    def ask(self, photo, image, wanted):
        """The `ExplanationRequest` about a region: the pixels that the net gives the class that is wanted, or
        those around the point that have one class; by default the largest class but the background.

        With class and point, how much the region around the point speaks for that class. Raises NothingToExplain where
        no pixel is of the class, and for a point outside of the photo.
        """
        whole = np.ones((1, *image.shape[:2], 1), np.float32)
        scores = self._scores({"image": image[None], "region": whole})["each"][0]
        said = scores.argmax(axis=-1)
        counts = np.bincount(said.ravel(), minlength=len(self.classes))
        if wanted.point is not None:
            mask = self._around(wanted.point, said, photo.shape)
            label = int(said[mask][0])
        else:
            things = [index for index, name in enumerate(self.classes) if name.strip("_").lower() != BACKGROUND]
            label = max(things, key=lambda index: counts[index]) if counts[things].any() else int(counts.argmax())
        if wanted.class_name is not None:
            label = class_index(wanted.class_name, self.classes, self.name)
        if wanted.point is None:
            mask = said == label
        if not mask.any():
            known = ", ".join(f"{self.classes[index]} {counts[index] / said.size:.1%}" for index in np.argsort(-counts)
                              if counts[index])  # fmt: skip
            raise NothingToExplain(f"no pixel of it is said to be {self.classes[label]}; what it shows: {known}")
        score, own = float(scores[..., label][mask].mean()), int(said[mask][0])
        words = f"{self.classes[label]}, {score:.1%} in the mean over {mask.mean():.1%} of the picture"
        if own != label:
            words += f", which it says to be {self.classes[own]}"
        given = cv2.resize(mask.astype(np.uint8), photo.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        return ExplanationRequest(
            self.classes[label],
            score,
            words,
            region_target(label, mask),
            functools.partial(self._predict, mask.astype(np.float32)[None, ..., None]),
            label,
            self._layer,
            cover_of(_box_around(mask), image.shape),
            given.astype(bool),
            {"pixels": int(given.sum())},
        )

    def place(self, found, shape):
        """A map of the net's picture on the photo of `shape`: float32 `[h, w, ...]`."""
        return cv2.resize(found, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)

    def _around(self, point, said, shape):
        """bool `[h', w']`: the connected pixels of one class around a point of the photo."""
        x, y = point
        if not (0 <= x < shape[1] and 0 <= y < shape[0]):
            raise NothingToExplain(f"--point {x},{y}: lies outside of a photo of {shape[1]} x {shape[0]} pixels")
        row, column = int((y + 0.5) * said.shape[0] / shape[0]), int((x + 0.5) * said.shape[1] / shape[1])
        _, parts = cv2.connectedComponents((said == said[row, column]).astype(np.uint8), connectivity=4)
        return parts == parts[row, column]

    def _predict(self, mask, images):
        """float32 `[m, h, w, 3]` -> mean probabilities over the region, float32 `[m, classes]`."""
        step = max(1, AT_ONCE // (images.shape[1] * images.shape[2]))
        parts = []
        for first in range(0, len(images), step):
            part = np.asarray(images[first : first + step], np.float32)
            parts.append(self._scores({"image": part, "region": np.repeat(mask, len(part), axis=0)})["mean"])
        return np.concatenate(parts)

    @functools.cached_property
    def _scores(self):
        """The net, by the fastest runtime: image and region `[n, h, w, 1]` -> each, the probabilities of every pixel,
        and mean, those of the region."""
        image, inside = keras.Input((None, None, 3), name="image"), keras.Input((None, None, 1), name="region")
        each = ops.softmax(ops.cast(self.model(image, training=False), "float32"), axis=-1)
        mean = ops.sum(each * inside, axis=(1, 2)) / ops.sum(inside, axis=(1, 2))
        whole = keras.Model({"image": image, "region": inside}, {"each": each, "mean": mean}, name="scores")
        runtime, precision, _ = runtimes.choose()
        return runtimes.start(tensorflow_runtime.trace(whole), whole, runtime, precision)


def _finest(model):
    """The name of the backbone's last map of stride 8, or of its last map where it has none."""
    last = model.backbone[-1]
    own = backbones.endpoints(keras.Model(model.input, last.output)).get(STRIDE)
    return next((layer.name for layer in model.backbone if layer.output is own), last.name)


def _box_around(mask):
    """x1, y1, x2, y2 of the least box that holds a mask, x2 and y2 exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
