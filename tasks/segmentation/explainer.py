"""A segmentation model to explain: the pixels of a class, or the region around a point."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import keras
import numpy as np
from keras import ops

from retinue import backbones
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
from retinue.tasks.segmentation.region_target import region_target

if TYPE_CHECKING:
    from retinue.tasks.model import TaskModel
    from retinue.tasks.segmentation.task import Segmentation

BACKGROUND = "background"
GRAD_CAM_STRIDE = 8  # stride of the feature map for Grad-CAM: fine enough for small regions


class SegmentationExplainer(ImageExplainer):
    """Explains the mean score of one class over a region of its pixels.

    Images are seen at the scale of `segmentation.tta_scales` that is nearest to 1, and not flipped.
    """

    selections = ("point",)
    classes: tuple[str, ...]
    model: keras.Model

    def __init__(self, name: str, task: "Segmentation", model: "TaskModel", compile_model: CompileModel) -> None:
        """Prepare the model.

        Args:
            name: what the model is called in messages.
            task: the task.
            model: what `Segmentation.build` returned, trained.
            compile_model: makes a Keras model run in the fastest runtime.
        """
        super().__init__(name, task.name, task.classes, model)
        self._task, self._compile_model = task, compile_model
        self._layer = _finest_layer(model)
        self._scale = min(task.config.segmentation.tta_scales, key=lambda scale: abs(np.log(scale)))

    def prepare(self, original: np.ndarray) -> np.ndarray:
        """Resize an image, uint8 `[h, w, 3]`, as the model sees it: float32 `[h', w', 3]`.

        Raises:
            NothingToExplain: the image is larger than a tile of `segmentation.tile_size`.
        """
        image = self._task.prepare(original)["image"].numpy()
        tile_size = self._task.config.segmentation.tile_size
        if tile_size and max(image.shape[:2]) > tile_size:
            raise NothingToExplain(
                f"it has {image.shape[1]} x {image.shape[0]} pixels, and the model sees tiles of {tile_size} "
                "(segmentation.tile_size); cut out the part to explain"
            )
        if self._scale == 1.0:
            return image.astype(np.float32)
        size = [max(1, round(side * self._scale)) for side in image.shape[1::-1]]
        interpolation = cv2.INTER_AREA if self._scale < 1 else cv2.INTER_LINEAR
        return cv2.resize(image, size, interpolation=interpolation).astype(np.float32)

    def request(self, original: np.ndarray, image: np.ndarray, selection: TargetSelection) -> ExplanationRequest:
        """Explain a region; see `ImageExplainer.request`.

        With a class, the region is all pixels that are predicted as it. With a point, it is the connected pixels of
        one class around it. With both, the score of that class in the region around the point is explained. With
        neither, the region is all pixels of the largest class that is not called background.
        """
        everywhere = np.ones((1, *image.shape[:2], 1), np.float32)
        scores = self._scores({"image": image[None], "region": everywhere})["each"][0]
        predicted = scores.argmax(axis=-1)
        counts = np.bincount(predicted.ravel(), minlength=len(self.class_names))
        if selection.point is not None:
            mask = self._region_around(selection.point, predicted, original.shape)
            label = int(predicted[mask][0])
        else:
            objects = [index for index, name in enumerate(self.class_names) if name.strip("_").lower() != BACKGROUND]
            label = max(objects, key=lambda index: counts[index]) if counts[objects].any() else int(counts.argmax())
        if selection.class_name is not None:
            label = self.class_index(selection.class_name)
        if selection.point is None:
            mask = predicted == label
        name = self.class_names[label]
        if not mask.any():
            fractions = ", ".join(
                f"{self.class_names[index]} {counts[index] / predicted.size:.1%}"
                for index in np.argsort(-counts)
                if counts[index]
            )
            raise NothingToExplain(f"no pixel of it is predicted as {name}; predicted are: {fractions}")
        score, region_label = float(scores[..., label][mask].mean()), int(predicted[mask][0])
        description = f"{name}, {score:.1%} on average over {mask.mean():.1%} of the image"
        if region_label != label:
            description += f", which is predicted as {self.class_names[region_label]}"
        original_mask = cv2.resize(mask.astype(np.uint8), original.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        return ExplanationRequest(
            label=name,
            score=score,
            description=description,
            target=region_target(label, mask),
            predict=functools.partial(self._predict, mask.astype(np.float32)[None, ..., None]),
            column=label,
            layer=self._layer,
            occlusion=occlusion_near(_box_around(mask), image.shape),
            region=original_mask.astype(bool),
            facts={"pixels": int(original_mask.sum())},
        )

    def _region_around(self, point: tuple[float, float], predicted: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Return the connected pixels of one class around a point of the original image, bool `[h', w']`."""
        x, y = point
        if not (0 <= x < shape[1] and 0 <= y < shape[0]):
            raise NothingToExplain(f"--point {x},{y} lies outside of this image of {shape[1]} x {shape[0]} pixels")
        row, column = int((y + 0.5) * predicted.shape[0] / shape[0]), int((x + 0.5) * predicted.shape[1] / shape[1])
        same_class = (predicted == predicted[row, column]).astype(np.uint8)
        _, components = cv2.connectedComponents(same_class, connectivity=4)
        return components == components[row, column]

    def _predict(self, mask: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Compute mean probabilities over the region: images float32 `[m, h, w, 3]` -> float32 `[m, classes]`."""
        batch_size = max(1, PIXELS_PER_CALL // (images.shape[1] * images.shape[2]))
        means = []
        for first in range(0, len(images), batch_size):
            batch = np.asarray(images[first : first + batch_size], np.float32)
            means.append(self._scores({"image": batch, "region": np.repeat(mask, len(batch), axis=0)})["mean"])
        return np.concatenate(means)

    @functools.cached_property
    def _scores(self) -> CompiledModel:
        """The compiled model from image and region `[n, h, w, 1]` to `each`, the probabilities of every pixel, and
        `mean`, those of the region."""
        image, inside = keras.Input((None, None, 3), name="image"), keras.Input((None, None, 1), name="region")
        each = ops.softmax(ops.cast(self.model(image, training=False), "float32"), axis=-1)
        mean = ops.sum(each * inside, axis=(1, 2)) / ops.sum(inside, axis=(1, 2))
        assert self._compile_model is not None
        return self._compile_model(keras.Model({"image": image, "region": inside}, {"each": each, "mean": mean}))


def _finest_layer(model: "TaskModel") -> str:
    """Return the name of the backbone's last feature map of stride 8, or of its last map where it has none."""
    last = model.backbone[-1]
    finest = backbones.endpoints(keras.Model(model.input, last.output)).get(GRAD_CAM_STRIDE)
    return next((layer.name for layer in model.backbone if layer.output is finest), last.name)


def _box_around(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return x1, y1, x2, y2 of the smallest box around a mask, x2 and y2 exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
