"""Detection: where in a picture each object is, and what, by Faster R-CNN on a pretrained backbone."""

import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.data.augmentation.boxes import augment_boxes_image, resize_boxes_image
from retinue.data.decoding import decode
from retinue.data.decoding.resize import size_of
from retinue.tasks.detection import draw, export_agreement, model, scores, torchvision
from retinue.tasks.detection.matching import IGNORED, PADDING
from retinue.tasks.task import Task


class Detection(Task):
    """Boxes with a class and a score each. Pictures may be of any size and in batches of different sizes.

    A picture is resized so that its shorter side is `model.input_size`, unless the longer would be above
    `detection.max_size`, and padded with zeros, below and to the right, to a multiple of the largest stride.
    """

    name = "detection"
    draws_on_image = True

    def build(self, weights=None, class_counts=None):
        """The untrained `TaskModel`; see model.py for its inputs and outputs.

        weights: what the backbone loads, by default `config.model.weights`; a .pth file of one of torchvision's Faster
        R-CNNs gives the pyramid, the proposal network and the heads their weights as well.
        """
        self._check_sizes()
        source = self.config.model.weights if weights is None else weights
        if not torchvision.is_detector(source):
            return model.build(self.config, len(self.classes), source)
        built = model.build(self.config, len(self.classes), "none")
        torchvision.load_weights(built, source)
        return built

    def columns(self, dataset):
        """`file`, and a `Ragged` each: `boxes` float32 `[m, 4]`, `labels` int64, `crowd` and `difficult` bool `[m]`."""
        names = ("boxes", "labels", "crowd", "difficult")
        return {"file": dataset.files} | {name: dataset.columns[name] for name in names}

    def example(self, training, input_size=None):
        """(columns of one record, seed) -> (inputs of the `TaskModel`, ()): the model makes its targets itself.

        Crowds and difficult objects are neither to be found nor background.
        """
        shorter, longest = input_size or self.config.model.input_size, self.config.detection.max_size
        changes, multiple = self.config.augment, model.largest_stride(self.config.detection.architecture)

        def make(columns, seed):
            image = self.read_image(decode.read_encoded(columns["file"]))
            boxes = tf.cast(columns["boxes"], tf.float32)
            labels = tf.where(columns["crowd"] | columns["difficult"], IGNORED, tf.cast(columns["labels"], tf.int32))
            if training:
                image, boxes, labels = augment_boxes_image(image, boxes, labels, changes, shorter, longest, seed)
            else:
                image, boxes = resize_boxes_image(image, boxes, shorter, longest)
            inputs = {"image": _padded(image, multiple), "size": tf.shape(image)[:2]}
            return inputs | {"boxes": boxes, "labels": labels, "seed": seed}, ()

        return make

    def padding(self, training):
        """Black pixels, boxes of zeros with the label -1."""
        read = {"image": tf.constant(0, tf.uint8), "size": tf.constant(0), "original_size": tf.constant(0)}
        if not training:
            return read
        boxes = {"boxes": tf.constant(0.0), "labels": tf.constant(PADDING), "seed": tf.constant(0)}
        return {"image": read["image"], "size": read["size"]} | boxes, ()

    def batch_mixing(self):
        """None: detection mixes no pictures."""
        return None

    def read(self, encoded):
        """Encoded bytes of one picture -> what `prepare` gives."""
        return self.prepare(self.read_image(encoded))

    def prepare(self, image):
        """Pixels, uint8 `[h, w, 3]`, or an `EncodedImage` -> image uint8 `[h', w', 3]`, resized and padded, size int32
        `[2]`, the height and width of what is picture in it, and original_size int32 `[2]`."""
        shorter, longest = self.config.model.input_size, self.config.detection.max_size
        resized, _ = resize_boxes_image(image, tf.zeros([0, 4]), shorter, longest)
        multiple = model.largest_stride(self.config.detection.architecture)
        sizes = {"size": tf.shape(resized)[:2], "original_size": size_of(image)}
        return {"image": _padded(resized, multiple)} | sizes

    def inference(self, detector):
        """A batch of what `read` gives, padded to one size, -> boxes float32 `[n, d, 4]` in pixels of the original
        picture, scores float32 `[n, d]`, labels int32 `[n, d]`, count int32 `[n]` and the proposals; see
        proposals.py."""
        return model.inference(detector, self.config.detection)

    def postprocess(self, outputs):
        """A list of `{"detections": [{"label", "score", "box"}, ...], "boxes", "scores", "labels", "proposals"}`, best
        first."""
        predictions = []
        for row, count in enumerate(outputs["count"]):
            boxes, found, labels = (outputs[name][row][:count] for name in ("boxes", "scores", "labels"))
            detections = [
                {"label": self.classes[label], "score": float(score), "box": [float(side) for side in box]}
                for box, score, label in zip(boxes, found, labels, strict=True)
            ]
            proposals = outputs["proposals"][row]
            arrays = {"boxes": boxes, "scores": found, "labels": labels, "proposals": proposals[proposals.any(-1)]}
            predictions.append({"detections": detections} | arrays)
        return predictions

    def serve(self, outputs, names):
        """What `inference` gives of detections, and names string `[n, d]`, the classes; "" after the last detection."""
        labels = outputs["labels"]
        found = {name: outputs[name] for name in ("boxes", "scores", "labels", "count")}
        return found | {"names": tf.where(labels >= 0, tf.gather(names, tf.maximum(labels, 0)), "")}

    def compare_outputs(self, given, truth, tolerance):
        """By the detections; see export_agreement.py."""
        settings = self.config.detection
        return export_agreement.compare(given, truth, tolerance, settings.score_threshold, settings.nms_threshold)

    def class_names_of_record(self, dataset, record):
        """The classes of a record's objects."""
        return [dataset.classes[label] for label in np.unique(record["labels"])]

    def ground_truth(self, dataset, record):
        """Boxes, labels and ignored; see draw.py."""
        return draw.truth_of_record(dataset, record)

    def summarize_errors(self, prediction, truth):
        """What was found, missed and seen where nothing is; see draw.py."""
        return draw.in_words(prediction, truth)

    def visualize_batch(self, inputs, targets):
        """The pictures without their padding, with the objects that are learned."""
        pictures, captions = [], []
        for image, (height, width), objects, labels in zip(
            *(np.asarray(inputs[name]) for name in ("image", "size", "boxes", "labels")), strict=True
        ):
            real = labels != PADDING
            pictures.append(draw.draw_objects(image[:height, :width], objects[real], labels[real], self.classes))
            captions.append(f"{np.sum(labels >= 0)} objects")
        return pictures, captions

    def evaluator(self, interval=True):
        """A `DetectionEvaluator` for these classes; without `interval` there is no bootstrap."""
        resamples = self.config.evaluate.bootstrap_samples if interval else 0
        return scores.DetectionEvaluator(self.classes, resamples, self.config.seed)

    def draw(self, image, prediction, truth=None):
        """The picture with its boxes; see draw.py."""
        return draw.draw(image, prediction, self.classes, truth)

    def _check_sizes(self):
        """Raise UsageError for a shorter side above the longest, or below what the backbone takes."""
        for key, size in self.input_sizes().items():
            self.check_input_size(key, size)
            if size > self.config.detection.max_size:
                raise UsageError(
                    f"{key}: the shorter side, {size}, is above detection.max_size, {self.config.detection.max_size}"
                )


def _padded(image, multiple):
    """uint8 `[h, w, 3]` with zeros below and to the right, up to whole multiples."""
    shape = tf.shape(image)
    missing = -shape[:2] % multiple
    image = tf.pad(image, [[0, missing[0]], [0, missing[1]], [0, 0]])
    return tf.ensure_shape(image, [None, None, 3])
