"""A video model to explain: each of its streams, at a few places of a clip."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from retinue.explain.layers import layer_output
from retinue.pipeline.explaining.explanation_request import ExplanationRequest, NothingToExplain, class_index, refuse
from retinue.pipeline.explaining.probabilities import predictor
from retinue.pipeline.prediction.reader import ClipReader
from retinue.tasks.video import flow
from retinue.tasks.video.augment import dequantize_flow
from retinue.tasks.video.model import fuse_streams

METHODS = ("occlusion", "saliency", "smoothgrad", "grad-cam", "integrated-gradients")
SHOWN = 4  # snippets of a clip that are explained, evenly over it
INPUTS = {"spatial": "frames", "temporal": "flow"}
SEEN = {"spatial": "frames", "temporal": "motion"}  # by a stream, in a reader's words


@dataclasses.dataclass(frozen=True)
class Stream:
    """One stream as a net of single snippets. model: `keras.Model` from float32 `[n, s, s, c]` to logits; predict: the
    same to probabilities, by the fastest runtime."""

    model: object
    predict: object


@dataclasses.dataclass(frozen=True)
class Part:
    """A stream in one clip. stream: its name; seen: "frames" or "motion"; images: float32 `[k, s, s, c]`, the snippets
    that are explained, as it takes them; shown: uint8 `[k, H, W, 3]`, the same as pictures; scores: float `[k]`, of the
    class in each; question: `ExplanationRequest`."""

    stream: str
    seen: str
    images: np.ndarray
    shown: np.ndarray
    scores: np.ndarray
    question: ExplanationRequest


@dataclasses.dataclass(frozen=True)
class ClipQuestion:
    """What is explained of a clip. label, score: the class and how sure the model is of it; words: the same and what
    each stream says, for the screen; stream_scores: of the class, by stream; snippets: the numbers, from 1, of those
    that are explained; of: how many there are; streams: a `Part` of each stream."""

    label: str
    score: float
    words: str
    stream_scores: dict
    snippets: list
    of: int
    streams: list


class ClipModel:
    """Explains the score that each stream gives a class, snippet by snippet; else as `explained.ClassifierExplainer`.

    name: what it is called on the screen; task: `Video`; net: its `TaskModel`. The net looks at the centre of each
    frame, as it does with `evaluate.tta=none`.
    """

    makes_class_images, is_video = False, True

    def __init__(self, name, task, net):
        self.name, self.classes, self._task, self.model = name, task.classes, task, net
        self.streams, self._read = {}, ClipReader(task)
        for stream in task.streams:
            model = _of_snippets(net, stream)
            predict = predictor(model, task.config.model.input_size, "softmax")
            self.streams[stream] = Stream(model, predict)

    def check(self, wanted):
        """As `ClassifierExplainer.check`."""
        refuse(self.name, "video", box=wanted.box, point=wanted.point)
        if wanted.class_name is not None:
            class_index(wanted.class_name, self.classes, self.name)

    def layer_of(self, stream, layer):
        """`layer` for the stream that has it, None for the other, or for all where it is None."""
        if layer is None or layer not in [one.name for one in self.streams[stream].model.layers]:
            return None
        return layer_output(self.streams[stream].model, layer)[0]

    def ask(self, file, wanted):
        """The `ClipQuestion` about a clip: the model's answer, or the class that is wanted, in each stream.

        Raises NothingToExplain for a clip that can't be read.
        """
        record, _, reason = self._read(file)
        if reason is not None:
            raise NothingToExplain(reason)
        images = {name: self._images(name, record) for name in self.streams}
        each = {name: self.streams[name].predict(self._cut(images[name])) for name in self.streams}
        means = {name: scores.mean(axis=0) for name, scores in each.items()}
        tensors = {name: tf.constant(mean[None]) for name, mean in means.items()}
        scores = np.asarray(fuse_streams(self.model, tensors, self._task.config.video))[0]
        best = int(scores.argmax())
        target = best if wanted.class_name is None else class_index(wanted.class_name, self.classes, self.name)
        words = f"{self.classes[target]}, {scores[target]:.1%}"
        if target != best:
            words += f"; its answer is {self.classes[best]}, {scores[best]:.1%}"
        if len(means) > 1:
            words += "; " + ", ".join(self._alone(name, mean, target) for name, mean in means.items())
        count = len(each[self._task.streams[0]])
        places = np.unique(np.linspace(0, count - 1, min(count, SHOWN)).round().astype(int))
        parts = []
        for name, predict in ((name, stream.predict) for name, stream in self.streams.items()):
            # What is covered in the flow stands still; the mean, which covers else, would be the camera's own motion.
            cover = {"fill": 0.0} if name == "temporal" else {}
            question = ExplanationRequest(target=target, predict=predict, column=target, cover=cover)
            shown = self._shown(name, record, places)
            taken = self._cut(images[name])[places]
            parts.append(Part(name, SEEN[name], taken, shown, each[name][places, target], question))
        own = {name: round(float(mean[target]), 6) for name, mean in means.items()}
        numbers = (places + 1).tolist()
        return ClipQuestion(self.classes[target], float(scores[target]), words, own, numbers, count, parts)

    def place(self, found):
        """A map of the part that the net sees, `[s, s]` or `[s, s, c]`, on the whole frame of `video.frame_size`."""
        height, width = self._task.config.video.frame_size
        placed = np.zeros((height, width, *found.shape[2:]), np.float32)
        top, left = (height - found.shape[0]) // 2, (width - found.shape[1]) // 2
        placed[top : top + found.shape[0], left : left + found.shape[1]] = found
        return placed

    def _alone(self, name, mean, target):
        words, best = f"{SEEN[name]} alone {mean[target]:.1%}", int(mean.argmax())
        return words if best == target else f"{words} (for {self.classes[best]} {mean[best]:.1%})"

    def _images(self, name, record):
        """float32 `[K, H, W, c]`: all snippets as a stream takes them, before they are cut."""
        given = record[INPUTS[name]]
        if name == "spatial":
            return given.astype(np.float32)
        settings = self._task.config.video
        return dequantize_flow(given, settings.flow_bound, settings.flow_subtract_mean).numpy()

    def _shown(self, name, record, places):
        """uint8 `[k, H, W, 3]`: the first frame, or the first field in colours, of some snippets."""
        given = record[INPUTS[name]][places]
        if name == "spatial":
            return given[..., :3]
        bound = self._task.config.video.flow_bound
        fields = flow.dequantize(given[..., :2], bound)
        return np.stack([flow.flow_to_image(np.float32(field), bound / 4) for field in fields])

    def _cut(self, images):
        size = self._task.config.model.input_size
        top, left = (images.shape[1] - size) // 2, (images.shape[2] - size) // 2
        return images[:, top : top + size, left : left + size]


def _of_snippets(net, stream):
    """A copy of one stream, from single snippets to logits: of layers within another net Keras makes no new outputs."""
    folded, logits = (net.get_layer(f"{stream}_{part}").output for part in ("fold", "logits"))
    part = keras.Model(folded, logits, name=stream)
    copy = keras.models.clone_model(part, input_tensors=keras.Input(folded.shape[1:]))
    copy.set_weights(part.get_weights())
    return copy
