"""Segmentation: a class for every pixel, by FCN, dilated models or DeepLabV3 on a pretrained backbone."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.data.augmentation import masks
from retinue.data.checking.mask_sheet import blend, class_colors
from retinue.data.dataset import Dataset
from retinue.data.decoding.encoded_image import EncodedImage
from retinue.data.decoding.exif import exif_orientation
from retinue.data.decoding.mask_file import read_mask
from retinue.data.decoding.resize import pad_to, size_of
from retinue.data.void_label import VOID
from retinue.tasks.model import TaskModel
from retinue.tasks.scores import Evaluator
from retinue.tasks.segmentation import draw, model, postprocessing, scores, torchvision
from retinue.tasks.segmentation.explainer import SegmentationExplainer
from retinue.tasks.segmentation.ground_truth import read_ground_truth
from retinue.tasks.segmentation.result_writer import MaskResultWriter
from retinue.tasks.segmentation.tiling import tile_inference
from retinue.tasks.synthetic_images import gray_images_with_square, random_labels_and_noise
from retinue.tasks.task import Prediction, Record, Task

if TYPE_CHECKING:
    from retinue.tasks.explainer import CompileModel
    from retinue.tasks.report_section import Section
    from retinue.tasks.scores import Scores
    from retinue.tasks.worst_images import WorstImage

ROWS_PER_COUNT = 1024  # rows of a mask that are counted at a time: counting takes 8 bytes per pixel
MAX_TIED_PIXELS = 0.001  # fraction of an image's pixels that may lie where two classes have the same score
CORRECT_IOU = 0.5  # the report marks a class as correct from this IoU on


class Segmentation(Task):
    """Class ids for every pixel of images of any size.

    The model is trained on squares of `model.input_size`. It predicts for whole images, whose longer side is at most
    `segmentation.max_size` inside the model, at their original size. Only images of one size share a batch, so that no
    padding can change a prediction.
    """

    name = "segmentation"
    draws_on_image = True
    variable_size = True
    serve_padding = {"mask": VOID}

    def build(self, weights: str | None = None, class_counts: np.ndarray | None = None) -> TaskModel:
        """Build the untrained model; see model.py.

        Args:
            weights: what the backbone loads; by default `config.model.weights`. A .pth file of one of torchvision's
                segmentation models initializes the head as well.
            class_counts: int64 [classes], training pixels of each class, for `train.class_balance`.

        Returns:
            The `TaskModel`.

        Raises:
            UsageError: the configuration does not fit segmentation, the head or the weights.
        """
        self._check_settings()
        source = self.config.model.weights if weights is None else weights
        if not torchvision.is_segmentation_checkpoint(source):
            return model.build(self.config, len(self.classes), source, class_counts)
        head = self.config.segmentation.head
        if head not in torchvision.HEADS:
            raise UsageError(
                f"{source}: this checkpoint fits segmentation.head=fcn or deeplabv3, not {head}; change the head or "
                "model.weights"
            )
        built = model.build(self.config, len(self.classes), "none", class_counts)
        torchvision.load_weights(built, source, head)
        return built

    def class_counts(self, dataset: Dataset) -> np.ndarray:
        """Count the pixels of each class, int64 [classes]."""
        return dataset.columns["pixels"].sum(axis=0)

    def columns(self, dataset: Dataset) -> dict[str, Any]:
        """Select `file`, `mask` and `values` (see `data.decoding.mask_file`)."""
        return {"file": dataset.files} | {name: dataset.columns[name] for name in ("mask", "values")}

    def example(self, training: bool, input_size: int | None = None) -> Callable[..., tuple[Any, Any]]:
        """Make the function from (columns of one record, seed) to (image, mask).

        For training it crops a random square; otherwise it shrinks the whole image to fit and pads it.

        Args:
            training: whether the examples are augmented.
            input_size: side s of the images in pixels; by default `config.model.input_size`.

        Returns:
            A function that returns uint8 [s, s, 3] and class ids uint8 [s, s], 255 for void.
        """
        size = input_size or self.config.model.input_size
        settings, augment, num_classes = self.config.segmentation, self.config.augment, len(self.classes)

        def make_example(columns: Mapping[str, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            encoded = self.read_encoded(columns["file"])
            image = self.read_image(encoded)
            arguments = (columns["mask"], columns["values"], size_of(image), exif_orientation(encoded))
            mask = tf.numpy_function(
                lambda *arrays: _read_mask(num_classes, settings.resize_masks, *arrays), arguments, tf.uint8
            )
            mask.set_shape([None, None])
            if training:
                return masks.augment_image_and_mask(
                    image,
                    mask,
                    augment,
                    size,
                    seed,
                    scale_range=settings.scale_range,
                    rotation_degrees=settings.rotation_degrees,
                    max_size=settings.max_size,
                )
            small = masks.resize_to_max_size(image, size)
            ids = tf.image.resize(mask[:, :, None], tf.shape(small)[:2], method="nearest")
            return pad_to(small, size, masks.FILL), pad_to(ids, size, VOID)[:, :, 0]

        return make_example

    def batch_mixing(self) -> None:
        """Return None: segmentation does not mix images."""
        return None

    def read(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode one image file and resize it as `prepare` does."""
        return self.prepare(self.read_image(encoded))

    def prepare(self, image: tf.Tensor | np.ndarray | EncodedImage) -> dict[str, tf.Tensor]:
        """Shrink one image to at most `segmentation.max_size`; with tiles it keeps its size.

        Returns:
            image: uint8 [h', w', 3]; original_size: int32 [2], height and width in pixels.
        """
        settings = self.config.segmentation
        if settings.tile_size:
            resized = image.decode() if isinstance(image, EncodedImage) else image
        else:
            resized = masks.resize_to_max_size(image, settings.max_size)
        return {"image": resized, "original_size": size_of(image)}

    def inference(self, model: TaskModel) -> keras.Model:
        """Build the model that predicts; see `postprocessing.inference`."""
        return postprocessing.inference(model, self.config.segmentation)

    def wrap_inference(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Run the model in overlapping tiles if `segmentation.tile_size` is set and an image is larger."""
        settings = self.config.segmentation
        return tile_inference(run, settings.tile_size, settings.tile_overlap) if settings.tile_size else run

    def postprocess(self, outputs: Mapping[str, np.ndarray]) -> list[Prediction]:
        """Convert outputs to dicts of mask uint8 [H, W], pixels {class: count} and the mean confidence."""
        predictions = []
        for ids, confidence in zip(outputs["mask"], outputs["confidence"], strict=True):
            counts = np.zeros(len(self.classes), np.int64)
            for row in range(0, len(ids), ROWS_PER_COUNT):
                counts += np.bincount(ids[row : row + ROWS_PER_COUNT].ravel(), minlength=len(self.classes))
            pixels = dict(zip(self.classes, counts.tolist(), strict=True))
            predictions.append({"mask": ids, "pixels": pixels, "confidence": round(float(confidence.mean()), 4)})
        return predictions

    def serve(self, outputs: Mapping[str, tf.Tensor], names: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return what an exported segmentation model returns.

        Args:
            outputs: the outputs of `inference`.
            names: string [classes].

        Returns:
            mask uint8 [n, H, W], class ids at the original size, 255 beside smaller images; classes string [n,
            classes]; pixels int32 [n, classes]; with `segmentation.export_scores` also scores float32 [n, H, W,
            classes].
        """
        mask = outputs["mask"]
        count, num_classes = tf.shape(mask)[0], len(self.classes)
        pixels = tf.math.bincount(
            tf.cast(tf.reshape(mask, [count, -1]), tf.int32), minlength=num_classes, maxlength=num_classes, axis=-1
        )
        served = {
            "mask": mask,
            "classes": tf.tile(names[None], [count, 1]),
            "pixels": tf.ensure_shape(pixels, [None, num_classes]),
        }
        return served | ({"scores": outputs["scores"]} if "scores" in outputs else {})

    def compare_outputs(
        self, outputs: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray], tolerance: float
    ) -> dict[str, Any]:
        """Compare the confidences, if both have them, and the masks.

        A near tie is a mask that differs in at most a thousandth of its pixels while the confidences agree. iou is the
        IoU of the two masks, averaged over the classes in either and over the files.
        """
        largest = 0.0
        if "confidence" in outputs:
            largest = float(np.abs(outputs["confidence"] - reference["confidence"]).max())
        wrong = np.mean(outputs["mask"] != reference["mask"], axis=(1, 2))
        pairs = zip(outputs["mask"], reference["mask"], strict=True)
        ious = [[row.iou or 0.0 for row in draw.class_fractions(*pair, self.classes)] for pair in pairs]
        return {
            "iou": float(np.mean([np.mean(of_file) for of_file in ious])),
            "largest_difference": largest if (wrong <= MAX_TIED_PIXELS).all() else 1.0,
            "same": int((wrong == 0).sum()),
            "near_ties": int(((wrong > 0) & (wrong <= MAX_TIED_PIXELS)).sum()),
        }

    def class_names_of_record(self, dataset: Dataset, record: Record) -> list[str]:
        """List the classes that the mask of a record has."""
        return [dataset.classes[label] for label in record["labels"]]

    def ground_truth(self, dataset: Dataset, record: Record) -> np.ndarray:
        """Read the true mask, uint8 [H, W], as class ids of the model."""
        return read_ground_truth(dataset, record, self.classes, resize=self.config.segmentation.resize_masks)

    def summarize_errors(self, prediction: Prediction, truth: np.ndarray) -> tuple[list[str], list[dict[str, Any]]]:
        """Return the true classes, and each class of either mask with its IoU; right from an IoU of 0.5 on."""
        fractions = draw.class_fractions(prediction["mask"], truth, self.classes)
        true_names = [name for label, name in enumerate(self.classes) if (truth == label).any()]
        return true_names, [
            {"label": row.name, "score": row.iou, "right": row.iou is not None and row.iou >= CORRECT_IOU}
            for row in fractions
        ]

    def visualize_batch(self, inputs: Any, targets: Any) -> tuple[list[np.ndarray], list[str]]:
        """Draw the images under their masks; the captions name the classes in them."""
        colors = class_colors(self.classes)
        images = [blend(image, ids, colors) for image, ids in zip(inputs, targets, strict=True)]
        captions = [
            ", ".join(name for label, name in enumerate(self.classes) if (ids == label).any()) or "all void"
            for ids in targets
        ]
        return images, captions

    def evaluator(self, interval: bool = True) -> Evaluator:
        """Make a `SegmentationEvaluator`; without `interval` there is no bootstrap and no boundary score."""
        resamples = self.config.evaluate.bootstrap_samples if interval else 0
        resize_masks = self.config.segmentation.resize_masks
        return scores.SegmentationEvaluator(self.classes, resamples, self.config.seed, resize_masks)

    def draw(self, image: np.ndarray, prediction: Prediction, truth: Any = None) -> np.ndarray:
        """Draw the image under its mask; see draw.py."""
        return draw.draw(image, prediction["mask"], self.classes, truth)

    def result_writer(
        self, class_ids: Sequence[int | str] = (), image_ids: Mapping[str, int | str] | None = None
    ) -> MaskResultWriter:
        """Write masks as PNG files, and the pixels of each class; see result_writer.py."""
        return MaskResultWriter(self.classes)

    def report_sections(self, scores: "Scores", worst_images: "Sequence[WorstImage]") -> "list[Section]":
        """Make the sections of the report; see report.py."""
        from retinue.tasks.segmentation import report  # imports matplotlib

        return report.report_sections(scores, worst_images)

    def metric_descriptions(self) -> Mapping[str, str]:
        """Explain the metrics; see report.py."""
        from retinue.tasks.segmentation import report

        return report.METRICS

    def explainer(self, name: str, model: TaskModel, compile_model: "CompileModel") -> SegmentationExplainer:
        """Make a `SegmentationExplainer`."""
        return SegmentationExplainer(name, self, model, compile_model)

    def synthetic_batch(self, batch_size: int) -> tuple[Any, Any] | None:
        """Make gray images with a square of their class; the gray pixels have the other class."""
        side = self.config.model.input_size
        _, labels, noise = random_labels_and_noise(batch_size, side)
        images, square = gray_images_with_square(labels, noise)
        masks = np.repeat(1 - labels, side * side).reshape(batch_size, side, side)
        masks[:, square, square] = labels[:, None, None]
        return images, masks.astype(np.uint8)

    def _check_settings(self) -> None:
        """Raise UsageError for settings that segmentation does not support."""
        for key in ("mixup", "cutmix", "randaugment_num_ops"):
            if getattr(self.config.augment, key):
                raise UsageError(
                    f"augment.{key}: segmentation does not support it, since masks can't follow; set it to 0"
                )
        for key, size in self.input_sizes().items():
            self.check_input_size(key, size)


def _read_mask(
    num_classes: int,
    resize: bool,
    path: bytes | np.ndarray,
    values: np.ndarray,
    size: np.ndarray,
    orientation: np.ndarray,
) -> np.ndarray:
    """Call `read_mask` from a graph, which passes strings as bytes."""
    encoded = path if isinstance(path, bytes) else path.item()
    height, width = size.tolist()
    name = encoded.decode("utf-8", "surrogateescape")
    return read_mask(name, values, num_classes, (height, width), int(orientation), resize)
