"""`Task`: the contract between a task (classification, detection, ...) and the stages of the pipeline.

A stage (training, evaluation, prediction, export, ...) never asks which task it works for. It calls the methods of
`Task`, and nothing else of a task. To add a task, derive a class from `Task`, implement its abstract methods and
`targets`, and override the others where their default does not fit: those of this file, those for exported models
(task_export.py), and those that show and write predictions (task_output.py).

Four kinds of data go through the methods:

* A *record* is one row of a `Dataset`: a dict with `file`, `split` and the task's columns, for example `label`.
* *Outputs* are a dict of arrays whose first axis is the batch: what the model of `Task.inference` returns.
* A *prediction* is a dict for one record, made from the outputs by `Task.postprocess`. It is ready to become a line of
  `predictions.jsonl` (the stage adds the file and its size). Entries whose values are NumPy arrays are for the
  evaluator and are not written. Classification: `{"labels": [{"label": str, "score": float}, ...], "scores": float32
  [classes]}`.
* The *ground truth* is what `Task.ground_truth` returns for a record: whatever `draw` and `summarize_errors` of the
  same task need.
"""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retinue import backbones
from retinue.configs.errors import RetinueError, UsageError
from retinue.tasks.task_export import TaskExport
from retinue.tasks.task_output import Prediction, Record, TaskOutput

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

    from retinue.configs.schema import Config
    from retinue.data.dataset import Dataset
    from retinue.data.decoding.encoded_image import EncodedImage
    from retinue.tasks.feature_models import FeatureModels
    from retinue.tasks.model import TaskModel
    from retinue.tasks.scores import Evaluator


class Task(TaskOutput, TaskExport, abc.ABC):
    """A kind of prediction that a backbone can be trained for.

    An instance holds the configuration and the class names, and no weights.

    Attributes:
        name: the task's name in `config.task`.
        is_video: whether a record is a clip: a video, a part of one, or a folder of frames.
        variable_size: whether images of different sizes must not share a batch, because padding would change the
            outputs. Batches then hold only images to which `read` gives the same size.
        config: the configuration.
        classes: the class names. A label is an index into them.
        multi_label: whether a file may have several labels.
    """

    name: str = ""
    is_video: bool = False
    variable_size: bool = False

    def __init__(self, config: "Config", classes: Sequence[str], multi_label: bool = False) -> None:
        """Initialize the task.

        Args:
            config: the configuration.
            classes: the class names, in the order of the labels.
            multi_label: whether a file may have several labels.
        """
        self.config = config
        self.classes = tuple(classes)
        self.multi_label = multi_label

    # The model.

    @abc.abstractmethod
    def build(self, weights: str | None = None, class_counts: "np.ndarray | None" = None) -> "TaskModel":
        """Build the model: a backbone with pretrained weights and a freshly initialized head.

        Args:
            weights: what the backbone loads ("imagenet", "none", a file, ...). By default `config.model.weights`.
            class_counts: int `[classes]`, what `class_counts` returns for the training set, for losses that weight
                classes. None when a trained model is rebuilt.

        Returns:
            The untrained `TaskModel`.

        Raises:
            UsageError: the configuration does not fit the task or the backbone.
        """

    def inference(self, model: "TaskModel") -> "keras.Model":
        """Build the model that predicts. It is what every runtime compiles and every export contains.

        By default it maps `image`, uint8 `[n, s, s, 3]`, to `outputs`, what the model returns for it as float32.

        Args:
            model: what `build` returned, trained or not. The new model shares its layers.

        Returns:
            A model from a batch of what `read` returns to a dict of named outputs, whose first axis is the batch.
        """
        import keras

        size = self.config.model.input_size
        image = keras.Input((size, size, 3), dtype="uint8", name="image")
        outputs = model(keras.ops.cast(image, "float32"), training=False)
        return keras.Model({"image": image}, {"outputs": keras.ops.cast(outputs, "float32")}, name="inference")

    def wrap_inference(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the inference function, for example for sliding windows. By default it is returned unchanged.

        Args:
            run: function from a batch of what `read` returns (a dict of arrays) to a dict of outputs.

        Returns:
            A function with the same arguments and results. The stages call it instead of `run`.
        """
        return run

    def feature_models(self, model: "TaskModel", input_size: int | None = None) -> "FeatureModels | None":
        """Split the model into its frozen backbone and its head, so that features can be computed once and cached.

        Args:
            model: what `build` returned.
            input_size: side of the training images in pixels. By default `config.model.input_size`.

        Returns:
            The two parts, or None where caching would need too much disk space, because the head reads large feature
            maps. None is the default.
        """
        return None

    # Input sizes.

    def input_sizes(self) -> dict[str, int]:
        """Collect every input size that is configured, of the model and of the training stages.

        Returns:
            A dict from the configuration key (for example `train.stages.all.input_size`) to a size in pixels.
        """
        sizes = {"model.input_size": self.config.model.input_size}
        for name, stage in self.config.train.stages.items():
            if stage.input_size:
                sizes[f"train.stages.{name}.input_size"] = stage.input_size
        return sizes

    def check_input_size(self, key: str, size: int) -> None:
        """Check that an input size is large enough for the backbone.

        Args:
            key: the configuration key that sets the size, for the message.
            size: in pixels.

        Raises:
            UsageError: the backbone needs larger images.
        """
        name = self.config.model.backbone
        smallest = backbones.find(name).min_size
        if size < smallest:
            raise UsageError(
                f"{key}: {name} can't be built for images of {size} px; set {key} to at least {smallest}, the smallest "
                "size that this backbone takes"
            )

    # Datasets.

    def prepare_dataset(self, dataset: "Dataset") -> None:
        """Look for files that belong to the dataset (for example stored optical flow), and log what is there.

        By default nothing is done.

        Args:
            dataset: all records that the stage will read.

        Raises:
            UsageError: a file that the configuration names is missing, or was made with other settings.
        """
        return

    def check_classes(self, dataset: "Dataset") -> "Dataset":
        """Check that the model knows all classes of a dataset, before the dataset is scored.

        Args:
            dataset: the records to score.

        Returns:
            The dataset in the form that `evaluator` takes. By default it is unchanged.

        Raises:
            RetinueError: there are records of a class that the model does not know.
        """
        counts = zip(dataset.classes, dataset.class_counts(), strict=True)
        unknown = [name for name, count in counts if count and name not in self.classes]
        if unknown:
            raise RetinueError(
                f"{dataset.source}: the model does not know the class {', '.join(unknown[:5])}; it knows "
                f"{', '.join(self.classes[:20])}. Rename or remove what it does not know"
            )
        return dataset

    def split_calibration(self, dataset: "Dataset") -> "tuple[Dataset, Dataset]":
        """Split the training set into records for training and records for `calibrate`.

        Args:
            dataset: the training set.

        Returns:
            The records for training, and those for calibration. By default all of them, and none.
        """
        return dataset, dataset.take([])

    def calibrate(self, model: "TaskModel", predictions: Sequence[Prediction], dataset: "Dataset") -> str:
        """Fit, after training, what is fitted to predictions on records that were not used for training.

        It is called only where `split_calibration` returned records for it.

        Args:
            model: the trained model, which is changed in place.
            predictions: the model's predictions for `dataset`, in its order.
            dataset: the records for calibration.

        Returns:
            One line that describes the result, for the log.
        """
        raise NotImplementedError(f"the task {self.name} reserves no training files for calibration")

    def class_counts(self, dataset: "Dataset") -> "np.ndarray":
        """Count the examples of each class in the training set, for `build`.

        Args:
            dataset: the training set.

        Returns:
            int `[classes]`. By default the number of files; segmentation counts pixels.
        """
        return dataset.class_counts()

    def class_names_of_record(self, dataset: "Dataset", record: Record) -> list[str]:
        """List the names of the classes that a record of `dataset` shows, each once. By default there are none."""
        return []

    # Input pipelines.

    def columns(self, dataset: "Dataset") -> dict[str, Any]:
        """Select the columns that `example` needs. `data.batches` slices them into records.

        Returns:
            A dict from names to arrays or `Ragged`s with one row for each record. `file` is always among them. By
            default all columns of the dataset.
        """
        return {"file": dataset.files} | dataset.columns

    def input_columns(self, dataset: "Dataset") -> dict[str, Any]:
        """Select the columns that `read_record` needs: `columns` without annotations, so that they exist for new data.

        Returns:
            A dict as in `columns`. By default `{"file": ...}` alone.
        """
        return {"file": dataset.files}

    def targets(self, columns: Mapping[str, "tf.Tensor"]) -> Any:
        """Convert the annotations to targets for the default `example`, in TensorFlow operations.

        Args:
            columns: the `columns` of one record, as tensors.

        Returns:
            What the loss takes, without the batch axis.
        """
        raise NotImplementedError(f"the task {self.name} defines neither targets nor an example function of its own")

    def example(self, training: bool, input_size: int | None = None) -> Callable[..., tuple[Any, Any]]:
        """Make the function that reads one training example.

        By default the inputs are the image, resized by `data.resize_mode` and in training augmented as `augment` says,
        uint8 `[s, s, 3]`; and the targets are what `targets` returns.

        Args:
            training: whether the examples are augmented.
            input_size: side of the images in pixels. By default `config.model.input_size`.

        Returns:
            A function from the columns of one record (a dict of tensors) and a seed, int32 `[2]`, to (inputs, targets).
            It consists of TensorFlow operations, and its result depends on its arguments alone.
        """
        from retinue.data.augmentation import geometry
        from retinue.data.decoding import resize

        size, resize_mode = input_size or self.config.model.input_size, self.config.data.resize_mode

        def make(columns: Mapping[str, "tf.Tensor"], seed: "tf.Tensor") -> tuple[Any, Any]:
            image = self.read_image(self.read_encoded(columns["file"]))
            if training:
                image = geometry.augment_image(image, self.config.augment, size, resize_mode, seed)
            else:
                image = resize.resize_image(image, size, resize_mode)
            return image, self.targets(columns)

        return make

    def padding(self, training: bool) -> Any:
        """Give the values that fill up the images of a batch when they differ in size.

        Args:
            training: whether the batch consists of `example`'s results, or of `read`'s.

        Returns:
            A scalar for each tensor, in the structure of `example`'s (inputs, targets) if training, else of `read`'s
            dict. None, the default, where all images have one size.
        """
        return None

    def batch_mixing(self) -> Callable[..., tuple[Any, Any]] | None:
        """Make the function that mixes the images of a training batch (mixup, CutMix).

        Returns:
            A function (inputs, targets, seeds) -> (inputs, targets) over a batch, with seeds int32 `[batch, 2]`, or
            None, the default, where nothing is mixed.
        """
        return None

    def read_encoded(self, file: "tf.Tensor") -> "tf.Tensor":
        """Read the bytes of an image file, string scalar, by its path; see `data.decoding.decode.read_encoded`."""
        from retinue.data.decoding.decode import read_encoded

        return read_encoded(file, self.config.data.pixel_range)

    def read_image(self, encoded: "tf.Tensor", upright_jpeg: bool = False) -> "tf.Tensor | EncodedImage":
        """Make an image file ready for `prepare`.

        Args:
            encoded: string scalar, the bytes of the file.
            upright_jpeg: whether the file is known to be a JPEG without EXIF rotation (see `EncodedImage`).

        Returns:
            With `data.jpeg_dct_scaling` an `EncodedImage`, which is decoded later and no larger than necessary.
            Otherwise the pixels, uint8 `[h, w, 3]`.
        """
        from retinue.data.decoding.decode import decode_image
        from retinue.data.decoding.encoded_image import EncodedImage

        if not self.config.data.jpeg_dct_scaling:
            return decode_image(encoded, self.config.data.pixel_range)
        return EncodedImage(encoded, upright_jpeg, self.config.data.pixel_range)

    def prepare(self, image: "tf.Tensor | np.ndarray | EncodedImage") -> "dict[str, tf.Tensor]":
        """Resize one image to what the model takes.

        Args:
            image: what `read_image` returns, or pixels: uint8 `[h, w, 3]`, RGB, upright.

        Returns:
            The dict of tensors that `inference` takes, without the batch axis. By default `image`, uint8 `[s, s, 3]`.
        """
        from retinue.data.decoding import resize

        return {"image": resize.resize_image(image, self.config.model.input_size, self.config.data.resize_mode)}

    def read(self, encoded: "tf.Tensor") -> "dict[str, tf.Tensor]":
        """Decode and resize one image file.

        Args:
            encoded: string scalar, the bytes of the file.

        Returns:
            What `prepare` returns.
        """
        return self.prepare(self.read_image(encoded))

    def read_record(self, columns: Mapping[str, "tf.Tensor"]) -> "dict[str, tf.Tensor]":
        """Read one record for inference, in an input pipeline.

        Args:
            columns: the `input_columns` of one record, as tensors.

        Returns:
            What `read` returns.
        """
        return self.read(self.read_encoded(columns["file"]))

    # Predictions.

    @abc.abstractmethod
    def postprocess(self, outputs: "Mapping[str, np.ndarray]") -> list[Prediction]:
        """Convert a batch of outputs to predictions, one for each image (see the module's docstring)."""

    # Evaluation.

    @abc.abstractmethod
    def evaluator(self, interval: bool = True) -> "Evaluator":
        """Make the object that scores predictions.

        Args:
            interval: whether to compute the confidence interval of the primary metric, which takes time.
        """

    @abc.abstractmethod
    def ground_truth(self, dataset: "Dataset", record: Record) -> Any:
        """Return the ground truth of a record of `dataset`, as `draw` and `summarize_errors` take it."""
