"""`Task`: what the stages of the pipeline may ask of a task, and nothing more.

A prediction is a plain dict, ready for a line of `predictions.jsonl` (less the file and its size), and has for
classification `{"labels": [{"label", "score"}, ...], "scores": float32 [classes]}`; `scores` is not written out.
"""

import abc


class Task(abc.ABC):
    """One job that a backbone can learn. Instances hold the configuration and the class names, and no weights.

    config: `Config`; classes: tuple of names; multi_label: whether a file may have several labels.
    """

    name = ""

    def __init__(self, config, classes, multi_label=False):
        self.config = config
        self.classes = tuple(classes)
        self.multi_label = multi_label

    @abc.abstractmethod
    def build(self, weights=None, class_counts=None):
        """The untrained `TaskModel`: backbone with `weights` (default: the configuration's) and a fresh head.

        class_counts: files of each class in training, for losses that weigh classes.
        """

    @abc.abstractmethod
    def columns(self, dataset):
        """The dict of arrays that `data.batches` slices into records: `file` and what `example` needs."""

    @abc.abstractmethod
    def example(self, training, input_size=None):
        """The function (columns of one record, int32 `[2]` seed) -> (inputs, targets), in TensorFlow operations."""

    @abc.abstractmethod
    def mix(self):
        """The function over a training batch (inputs, targets, seeds) -> (inputs, targets), or None."""

    @abc.abstractmethod
    def read(self, encoded):
        """One encoded file (string tensor) -> the dict of tensors that `inference` takes, without the batch axis."""

    @abc.abstractmethod
    def prepare(self, image):
        """The same from decoded pixels, uint8 `[h, w, 3]`, RGB and upright."""

    @abc.abstractmethod
    def inference(self, model):
        """A `keras.Model` from a batch of what `read` gives to a dict of named outputs; what the runtimes compile."""

    @abc.abstractmethod
    def postprocess(self, outputs):
        """A batch of `inference`'s outputs (dict of numpy arrays) -> a list of predictions."""

    @abc.abstractmethod
    def evaluator(self, interval=True):
        """An object with `update(predictions, dataset)` and `scores() -> Scores` (see tasks/scores.py).

        interval: whether the headline gets its interval, which takes time.
        """

    @abc.abstractmethod
    def draw(self, image, prediction, truth=None):
        """Picture of a prediction, and of a known truth: uint8 `[h, w, 3]` in, uint8 `[h', w', 3]` out."""
