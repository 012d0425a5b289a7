"""A classifier to explain, or a backbone without a classifier."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import cv2
import keras
import numpy as np

from retinue.data.decoding.resize import resize_geometry, resize_image
from retinue.tasks.explainer import CompileModel, ExplanationRequest, ImageExplainer, TargetSelection

if TYPE_CHECKING:
    from retinue.tasks.explainer import CompiledModel

BATCH_SIZE = 8  # images in one call; the activations of so many stay in a processor's cache


class ClassifierExplainer(ImageExplainer):
    """Explains the logit of one class.

    Attributes:
        size: side of the square images that the model takes, in pixels.
        resize_mode: how images are brought to that size (`data.resize_mode`).
        predict: function from images float32 `[n, size, size, 3]` to probabilities float32 `[n, classes]`, in the
            fastest runtime; None without a classifier.
    """

    supports_feature_visualization = True

    def __init__(
        self,
        name: str,
        model: keras.Model | None,
        classes: Sequence[str] | None,
        size: int,
        resize_mode: str,
        predict: Callable[[np.ndarray], np.ndarray] | None,
    ) -> None:
        """Keep the attributes; see the classes."""
        super().__init__(name, "classification", classes, model)
        self.size, self.resize_mode, self.predict = size, resize_mode, predict

    def prepare(self, original: np.ndarray) -> np.ndarray:
        """Resize an image, uint8 `[h, w, 3]`, as the model sees it: float32 `[size, size, 3]`."""
        return np.asarray(resize_image(original, self.size, self.resize_mode), np.float32)

    def request(self, original: np.ndarray, image: np.ndarray, selection: TargetSelection) -> ExplanationRequest:
        """Explain the selected class, by default the predicted one; see `ImageExplainer.request`."""
        if self.classes is None or self.predict is None:
            return ExplanationRequest()
        scores = self.predict(image[None])[0]
        best = int(scores.argmax())
        target = best if selection.class_name is None else self.class_index(selection.class_name)
        label, score = self.classes[target], float(scores[target])
        description = f"{label}, {score:.1%}"
        if target != best:
            description += f"; its prediction is {self.classes[best]}, {scores[best]:.1%}"
        return ExplanationRequest(label, score, description, target, self.predict, target)

    def to_original(self, array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Bring a map, `[size, size]` or `[size, size, c]`, to the original image: float32 `[h, w]` or `[h, w, c]`.

        What the model did not see, because the resize mode "center_crop" cut it away, is 0.
        """
        window, inner = resize_geometry(np.array(shape[:2], np.int32), self.size, self.resize_mode)
        left, top, right, bottom = (int(edge) for edge in window)
        height, width = (int(side) for side in inner)
        result = np.zeros((*shape[:2], *array.shape[2:]), np.float32)
        part = cv2.resize(array[:height, :width], (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        result[top:bottom, left:right] = part.reshape(result[top:bottom, left:right].shape)
        return result


def probability_function(
    model: keras.Model, size: int, activation: str, compile_model: CompileModel
) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function that computes probabilities from a model of logits. The model is compiled at the first call.

    Args:
        model: from images float32 `[n, size, size, c]` to logits `[n, classes]`.
        size: side of the images in pixels.
        activation: "softmax" or "sigmoid".
        compile_model: makes a Keras model run in the fastest runtime.

    Returns:
        A function from images float32 `[n, size, size, c]` to probabilities float32 `[n, classes]`.
    """
    compiled: list[CompiledModel] = []

    def predict(images: np.ndarray) -> np.ndarray:
        """Predict in small batches that stay in the cache, several at a time, so that no core waits for another."""
        if not compiled:
            compiled.append(compile_model(_probability_model(model, size, activation)))
        futures = [
            compiled[0].submit({"image": np.asarray(images[first : first + BATCH_SIZE], np.float32)})
            for first in range(0, len(images), BATCH_SIZE)
        ]
        return np.concatenate([future.result()["scores"] for future in futures])

    return predict


def _probability_model(model: keras.Model, size: int, activation: str) -> keras.Model:
    image = keras.Input((size, size, model.inputs[0].shape[-1]), name="image")
    logits = keras.tree.flatten(model(image, training=False))[0]
    scores = getattr(keras.ops, activation)(keras.ops.cast(logits, "float32"))
    return keras.Model({"image": image}, {"scores": scores}, name="probabilities")
