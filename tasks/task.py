"""`Task`: what the stages of the pipeline may ask of a task, and nothing more.

A prediction is a plain dict, ready for a line of `predictions.jsonl` (less the file and its size), and has for
classification `{"labels": [{"label", "score"}, ...], "scores": float32 [classes]}`; `scores` is not written out.
"""

import abc

from retinue import backbones
from retinue.configs.errors import RetinueError, UsageError


class Task(abc.ABC):
    """One job that a backbone can learn. Instances hold the configuration and the class names, and no weights.

    config: `Config`; classes: tuple of names; multi_label: whether a file may have several labels.
    """

    name = ""
    draws_on_image = False  # whether `draw` shows where in the picture things are, so that the report needs the drawing
    is_video = False  # whether a record is a clip: a video, a part of one, or a folder of frames
    variable_size = False  # whether only pictures that `read` gives the same sizes may share a batch
    serve_padding = {}  # of outputs of `serve` whose pictures differ in size: what fills them up; otherwise zeros

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

    def input_sizes(self):
        """{key of the configuration: pixels} of every input size that is set, the model's and those of stages."""
        sizes = {"model.input_size": self.config.model.input_size}
        for name, stage in self.config.train.stages.items():
            if stage.input_size:
                sizes[f"train.stages.{name}.input_size"] = stage.input_size
        return sizes

    def refuse_small(self, key, size):
        """Raise UsageError for one of these that is too small for the backbone."""
        name = self.config.model.backbone
        smallest = backbones.find(name).smallest
        if size < smallest:
            raise UsageError(f"{key}: {name} can't be built for {size} px; the smallest is {smallest}")

    def prepare_dataset(self, dataset, say):
        """Look at what lies beside the files and is needed with them, and say what there is. Raises UsageError."""
        return

    def split_calibration(self, dataset):
        """(what the net learns from, what `finish` is given) of the training files. By default all, and none."""
        return dataset, dataset.take([])

    def calibrate(self, model, predictions, dataset):
        """Fit what is fitted after training, from predictions of what was held back. Gives a line for the screen."""
        raise NotImplementedError(f"{self.name} holds nothing back")

    def class_counts(self, dataset):
        """What `build` is told of each class in training, int `[classes]`."""
        return dataset.class_counts()

    def sources(self, dataset):
        """The part of `columns` that `read_record` needs, for data without answers too."""
        return {"file": dataset.files}

    @abc.abstractmethod
    def example(self, training, input_size=None):
        """The function (columns of one record, int32 `[2]` seed) -> (inputs, targets), in TensorFlow operations."""

    def padding(self, training):
        """What fills up pictures of a batch that differ in size: a value for each part of `example`'s (inputs, targets)
        in training, of `read`'s dict otherwise. None where all have one size."""
        return None

    @abc.abstractmethod
    def batch_mixing(self):
        """The function over a training batch (inputs, targets, seeds) -> (inputs, targets), or None."""

    def read_image(self, encoded, upright_jpeg=False):
        """One encoded file (string tensor) as `prepare` takes it, decoded or yet to be, by `data.jpeg_dct_scaling`.
        upright_jpeg: whether it is known to be that, see `EncodedImage`."""
        from retinue.data.decoding.decode import decode_image
        from retinue.data.decoding.encoded_image import EncodedImage

        if not self.config.data.jpeg_dct_scaling:
            return decode_image(encoded)
        return EncodedImage(encoded, upright_jpeg)

    @abc.abstractmethod
    def read(self, encoded):
        """One encoded file (string tensor) -> the dict of tensors that `inference` takes, without the batch axis."""

    def read_record(self, columns):
        """`sources` of one record, as tensors -> what `read` gives, in an input pipeline."""
        from retinue.data.decoding import decode

        return self.read(decode.read_encoded(columns["file"]))

    @abc.abstractmethod
    def prepare(self, image):
        """The same from what `photo` gives, or from pixels, uint8 `[h, w, 3]`, RGB and upright."""

    @abc.abstractmethod
    def inference(self, model):
        """A `keras.Model` from a batch of what `read` gives to a dict of named outputs; what the runtimes compile."""

    def wrap_inference(self, run):
        """What the stages call in place of `run`, a function from a batch of `read`'s tensors to a dict of outputs."""
        return run

    def feature_models(self, model, input_size=None):
        """The net in two, a `FeatureModels`: what a frozen backbone says, and the head that learns from it. None where
        that is not worth its place on the disk, because the head stands on large maps.

        input_size: that of the training pictures in pixels, by default the model's.
        """
        return

    @abc.abstractmethod
    def postprocess(self, outputs):
        """A batch of `inference`'s outputs (dict of numpy arrays) -> a list of predictions."""

    @abc.abstractmethod
    def serve(self, outputs, names):
        """What an exported model answers, in TensorFlow operations: a batch of `inference`'s outputs and the class
        names, string `[classes]`, -> a dict of tensors that start with the batch's axis."""

    @abc.abstractmethod
    def compare_outputs(self, given, truth, tolerance):
        """How far a batch of outputs (dict of numpy arrays) is from the Keras model's, for the proof of an export.

        Gives a dict: largest_difference, float; same, how many files get the same answer; near_ties, how many others
        differ only where the Keras model itself is within `tolerance` of another answer; of masks and boxes, iou, too.
        """

    def check_classes(self, dataset):
        """The dataset as this task scores it. Raises RetinueError for examples of a class that the model can't know."""
        counts = zip(dataset.classes, dataset.class_counts(), strict=True)
        unknown = [name for name, count in counts if count and name not in self.classes]
        if unknown:
            raise RetinueError(
                f"{dataset.source}: the model does not know the class {', '.join(unknown[:5])}; it knows "
                f"{', '.join(self.classes[:20])}. Rename or leave out what it does not know"
            )
        return dataset

    @abc.abstractmethod
    def class_names_of_record(self, dataset, record):
        """The class names that a record of `dataset` holds, as a list, each once."""

    @abc.abstractmethod
    def ground_truth(self, dataset, record):
        """What `draw` and `judge` take as the truth of a record."""

    @abc.abstractmethod
    def summarize_errors(self, prediction, truth):
        """A prediction beside the truth, in words for the report: (list of str, list of dicts with label, a str; score,
        a float or None; right, a bool)."""

    @abc.abstractmethod
    def visualize_batch(self, inputs, targets):
        """A batch of `example`'s results (numpy arrays) as one looks at it: (list of uint8 `[h, w, 3]`, captions)."""

    def image_of_record(self, record):
        """A record of a dataset as a person looks at it, uint8 `[h, w, 3]`."""
        from retinue.data.decoding import decode

        return decode.decode_image(decode.read_encoded(record["file"])).numpy()

    @abc.abstractmethod
    def evaluator(self, interval=True):
        """An object with `update(predictions, dataset)` and `scores() -> Scores` (see tasks/scores.py).

        interval: whether the headline gets its interval, which takes time.
        """

    @abc.abstractmethod
    def draw(self, image, prediction, truth=None):
        """Picture of a prediction, and of a known truth: uint8 `[h, w, 3]` in, uint8 `[h', w', 3]` out."""
