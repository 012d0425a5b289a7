"""The task detection: boxes and classes of the objects in an image, by Faster R-CNN on a pretrained backbone."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.data.augmentation.boxes import augment_image_and_boxes, resize_image_and_boxes
from retinue.data.dataset import Dataset
from retinue.data.decoding.encoded_image import EncodedImage
from retinue.data.decoding.resize import size_of
from retinue.tasks.detection import draw, export_agreement, torchvision
from retinue.tasks.detection import model as detection_model
from retinue.tasks.detection.explainer import DetectionExplainer
from retinue.tasks.detection.matching import IGNORED_LABEL, PADDING_LABEL
from retinue.tasks.detection.result_writer import BoxResultWriter
from retinue.tasks.detection.scores import DetectionEvaluator
from retinue.tasks.model import TaskModel
from retinue.tasks.synthetic_images import gray_images_with_square, random_labels_and_noise
from retinue.tasks.task import Prediction, Record, Task

if TYPE_CHECKING:
    from retinue.tasks.explainer import CompileModel
    from retinue.tasks.report_section import Section
    from retinue.tasks.scores import Scores
    from retinue.tasks.worst_images import WorstImage


class Detection(Task):
    """Predicts boxes, with a class and a score each. Images may have any size, also within a batch.

    An image is resized so that its shorter side is `model.input_size`, unless the longer one would then be above
    `detection.max_size`. It is padded with zeros, below and to the right, to a multiple of the largest stride.
    """

    name = "detection"
    class_count_unit = "objects"
    draws_on_image = True
    has_boxes = True
    quantize_layers_only = True  # proposals and boxes are arithmetic: only layers are worth 8 bits
    quantize_excluded_patterns = (".*roi_align.*",)
    device_check_settings = ("model.input_size=128",)

    def build(self, weights: str | None = None, class_counts: np.ndarray | None = None) -> TaskModel:
        """Build the model; see model.py for its inputs and outputs.

        Args:
            weights: what the backbone loads. By default `config.model.weights`. From a .pth file of one of
                torchvision's Faster R-CNNs, the pyramid, the RPN and the heads get their weights as well.
            class_counts: not used.

        Returns:
            The untrained model.

        Raises:
            UsageError: the configuration does not fit the backbone.
        """
        self._check_sizes()
        source = self.config.model.weights if weights is None else weights
        if not torchvision.is_detector(source):
            return detection_model.build(self.config, len(self.classes), source)
        detector = detection_model.build(self.config, len(self.classes), "none")
        torchvision.load_weights(detector, source)
        return detector

    def columns(self, dataset: Dataset) -> dict[str, Any]:
        """Return `file` and four `Ragged`s: `boxes` float32 `[m, 4]`, `labels` int64, `crowd` and `difficult` bool."""
        names = ("boxes", "labels", "crowd", "difficult")
        return {"file": dataset.files} | {name: dataset.columns[name] for name in names}

    def example(self, training: bool, input_size: int | None = None) -> Callable[..., tuple[Any, Any]]:
        """Make the function (columns of one record, seed) -> (inputs of the `TaskModel`, ()).

        There are no targets, because the model computes them itself. Crowds and difficult objects are ignored: they
        are neither objects nor background.
        """
        min_size, max_size = input_size or self.config.model.input_size, self.config.detection.max_size
        augment, size_divisor = self.config.augment, detection_model.largest_stride(self.config.detection.architecture)

        def read_example(columns: Mapping[str, tf.Tensor], seed: tf.Tensor) -> tuple[dict[str, tf.Tensor], tuple[()]]:
            image = self.read_image(self.read_encoded(columns["file"]))
            boxes = tf.cast(columns["boxes"], tf.float32)
            is_ignored = columns["crowd"] | columns["difficult"]
            labels = tf.where(is_ignored, IGNORED_LABEL, tf.cast(columns["labels"], tf.int32))
            if training:
                image, boxes, labels = augment_image_and_boxes(image, boxes, labels, augment, min_size, max_size, seed)
            else:
                image, boxes = resize_image_and_boxes(image, boxes, min_size, max_size)
            inputs = {"image": _pad(image, size_divisor), "size": tf.shape(image)[:2]}
            return inputs | {"boxes": boxes, "labels": labels, "seed": seed}, ()

        return read_example

    def padding(self, training: bool) -> Any:
        """Return the padding: black pixels, and boxes of zeros with the label -1."""
        read = {"image": tf.constant(0, tf.uint8), "size": tf.constant(0), "original_size": tf.constant(0)}
        if not training:
            return read
        boxes = {"boxes": tf.constant(0.0), "labels": tf.constant(PADDING_LABEL), "seed": tf.constant(0)}
        return {"image": read["image"], "size": read["size"]} | boxes, ()

    def batch_mixing(self) -> None:
        """Return None: detection does not mix images."""
        return None

    def read(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode one image file, a string scalar, and return what `prepare` returns."""
        return self.prepare(self.read_image(encoded))

    def prepare(self, image: tf.Tensor | np.ndarray | EncodedImage) -> dict[str, tf.Tensor]:
        """Resize and pad an image.

        Args:
            image: uint8 `[h, w, 3]`, RGB, or an `EncodedImage`.

        Returns:
            A dict: image uint8 `[h', w', 3]`, resized and padded; size int32 `[2]`, its height and width without the
            padding; original_size int32 `[2]`.
        """
        min_size, max_size = self.config.model.input_size, self.config.detection.max_size
        resized, _ = resize_image_and_boxes(image, tf.zeros([0, 4]), min_size, max_size)
        size_divisor = detection_model.largest_stride(self.config.detection.architecture)
        sizes = {"size": tf.shape(resized)[:2], "original_size": size_of(image)}
        return {"image": _pad(resized, size_divisor)} | sizes

    def inference(self, model: TaskModel) -> keras.Model:
        """Build the model that predicts.

        From a batch of what `read` returns, padded to one size, it computes boxes float32 `[n, d, 4]` in pixels of the
        original image, scores float32 `[n, d]`, labels int32 `[n, d]`, count int32 `[n]` and the proposals; see
        proposals.py.
        """
        return detection_model.inference(model, self.config.detection)

    def postprocess(self, outputs: Mapping[str, np.ndarray]) -> list[Prediction]:
        """Convert a batch of outputs to predictions.

        Returns:
            A list of `{"detections": [{"label", "score", "box"}, ...], "boxes", "scores", "labels", "proposals"}`. The
            detections and proposals of an image are ordered by score, the best first.
        """
        predictions = []
        for row, count in enumerate(outputs["count"]):
            boxes, scores, labels = (outputs[name][row][:count] for name in ("boxes", "scores", "labels"))
            detections = [
                {"label": self.classes[label], "score": float(score), "box": [float(side) for side in box]}
                for box, score, label in zip(boxes, scores, labels, strict=True)
            ]
            proposals = outputs["proposals"][row]
            arrays = {"boxes": boxes, "scores": scores, "labels": labels, "proposals": proposals[proposals.any(-1)]}
            predictions.append({"detections": detections} | arrays)
        return predictions

    def serve(self, outputs: Mapping[str, tf.Tensor], names: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the detections, and names, string `[n, d]`, their classes; "" after the last detection."""
        labels = outputs["labels"]
        detections = {name: outputs[name] for name in ("boxes", "scores", "labels", "count")}
        return detections | {"names": tf.where(labels >= 0, tf.gather(names, tf.maximum(labels, 0)), "")}

    def compare_outputs(
        self, outputs: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray], tolerance: float
    ) -> dict[str, Any]:
        """Compare the detections; see export_agreement.py."""
        settings = self.config.detection
        return export_agreement.compare(outputs, reference, tolerance, settings.score_threshold, settings.nms_threshold)

    def class_names_of_record(self, dataset: Dataset, record: Record) -> list[str]:
        """List the classes of a record's objects, each once."""
        return [dataset.classes[label] for label in np.unique(record["labels"])]

    def ground_truth(self, dataset: Dataset, record: Record) -> dict[str, Any]:
        """Return boxes, labels and ignored; see draw.py."""
        return draw.truth_of_record(dataset, record)

    def summarize_errors(
        self, prediction: Prediction, truth: Mapping[str, Any]
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """Count true positives, confusions, false negatives and false positives; see draw.py."""
        return draw.summarize_errors(prediction, truth)

    def visualize_batch(self, inputs: Mapping[str, Any], targets: Any) -> tuple[list[np.ndarray], list[str]]:
        """Draw the images without their padding, with the objects that the model is trained on."""
        images, captions = [], []
        names = ("image", "size", "boxes", "labels")
        for image, (height, width), boxes, labels in zip(*(np.asarray(inputs[name]) for name in names), strict=True):
            is_object = labels != PADDING_LABEL
            image = draw.draw_objects(image[:height, :width], boxes[is_object], labels[is_object], self.classes)
            images.append(image)
            captions.append(f"{np.sum(labels >= 0)} objects")
        return images, captions

    def evaluator(self, interval: bool = True) -> DetectionEvaluator:
        """Make a `DetectionEvaluator` for these classes. Without `interval` there is no bootstrap."""
        resamples = self.config.evaluate.bootstrap_samples if interval else 0
        return DetectionEvaluator(self.classes, resamples, self.config.seed)

    def draw(self, image: np.ndarray, prediction: Prediction, truth: Mapping[str, Any] | None = None) -> np.ndarray:
        """Draw the boxes on the image; see draw.py."""
        return draw.draw(image, prediction, self.classes, truth)

    def result_writer(
        self, class_ids: Sequence[int | str] = (), image_ids: Mapping[str, int | str] | None = None
    ) -> BoxResultWriter:
        """Write boxes with their labels and scores, also in COCO's format; see result_writer.py."""
        return BoxResultWriter(self.classes, class_ids, image_ids)

    def report_sections(self, scores: "Scores", worst_images: "Sequence[WorstImage]") -> "list[Section]":
        """Make the sections of the report; see report.py."""
        from retinue.tasks.detection import report  # imports matplotlib

        return report.report_sections(scores, worst_images)

    def metric_descriptions(self) -> Mapping[str, str]:
        """Explain the metrics; see report.py."""
        from retinue.tasks.detection import report

        return report.METRICS

    def explainer(self, name: str, model: TaskModel, compile_model: "CompileModel") -> DetectionExplainer:
        """Make a `DetectionExplainer`."""
        return DetectionExplainer(name, self, model, compile_model)

    def synthetic_batch(self, batch_size: int) -> tuple[Any, Any] | None:
        """Make gray images with a square in the color of its class, and its box."""
        side = self.config.model.input_size
        random, labels, noise = random_labels_and_noise(batch_size, side)
        images, square = gray_images_with_square(labels, noise)
        box = np.array([square.start, square.start, square.stop, square.stop], np.float32)
        return {
            "image": images,
            "size": np.full((batch_size, 2), side, np.int32),
            "boxes": np.tile(box, (batch_size, 1, 1)),
            "labels": labels[:, None].astype(np.int32),
            "seed": random.integers(0, 1000, (batch_size, 2)).astype(np.int32),
        }, ()

    def _check_sizes(self) -> None:
        """Raise UsageError for a shorter side above the longest one, or below what the backbone takes."""
        for key, size in self.input_sizes().items():
            self.check_input_size(key, size)
            if size > self.config.detection.max_size:
                raise UsageError(
                    f"{key}: the shorter side, {size}, is above detection.max_size, {self.config.detection.max_size}; "
                    "lower the one or raise the other"
                )


def _pad(image: tf.Tensor, size_divisor: int) -> tf.Tensor:
    """Pad an image, uint8 `[h, w, 3]`, with zeros below and to the right, to multiples of `size_divisor`."""
    shape = tf.shape(image)
    missing = -shape[:2] % size_divisor
    image = tf.pad(image, [[0, missing[0]], [0, missing[1]], [0, 0]])
    return tf.ensure_shape(image, [None, None, 3])
