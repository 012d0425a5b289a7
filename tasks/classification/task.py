"""Classification: global average pooling, dropout and one linear layer on a pretrained backbone."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from retinue import backbones
from retinue.backbones.dropout import Dropout
from retinue.configs.errors import RetinueError, UsageError
from retinue.data.augmentation import geometry, mixup_cutmix
from retinue.data.dataset import Dataset, Ragged
from retinue.data.decoding import resize
from retinue.data.decoding.encoded_image import EncodedImage
from retinue.tasks import class_balance
from retinue.tasks.classification import draw, losses, scores, test_time_augmentation
from retinue.tasks.classification.explainer import ClassifierExplainer, probability_function
from retinue.tasks.classification.metrics import LABEL_THRESHOLD
from retinue.tasks.classification.result_writer import LabelResultWriter
from retinue.tasks.explainer import Explainer
from retinue.tasks.feature_models import FeatureModels
from retinue.tasks.model import TaskModel
from retinue.tasks.scores import Evaluator
from retinue.tasks.synthetic_images import colored_images, random_labels_and_noise
from retinue.tasks.task import Prediction, Record, Task

if TYPE_CHECKING:
    from retinue.tasks.explainer import CompileModel
    from retinue.tasks.report_section import Section
    from retinue.tasks.scores import Scores
    from retinue.tasks.worst_images import WorstImage

POOL_LAYER = "head_pool"  # the backbone's features are cached behind this layer
MAX_WRITTEN_LABELS = 5  # best labels in a prediction; all labels are written if there are at most twice as many


class Classification(Task):
    """One label per image (softmax), or any number of labels (sigmoid) with `multi_label`."""

    name = "classification"
    has_class_maps = True

    def build(self, weights: str | None = None, class_counts: np.ndarray | None = None) -> TaskModel:
        """Build the untrained model: RGB float32 [n, h, w, 3] in 0..255 -> logits float32 [n, classes].

        Args:
            weights: what the backbone loads; by default `config.model.weights`.
            class_counts: int [classes], training files of each class, for `train.class_balance`.

        Returns:
            The `TaskModel`.

        Raises:
            UsageError: the backbone can't take a configured input size.
        """
        model, train = self.config.model, self.config.train
        self._check_input_sizes()
        size = None if backbones.find(model.backbone).any_size else model.input_size
        backbone = backbones.build(
            model.backbone, weights=model.weights if weights is None else weights, input_size=size
        )
        features = backbone.output[max(backbone.output)]
        pooled = layers.GlobalAveragePooling2D(name=POOL_LAYER)(features)
        pooled = Dropout(model.dropout, name="head_dropout")(pooled)
        logits = layers.Dense(
            len(self.classes), kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), name="head_logits"
        )(pooled)
        cross_entropy = losses.sigmoid_cross_entropy if self.multi_label else losses.softmax_cross_entropy
        class_weights = class_balance.class_weights(train.class_balance, class_counts)
        smoothing = train.label_smoothing

        def loss(targets: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"loss": cross_entropy(targets, outputs, smoothing, class_weights)}

        names = [layer.name for layer in backbone.layers]
        return TaskModel(backbone.input, logits, loss, ("loss",), names, name="classification")

    def columns(self, dataset: Dataset) -> dict[str, Any]:
        """Select `file`, and `label` int64 [n] or, with several labels, the multi-hot `labels` float32 [n, classes]."""
        if not self.multi_label:
            return {"file": dataset.files, "label": dataset.columns["label"]}
        labels = dataset.columns["labels"]
        multi_hot = np.zeros((len(dataset), len(self.classes)), np.float32)
        multi_hot[labels.value_rowids(), labels.values] = 1.0
        return {"file": dataset.files, "labels": multi_hot}

    def example(self, training: bool, input_size: int | None = None) -> Callable[..., tuple[Any, Any]]:
        """Make the function from (columns of one record, seed) to (uint8 [s, s, 3], target float32 [classes])."""
        size, resize_mode = input_size or self.config.model.input_size, self.config.data.resize_mode
        augment = self.config.augment

        def make_example(columns: Mapping[str, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image = self.read_image(self.read_encoded(columns["file"]))
            if training:
                image = geometry.augment_image(image, augment, size, resize_mode, seed)
            else:
                image = resize.resize_image(image, size, resize_mode)
            return image, self._targets(columns)

        return make_example

    def batch_mixing(self) -> Callable[..., tuple[Any, Any]] | None:
        """Make the function that applies mixup and CutMix to a training batch; None if both are off."""
        mixup, cutmix = self.config.augment.mixup, self.config.augment.cutmix
        if not mixup and not cutmix:
            return None
        return lambda images, targets, seeds: mixup_cutmix.mix(images, targets, seeds, mixup=mixup, cutmix=cutmix)

    def read(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode and resize one image file to {"image": uint8 [s, s, 3]}."""
        return self.prepare(self.read_image(encoded))

    def prepare(self, image: tf.Tensor | np.ndarray | EncodedImage) -> dict[str, tf.Tensor]:
        """Resize one image to {"image": uint8 [s, s, 3]}; with ten crops, s is larger than the model's input."""
        size = test_time_augmentation.source_size(self.config.model.input_size, self.config.evaluate.tta)
        return {"image": resize.resize_image(image, size, self.config.data.resize_mode)}

    def inference(self, model: TaskModel) -> keras.Model:
        """Build the model {"image": uint8 [n, s, s, 3]} -> {"scores": float32 [n, classes]}, with TTA."""
        input_size, tta = self.config.model.input_size, self.config.evaluate.tta
        size = test_time_augmentation.source_size(input_size, tta)
        image = keras.Input((size, size, 3), dtype="uint8", name="image")
        copies = test_time_augmentation.augmented_copies(ops.cast(image, "float32"), tta, input_size)
        probabilities = self._probabilities(model(copies, training=False))
        mean = test_time_augmentation.mean_over_copies(probabilities, tta)
        return keras.Model({"image": image}, {"scores": mean}, name="inference")

    def feature_models(self, model: TaskModel, input_size: int | None = None) -> FeatureModels | None:
        """Split the model behind the global pooling.

        The features are float32 [n, channels] for training and [n, augmented copies, channels] for validation.
        """
        size, tta = input_size or self.config.model.input_size, self.config.evaluate.tta
        backbone = keras.Model(model.input, model.get_layer(POOL_LAYER).output)
        channels, num_copies = backbone.output.shape[-1], test_time_augmentation.NUM_COPIES[tta]
        image = keras.Input((size, size, 3), dtype="uint8", name="image")
        training = keras.Model({"image": image}, {"features": backbone(ops.cast(image, "float32"), training=False)})
        side = test_time_augmentation.source_size(self.config.model.input_size, tta)
        image = keras.Input((side, side, 3), dtype="uint8", name="image")
        copies = test_time_augmentation.augmented_copies(ops.cast(image, "float32"), tta, self.config.model.input_size)
        copies = ops.reshape(backbone(copies, training=False), (num_copies, -1, channels))
        validation = keras.Model({"image": image}, {"features": ops.transpose(copies, (1, 0, 2))})
        head = model.submodel_after(POOL_LAYER)
        features = keras.Input((num_copies, channels), name="features")
        probabilities = self._probabilities(head(ops.reshape(features, (-1, channels)), training=False))
        probabilities = ops.mean(ops.reshape(probabilities, (-1, num_copies, len(self.classes))), axis=1)
        inference = keras.Model({"features": features}, {"scores": probabilities})
        return FeatureModels(training, validation, head, inference, self._targets)

    def postprocess(self, outputs: Mapping[str, np.ndarray]) -> list[Prediction]:
        """Convert {"scores": [n, classes]} to dicts of "labels", [{"label", "score"}, ...] best first, and "scores"."""
        keep = len(self.classes) if len(self.classes) <= 2 * MAX_WRITTEN_LABELS else MAX_WRITTEN_LABELS
        predictions = []
        for row in outputs["scores"]:
            best = np.argsort(-row, kind="stable")[:keep]
            labels = [{"label": self.classes[index], "score": float(row[index])} for index in best]
            predictions.append({"labels": labels, "scores": row})
        return predictions

    def serve(self, outputs: Mapping[str, tf.Tensor], names: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return what an exported classifier returns.

        Args:
            outputs: {"scores": float32 [n, classes]}.
            names: string [classes].

        Returns:
            scores float32 [n, classes] and classes string [n, classes]; with one label per file also label string [n]
            and score float32 [n], the best class and its score; with several, threshold float32 [n], 0.5.
        """
        scores = outputs["scores"]
        count = tf.shape(scores)[0]
        served = {"scores": scores, "classes": tf.tile(names[None], [count, 1])}
        if self.multi_label:
            return served | {"threshold": tf.fill([count], LABEL_THRESHOLD)}
        best = tf.argmax(scores, axis=-1)
        return served | {"label": tf.gather(names, best), "score": tf.reduce_max(scores, axis=-1)}

    def compare_outputs(
        self, outputs: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray], tolerance: float
    ) -> dict[str, Any]:
        """Compare the scores [n, classes]; a prediction is the best label, or every label above the threshold."""
        scores, expected = outputs["scores"], reference["scores"]
        if self.multi_label:
            agree = (scores >= LABEL_THRESHOLD) == (expected >= LABEL_THRESHOLD)
            same, within_tolerance = (
                agree.all(-1),
                (agree | (np.abs(expected - LABEL_THRESHOLD) <= tolerance)).all(-1),
            )
        else:
            best_two = np.sort(expected, axis=-1)[:, -2:]
            same = scores.argmax(-1) == expected.argmax(-1)
            within_tolerance = best_two[:, -1] - best_two[:, 0] <= tolerance
        return {
            "largest_difference": float(np.abs(scores - expected).max()),
            "same": int(same.sum()),
            "near_ties": int((~same & within_tolerance).sum()),
        }

    def check_classes(self, dataset: Dataset) -> Dataset:
        """Check the classes, and give each file as many labels as the model predicts.

        Raises:
            RetinueError: the model does not know a class, or predicts one label for files with several.
        """
        dataset = super().check_classes(dataset)
        if self.multi_label == dataset.multi_label:
            return dataset
        if not self.multi_label:
            raise RetinueError(
                f"{dataset.source}: some files have several labels, but the model predicts one label per file. Score "
                "it on data with one label per file, or train a model on this data"
            )
        label = dataset.columns["label"]
        labels = Ragged(label, np.arange(len(label) + 1, dtype=np.int64))
        return dataclasses.replace(dataset, columns={"labels": labels})

    def class_names_of_record(self, dataset: Dataset, record: Record) -> list[str]:
        """Return the class of a record, or its classes."""
        labels = record["labels"] if dataset.multi_label else [record["label"]]
        return [dataset.classes[label] for label in labels]

    def ground_truth(self, dataset: Dataset, record: Record) -> str | list[str]:
        """Return the class name of a record, or the list of its names with several labels per file."""
        names = self.class_names_of_record(dataset, record)
        return names if dataset.multi_label else names[0]

    def summarize_errors(
        self, prediction: Prediction, truth: str | list[str]
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """Return the true names, and the best label, or with several labels per file all above the threshold."""
        true_names, labels = [truth] if isinstance(truth, str) else list(truth), prediction["labels"]
        predicted = [label for label in labels if label["score"] >= LABEL_THRESHOLD] if self.multi_label else labels[:1]
        return true_names, [label | {"right": label["label"] in true_names} for label in predicted]

    def visualize_batch(self, inputs: Any, targets: Any) -> tuple[list[np.ndarray], list[str]]:
        """Return the images unchanged, with captions such as "cat", "70% cat, 30% dog" if mixed, or "no label"."""
        return list(inputs), [draw.caption(target, self.classes, self.multi_label) for target in targets]

    def evaluator(self, interval: bool = True) -> Evaluator:
        """Make a `ClassificationEvaluator`; without `interval` nothing is resampled."""
        resamples = self.config.evaluate.bootstrap_samples if interval else 0
        return scores.ClassificationEvaluator(self.classes, self.multi_label, resamples, self.config.seed)

    def draw(self, image: np.ndarray, prediction: Prediction, truth: Any = None) -> np.ndarray:
        """Draw the image above bars for its labels; see draw.py."""
        return draw.draw(image, prediction, truth)

    def result_writer(
        self, class_ids: Sequence[int | str] = (), image_ids: Mapping[str, int | str] | None = None
    ) -> LabelResultWriter:
        """Write labels with their scores; see result_writer.py."""
        return LabelResultWriter(min(MAX_WRITTEN_LABELS, len(self.classes)))

    def report_sections(self, scores: "Scores", worst_images: "Sequence[WorstImage]") -> "list[Section]":
        """Make the sections of the report; see report.py."""
        from retinue.tasks.classification import report  # imports matplotlib

        return report.report_sections(scores, worst_images)

    def metric_descriptions(self) -> Mapping[str, str]:
        """Explain the metrics; see report.py."""
        from retinue.tasks.classification import report

        return report.METRICS

    def explainer(self, name: str, model: TaskModel, compile_model: "CompileModel") -> Explainer | None:
        """Make a `ClassifierExplainer`."""
        size, activation = self.config.model.input_size, "sigmoid" if self.multi_label else "softmax"
        predict = probability_function(model, size, activation, compile_model)
        return ClassifierExplainer(name, model, self.classes, size, self.config.data.resize_mode, predict)

    def black_box_explainer(
        self, name: str, run: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
    ) -> Explainer | None:
        """Make a `ClassifierExplainer` without a Keras model, which occlusion can explain."""

        def predict(images: np.ndarray) -> np.ndarray:
            return run({"image": np.asarray(np.clip(images, 0, 255) + 0.5, np.uint8)})["scores"]

        # With ten_crop an export makes its own crops. The image that it takes is the larger one that they are cut from.
        side = self.prepare(np.zeros((8, 8, 3), np.uint8))["image"].shape[0]
        return ClassifierExplainer(name, None, self.classes, int(side), self.config.data.resize_mode, predict)

    def synthetic_batch(self, batch_size: int) -> tuple[Any, Any] | None:
        """Make images in the color of their class."""
        _, labels, noise = random_labels_and_noise(batch_size, self.config.model.input_size)
        return colored_images(labels, noise), np.eye(2, dtype=np.float32)[labels]

    def _check_input_sizes(self) -> None:
        """Raise UsageError for an input size, of the model or of a stage, that the backbone can't take."""
        name, row = self.config.model.backbone, backbones.find(self.config.model.backbone)
        for key, size in self.input_sizes().items():
            self.check_input_size(key, size)
            if not row.any_size and size != self.config.model.input_size:
                raise UsageError(
                    f"{key}: the weights of {name} fit one image size only; remove {key}, so that model.input_size "
                    "holds for every stage"
                )

    def _targets(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return the targets float32 [..., classes] of the columns of one record or of a batch."""
        return columns["labels"] if self.multi_label else tf.one_hot(columns["label"], len(self.classes))

    def _probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        return (ops.sigmoid if self.multi_label else ops.softmax)(ops.cast(logits, "float32"))
