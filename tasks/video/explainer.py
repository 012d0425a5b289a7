"""A video model to explain: each of its streams, at a few snippets of a clip."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from retinue.tasks.classification.explainer import probability_function
from retinue.tasks.explainer import CompileModel, Explainer, ExplanationRequest, TargetSelection
from retinue.tasks.video import flow
from retinue.tasks.video.augment import dequantize_flow
from retinue.tasks.video.model import fuse_streams

if TYPE_CHECKING:
    from retinue.tasks.model import TaskModel
    from retinue.tasks.video.task import Video

MAX_SNIPPETS = 4  # snippets of a clip that are explained, evenly spread over it
INPUTS = {"spatial": "frames", "temporal": "flow"}
INPUT_LABELS = {"spatial": "frames", "temporal": "motion"}  # what a stream sees, for readers


@dataclasses.dataclass(frozen=True)
class StreamModel:
    """One stream as a model of single snippets.

    Attributes:
        model: from float32 `[n, s, s, c]` to logits.
        predict: function from float32 `[n, s, s, c]` to probabilities float32 `[n, classes]`, in the fastest runtime.
    """

    model: keras.Model
    predict: Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class StreamRequest:
    """What is explained of one stream in one clip.

    Attributes:
        stream: "spatial" or "temporal".
        input_label: what the stream sees: "frames" or "motion".
        images: float32 `[k, s, s, c]`, the snippets that are explained, as the stream takes them.
        shown: uint8 `[k, H, W, 3]`, the same snippets as images.
        scores: float `[k]`, the score of the class in each snippet.
        request: what the methods explain.
    """

    stream: str
    input_label: str
    images: np.ndarray
    shown: np.ndarray
    scores: np.ndarray
    request: ExplanationRequest


@dataclasses.dataclass(frozen=True)
class ClipRequest:
    """What is explained of a clip.

    Attributes:
        label: name of the class.
        score: the model's score of the class.
        description: class, score and what each stream predicts in words, for the command line.
        stream_scores: the score of the class by stream.
        snippets: numbers, from 1, of the snippets that are explained.
        num_snippets: how many snippets the clip has.
        streams: what is explained of each stream.
    """

    label: str
    score: float
    description: str
    stream_scores: dict[str, float]
    snippets: list[int]
    num_snippets: int
    streams: list[StreamRequest]


class VideoExplainer(Explainer):
    """Explains the score that each stream gives a class, snippet by snippet.

    The model sees the center of each frame, as it does with `evaluate.tta=none`.

    Attributes:
        task: the task; the clips are read with it.
        streams: the model of each stream.
    """

    is_video = True
    classes: tuple[str, ...]
    methods = ("occlusion", "saliency", "smoothgrad", "grad-cam", "integrated-gradients")

    def __init__(self, name: str, task: "Video", model: "TaskModel", compile_model: CompileModel) -> None:
        """Make a model of each stream.

        Args:
            name: what the model is called in messages.
            task: the task.
            model: what `Video.build` returned, trained.
            compile_model: makes a Keras model run in the fastest runtime.
        """
        super().__init__(name, task.name, task.classes, model)
        self.task = task
        self.streams: dict[str, StreamModel] = {}
        for stream in task.streams:
            of_snippets = _snippet_model(model, stream)
            predict = probability_function(of_snippets, task.config.model.input_size, "softmax", compile_model)
            self.streams[stream] = StreamModel(of_snippets, predict)

    def request(self, record: Mapping[str, np.ndarray], selection: TargetSelection) -> ClipRequest:
        """Decide what is explained of a clip: the predicted class, or the selected one, in each stream.

        Args:
            record: what `Video.read_record` returned, as arrays.
            selection: what the user selected.

        Returns:
            The requests of the streams.
        """
        images = {name: self._images(name, record) for name in self.streams}
        snippet_scores = {name: self.streams[name].predict(self._crop(images[name])) for name in self.streams}
        means = {name: scores.mean(axis=0) for name, scores in snippet_scores.items()}
        tensors = {name: tf.constant(mean[None]) for name, mean in means.items()}
        scores = np.asarray(fuse_streams(self.model, tensors, self.task.config.video))[0]
        best = int(scores.argmax())
        target = best if selection.class_name is None else self.class_index(selection.class_name)
        description = f"{self.class_names[target]}, {scores[target]:.1%}"
        if target != best:
            description += f"; its prediction is {self.class_names[best]}, {scores[best]:.1%}"
        if len(means) > 1:
            description += "; " + ", ".join(self._describe_stream(name, mean, target) for name, mean in means.items())
        count = len(snippet_scores[self.task.streams[0]])
        indices = np.unique(np.linspace(0, count - 1, min(count, MAX_SNIPPETS)).round().astype(int))
        requests = []
        for name, stream in self.streams.items():
            # A covered part of the flow stands still. The mean, the default, would be the motion of the camera.
            occlusion: dict[str, Any] = {"fill": 0.0} if name == "temporal" else {}
            requests.append(
                StreamRequest(
                    stream=name,
                    input_label=INPUT_LABELS[name],
                    images=self._crop(images[name])[indices],
                    shown=self._shown(name, record, indices),
                    scores=snippet_scores[name][indices, target],
                    request=ExplanationRequest(
                        target=target, predict=stream.predict, column=target, occlusion=occlusion
                    ),
                )
            )
        stream_scores = {name: round(float(mean[target]), 6) for name, mean in means.items()}
        numbers = (indices + 1).tolist()
        return ClipRequest(
            self.class_names[target], float(scores[target]), description, stream_scores, numbers, count, requests
        )

    def to_original(self, array: np.ndarray) -> np.ndarray:
        """Bring a map of the part that the model sees to the whole frame.

        Args:
            array: float32 `[s, s]` or `[s, s, c]`.

        Returns:
            float32 in `video.frame_size`, 0 outside of that part.
        """
        height, width = self.task.config.video.frame_size
        result = np.zeros((height, width, *array.shape[2:]), np.float32)
        top, left = (height - array.shape[0]) // 2, (width - array.shape[1]) // 2
        result[top : top + array.shape[0], left : left + array.shape[1]] = array
        return result

    def _describe_stream(self, name: str, mean: np.ndarray, target: int) -> str:
        text, best = f"{INPUT_LABELS[name]} alone {mean[target]:.1%}", int(mean.argmax())
        return text if best == target else f"{text} (for {self.class_names[best]} {mean[best]:.1%})"

    def _images(self, name: str, record: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return all snippets as a stream takes them, before they are cropped: float32 `[K, H, W, c]`."""
        array = record[INPUTS[name]]
        if name == "spatial":
            return array.astype(np.float32)
        settings = self.task.config.video
        return dequantize_flow(array, settings.flow_bound, settings.flow_subtract_mean).numpy()

    def _shown(self, name: str, record: Mapping[str, np.ndarray], indices: np.ndarray) -> np.ndarray:
        """Return the first frame, or the first flow field in colors, of some snippets: uint8 `[k, H, W, 3]`."""
        array = record[INPUTS[name]][indices]
        if name == "spatial":
            return array[..., :3]
        bound = self.task.config.video.flow_bound
        fields = flow.dequantize(array[..., :2], bound)
        return np.stack([flow.flow_to_image(np.asarray(field, np.float32), bound / 4) for field in fields])

    def _crop(self, images: np.ndarray) -> np.ndarray:
        size = self.task.config.model.input_size
        top, left = (images.shape[1] - size) // 2, (images.shape[2] - size) // 2
        return images[:, top : top + size, left : left + size]


def _snippet_model(model: "TaskModel", stream: str) -> keras.Model:
    """Copy one stream, from single snippets to logits. Keras makes no new outputs of layers within another model."""
    folded, logits = (model.get_layer(f"{stream}_{part}").output for part in ("fold", "logits"))
    part = keras.Model(folded, logits, name=stream)
    copy = keras.models.clone_model(part, input_tensors=keras.Input(folded.shape[1:]))
    copy.set_weights(part.get_weights())
    return copy
