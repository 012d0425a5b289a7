"""Classification: global pooling, dropout and one linear layer on a pretrained backbone."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from retinue import backbones
from retinue.backbones.dropout import Dropout
from retinue.configs.errors import RetinueError, UsageError
from retinue.data.augmentation import geometry, mix
from retinue.data.dataset import Ragged
from retinue.data.decoding import decode, resize
from retinue.tasks.classification import draw, losses, scores, test_time_augmentation
from retinue.tasks.feature_models import FeatureModels
from retinue.tasks.model import TaskModel
from retinue.tasks.task import Task

POOL = "head_pool"  # the layer behind which the head learns
THRESHOLD = 0.5  # with several labels a file, a score of at least this gives the label
BALANCE_POWER = {"sqrt_weights": 0.5, "weights": 1.0}
WRITTEN_LABELS = 5  # so many of the best labels go into a prediction, unless there are few classes


class Classification(Task):
    """One label a picture (softmax), or any number of labels (sigmoid) with `multi_label`."""

    name = "classification"

    def build(self, weights=None, class_counts=None):
        """The untrained `TaskModel`: RGB float32 `[n, h, w, 3]` in 0..255 -> logits float32 `[n, classes]`.

        weights: what the backbone loads, by default `config.model.weights`.
        class_counts: int `[classes]`, files of each class in training; needed to balance by weights.
        """
        model, train = self.config.model, self.config.train
        self._check_sizes()
        size = None if backbones.find(model.backbone).any_size else model.input_size
        source = model.weights if weights is None else weights
        backbone = backbones.build(model.backbone, weights=source, input_size=size)
        features = backbone.output[max(backbone.output)]
        pooled = layers.GlobalAveragePooling2D(name=POOL)(features)
        pooled = Dropout(model.dropout, name="head_dropout")(pooled)
        logits = layers.Dense(
            len(self.classes), kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), name="head_logits"
        )(pooled)
        cross_entropy = losses.sigmoid_cross_entropy if self.multi_label else losses.softmax_cross_entropy
        class_weights = None
        if train.class_balance in BALANCE_POWER and class_counts is not None:
            class_weights = losses.balanced_class_weights(class_counts, BALANCE_POWER[train.class_balance])
        smoothing = train.label_smoothing

        def loss(targets, outputs):
            return {"loss": cross_entropy(targets, outputs, smoothing, class_weights)}

        names = [layer.name for layer in backbone.layers]
        return TaskModel(backbone.input, logits, loss, ("loss",), names, name="classification")

    def _check_sizes(self):
        """Raise UsageError for an input size, of the model or of a stage, that the backbone can't take."""
        name, row = self.config.model.backbone, backbones.find(self.config.model.backbone)
        for key, size in self.input_sizes().items():
            self.check_input_size(key, size)
            if not row.any_size and size != self.config.model.input_size:
                raise UsageError(f"{key}: {name} has one size for all stages, that of model.input_size")

    def columns(self, dataset):
        """`file`, and `label` int64 `[n]` or the multi-hot float32 `[n, classes]` `labels`."""
        if not self.multi_label:
            return {"file": dataset.files, "label": dataset.columns["label"]}
        labels = dataset.columns["labels"]
        multi_hot = np.zeros((len(dataset), len(self.classes)), np.float32)
        multi_hot[np.repeat(np.arange(len(dataset)), np.diff(labels.offsets)), labels.values] = 1.0
        return {"file": dataset.files, "labels": multi_hot}

    def example(self, training, input_size=None):
        """(columns of one record, seed) -> (uint8 `[s, s, 3]`, float32 `[classes]` target)."""
        size, fit = input_size or self.config.model.input_size, self.config.data.resize_mode
        changes = self.config.augment

        def make(columns, seed):
            image = self.read_image(decode.read_encoded(columns["file"]))
            if training:
                image = geometry.augment_image(image, changes, size, fit, seed)
            else:
                image = resize.resize_image(image, size, fit)
            return image, self._targets(columns)

        return make

    def _targets(self, columns):
        """`columns` of a record, or of many -> float32 `[..., classes]`."""
        return columns["labels"] if self.multi_label else tf.one_hot(columns["label"], len(self.classes))

    def batch_mixing(self):
        """Mixup and cutmix over a training batch, or None when both are off."""
        mixup, cutmix = self.config.augment.mixup, self.config.augment.cutmix
        if not mixup and not cutmix:
            return None
        return lambda images, targets, seeds: mix.mix(images, targets, seeds, mixup=mixup, cutmix=cutmix)

    def read(self, encoded):
        """Encoded bytes of one picture -> `{"image": uint8 [s, s, 3]}`."""
        return self.prepare(self.read_image(encoded))

    def prepare(self, image):
        """One picture, uint8 `[h, w, 3]` or an `EncodedImage` -> `{"image": uint8 [s, s, 3]}`."""
        size = test_time_augmentation.read_size(self.config.model.input_size, self.config.evaluate.tta)
        return {"image": resize.resize_image(image, size, self.config.data.resize_mode)}

    def inference(self, model):
        """`{"image": uint8 [n, s, s, 3]}` -> `{"scores": float32 [n, classes]}`, test-time views included."""
        input_size, kind = self.config.model.input_size, self.config.evaluate.tta
        size = test_time_augmentation.read_size(input_size, kind)
        image = keras.Input((size, size, 3), dtype="uint8", name="image")
        logits = model(test_time_augmentation.make_views(ops.cast(image, "float32"), kind, input_size), training=False)
        probabilities = test_time_augmentation.mean_over_views(self._probabilities(logits), kind)
        return keras.Model({"image": image}, {"scores": probabilities}, name="inference")

    def _probabilities(self, logits):
        return (ops.sigmoid if self.multi_label else ops.softmax)(ops.cast(logits, "float32"))

    def feature_models(self, model, input_size=None):
        """Features are the pooled last map: float32 `[n, channels]` in training, `[n, views, channels]` held out."""
        config, kind = self.config, self.config.evaluate.tta
        size = input_size or config.model.input_size
        trunk = keras.Model(model.input, model.get_layer(POOL).output)
        channels, count = trunk.output.shape[-1], test_time_augmentation.VIEWS[kind]
        image = keras.Input((size, size, 3), dtype="uint8", name="image")
        training = keras.Model({"image": image}, {"features": trunk(ops.cast(image, "float32"), training=False)})
        side = test_time_augmentation.read_size(config.model.input_size, kind)
        image = keras.Input((side, side, 3), dtype="uint8", name="image")
        seen = test_time_augmentation.make_views(ops.cast(image, "float32"), kind, config.model.input_size)
        seen = ops.reshape(trunk(seen, training=False), (count, -1, channels))
        held_out = keras.Model({"image": image}, {"features": ops.transpose(seen, (1, 0, 2))})
        head = model.submodel_after(POOL)
        features = keras.Input((count, channels), name="features")
        scores = self._probabilities(head(ops.reshape(features, (-1, channels)), training=False))
        scores = ops.mean(ops.reshape(scores, (-1, count, len(self.classes))), axis=1)
        answer = keras.Model({"features": features}, {"scores": scores})
        return FeatureModels(training, held_out, head, answer, self._targets)

    def postprocess(self, outputs):
        """`{"scores": [n, classes]}` -> a list of `{"labels": [{"label", "score"}, ...], "scores"}`, best first."""
        keep = len(self.classes) if len(self.classes) <= 2 * WRITTEN_LABELS else WRITTEN_LABELS
        predictions = []
        for row in outputs["scores"]:
            best = np.argsort(-row, kind="stable")[:keep]
            labels = [{"label": self.classes[index], "score": float(row[index])} for index in best]
            predictions.append({"labels": labels, "scores": row})
        return predictions

    def serve(self, outputs, names):
        """scores float32 `[n, classes]` and classes string `[n, classes]`, and where a file has one label: label string
        `[n]` and score float32 `[n]`, the best class and its score; with several: threshold float32 `[n]`, 0.5."""
        scores = outputs["scores"]
        count = tf.shape(scores)[0]
        given = {"scores": scores, "classes": tf.tile(names[None], [count, 1])}
        if self.multi_label:
            return given | {"threshold": tf.fill([count], THRESHOLD)}
        best = tf.argmax(scores, axis=-1)
        return given | {"label": tf.gather(names, best), "score": tf.reduce_max(scores, axis=-1)}

    def compare_outputs(self, given, truth, tolerance):
        """By the scores `[n, classes]`; the answer is the best label, or all labels from the threshold on."""
        given, truth = given["scores"], truth["scores"]
        if self.multi_label:
            said = (given >= THRESHOLD) == (truth >= THRESHOLD)
            same, as_good = said.all(-1), (said | (np.abs(truth - THRESHOLD) <= tolerance)).all(-1)
        else:
            best = np.sort(truth, axis=-1)[:, -2:]
            same, as_good = given.argmax(-1) == truth.argmax(-1), best[:, -1] - best[:, 0] <= tolerance
        return {
            "largest_difference": float(np.abs(given - truth).max()),
            "same": int(same.sum()),
            "near_ties": int((~same & as_good).sum()),
        }

    def check_classes(self, dataset):
        """The dataset with as many labels a file as the model gives. Raises RetinueError where that can't be."""
        dataset = super().check_classes(dataset)
        if self.multi_label == dataset.multi_label:
            return dataset
        if not self.multi_label:
            raise RetinueError(f"{dataset.source}: has files with several labels, but the model gives one label a file")
        label = dataset.columns["label"]
        labels = Ragged(label, np.arange(len(label) + 1, dtype=np.int64))
        return dataclasses.replace(dataset, columns={"labels": labels})

    def class_names_of_record(self, dataset, record):
        """The class of a record, or its classes."""
        labels = record["labels"] if dataset.multi_label else [record["label"]]
        return [dataset.classes[label] for label in labels]

    def ground_truth(self, dataset, record):
        """The class name of a record, or the list of its names with several labels a file."""
        names = self.class_names_of_record(dataset, record)
        return names if dataset.multi_label else names[0]

    def summarize_errors(self, prediction, truth):
        """The true names, and the best label, or with several labels a file all from the threshold on."""
        truth, labels = [truth] if isinstance(truth, str) else list(truth), prediction["labels"]
        said = [label for label in labels if label["score"] >= THRESHOLD] if self.multi_label else labels[:1]
        return truth, [label | {"right": label["label"] in truth} for label in said]

    def visualize_batch(self, inputs, targets):
        """The pictures as they are, and their classes: "cat"; "70% cat, 30% dog" of a mixed one; "no label"."""
        return list(inputs), [draw.caption(target, self.classes, self.multi_label) for target in targets]

    def evaluator(self, interval=True):
        """A `ClassificationEvaluator` for these classes; without `interval` there is no bootstrap."""
        resamples = self.config.evaluate.bootstrap_samples if interval else 0
        return scores.ClassificationEvaluator(self.classes, self.multi_label, resamples, self.config.seed)

    def draw(self, image, prediction, truth=None):
        """The picture with bars for its labels; see draw.py."""
        return draw.draw(image, prediction, self.classes, truth)
