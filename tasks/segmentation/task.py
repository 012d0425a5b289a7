"""Segmentation: a class for every pixel, by FCN, dilated nets or DeepLabV3 on a pretrained backbone."""

import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.data.augmentation import masks
from retinue.data.checking.mask_sheet import blend, class_colors
from retinue.data.decoding import decode
from retinue.data.decoding.encoded_image import EncodedImage
from retinue.data.decoding.exif import exif_orientation
from retinue.data.decoding.mask_file import read_mask
from retinue.data.decoding.resize import pad_to, size_of
from retinue.data.void_label import VOID
from retinue.tasks.segmentation import draw, model, postprocessing, scores, torchvision
from retinue.tasks.segmentation.tiling import in_windows
from retinue.tasks.segmentation.truth import read_truth
from retinue.tasks.task import Task

BAND = 1024  # rows of a mask that are counted at a time
TIES = 0.001  # share of a picture's pixels; so few may lie where two classes score the same


class Segmentation(Task):
    """Class ids for every pixel of pictures of any size.

    It learns from squares of `model.input_size`; it answers whole pictures, whose longer side is at most
    `segmentation.max_size` for the net, at their own size. Only pictures of one size share a batch, so that no
    padding can change an answer.
    """

    name = "segmentation"
    draws_on_image = True
    variable_size = True
    serve_padding = {"mask": VOID}

    def build(self, weights=None, class_counts=None):
        """The untrained `TaskModel`; see model.py.

        weights: what the backbone loads, by default `config.model.weights`; a .pth file of one of torchvision's
        segmentation nets gives the head its weights as well.
        """
        self._check()
        source = self.config.model.weights if weights is None else weights
        if not torchvision.is_segmenter(source):
            return model.build(self.config, len(self.classes), source, class_counts)
        head = self.config.segmentation.head
        if head not in torchvision.HEADS:
            raise UsageError(f"{source}: fits segmentation.head fcn or aspp, not {head}")
        built = model.build(self.config, len(self.classes), "none", class_counts)
        torchvision.load_weights(built, source, head)
        return built

    def class_counts(self, dataset):
        """Pixels of each class, int64 `[classes]`."""
        return dataset.columns["pixels"].sum(axis=0)

    def columns(self, dataset):
        """`file`, `mask` and `values` (see `data.mask_file`)."""
        return {"file": dataset.files} | {name: dataset.columns[name] for name in ("mask", "values")}

    def example(self, training, input_size=None):
        """(columns of one record, seed) -> (uint8 `[s, s, 3]`, class ids uint8 `[s, s]`, 255 for void).

        In training a random square; otherwise the whole picture, made smaller to fit and padded.
        """
        size, settings, changes = (
            input_size or self.config.model.input_size,
            self.config.segmentation,
            self.config.augment,
        )
        classes = len(self.classes)

        def make(columns, seed):
            encoded = decode.read_encoded(columns["file"])
            image = self.read_image(encoded)
            given = (columns["mask"], columns["values"], size_of(image), exif_orientation(encoded))
            mask = tf.numpy_function(lambda *arrays: _read(classes, *arrays), given, tf.uint8)
            mask.set_shape([None, None])
            if training:
                return masks.augment_mask_image(
                    image,
                    mask,
                    changes,
                    size,
                    seed,
                    scale=settings.scale_range,
                    rotation=settings.rotation_degrees,
                    longest=settings.max_size,
                )
            small = masks.resize_for_net(image, size)
            ids = tf.image.resize(mask[:, :, None], tf.shape(small)[:2], method="nearest")
            return pad_to(small, size, masks.FILL), pad_to(ids, size, VOID)[:, :, 0]

        return make

    def batch_mixing(self):
        """None: segmentation mixes no pictures."""
        return None

    def read(self, encoded):
        """Encoded bytes of one picture -> what `prepare` gives."""
        return self.prepare(self.read_image(encoded))

    def prepare(self, image):
        """Pixels, uint8 `[h, w, 3]`, or an `EncodedImage` -> image uint8 `[h', w', 3]`, smaller where it is larger than
        `segmentation.max_size` (unless it is to be looked at in windows), and original_size int32 `[2]`."""
        settings = self.config.segmentation
        if settings.tile_size:  # every pixel counts
            small = image.decode() if isinstance(image, EncodedImage) else image
        else:
            small = masks.resize_for_net(image, settings.max_size)
        return {"image": small, "original_size": size_of(image)}

    def inference(self, net):
        """See `postprocessing.inference`."""
        return postprocessing.inference(net, self.config.segmentation)

    def wrap_inference(self, run):
        """`run` in overlapping windows where `segmentation.tile_size` is set and a picture is larger."""
        settings = self.config.segmentation
        return in_windows(run, settings.tile_size, settings.tile_overlap) if settings.tile_size else run

    def postprocess(self, outputs):
        """A list of `{"mask": uint8 [H, W], "pixels": {class: count}, "confidence": mean probability}`."""
        predictions = []
        for ids, sure in zip(outputs["mask"], outputs["confidence"], strict=True):
            bands = range(0, len(ids), BAND)  # counting takes 8 bytes a pixel
            counts = sum(np.bincount(ids[row : row + BAND].ravel(), minlength=len(self.classes)) for row in bands)
            pixels = dict(zip(self.classes, counts.tolist(), strict=True))
            predictions.append({"mask": ids, "pixels": pixels, "confidence": round(float(sure.mean()), 4)})
        return predictions

    def serve(self, outputs, names):
        """mask uint8 `[n, H, W]`, ids at the original size, 255 beside smaller pictures; classes string `[n, classes]`;
        pixels int32 `[n, classes]`; and with `segmentation.export_scores`, scores float32 `[n, H, W, classes]`."""
        mask = outputs["mask"]
        count, classes = tf.shape(mask)[0], len(self.classes)
        pixels = tf.math.bincount(
            tf.cast(tf.reshape(mask, [count, -1]), tf.int32), minlength=classes, maxlength=classes, axis=-1
        )
        given = {
            "mask": mask,
            "classes": tf.tile(names[None], [count, 1]),
            "pixels": tf.ensure_shape(pixels, [None, classes]),
        }
        return given | ({"scores": outputs["scores"]} if "scores" in outputs else {})

    def compare_outputs(self, given, truth, tolerance):
        """By the confidences, where both have them, and the ids. An answer is a mask; as good as the same is one that
        differs in no more than a thousandth of its pixels while the confidences agree. iou: of the two masks, the
        mean over the classes in either, and over the files."""
        largest = 0.0
        if "confidence" in given:
            largest = float(np.abs(given["confidence"] - truth["confidence"]).max())
        wrong = np.mean(given["mask"] != truth["mask"], axis=(1, 2))
        pairs = zip(given["mask"], truth["mask"], strict=True)
        shares = [draw.class_shares(*pair, self.classes) for pair in pairs]
        return {
            "iou": float(np.mean([np.mean([iou for _, _, iou in one]) for one in shares])),
            "largest_difference": largest if (wrong <= TIES).all() else 1.0,
            "same": int((wrong == 0).sum()),
            "near_ties": int(((wrong > 0) & (wrong <= TIES)).sum()),
        }

    def class_names_of_record(self, dataset, record):
        """The classes that a record's mask has."""
        return [dataset.classes[label] for label in record["labels"]]

    def ground_truth(self, dataset, record):
        """The true mask, uint8 `[H, W]`, in the model's ids."""
        return read_truth(dataset, record, self.classes)

    def summarize_errors(self, prediction, truth):
        """The classes of the truth, and each class of either mask with its IoU; right from a half on."""
        shares = draw.class_shares(prediction["mask"], truth, self.classes)
        true = [name for label, name in enumerate(self.classes) if (truth == label).any()]
        return true, [{"label": name, "score": iou, "right": iou >= 0.5} for name, _, iou in shares]

    def visualize_batch(self, inputs, targets):
        """The pictures under their masks, and the classes in them."""
        colors = class_colors(self.classes)
        pictures = [blend(image, ids, colors) for image, ids in zip(inputs, targets, strict=True)]
        captions = [
            ", ".join(name for label, name in enumerate(self.classes) if (ids == label).any()) or "all void"
            for ids in targets
        ]
        return pictures, captions

    def evaluator(self, interval=True):
        """A `SegmentationEvaluator`; without `interval` there is no bootstrap and no boundary score."""
        resamples = self.config.evaluate.bootstrap_samples if interval else 0
        return scores.SegmentationEvaluator(self.classes, resamples, self.config.seed)

    def draw(self, image, prediction, truth=None):
        """The picture under its mask; see draw.py."""
        return draw.draw(image, prediction["mask"], self.classes, truth)

    def _check(self):
        """Raise UsageError for settings that segmentation can't follow."""
        for key in ("mixup", "cutmix", "randaugment_num_ops"):
            if getattr(self.config.augment, key):
                raise UsageError(f"augment.{key}: is not for segmentation, since masks can't follow; set it to 0")
        for key, size in self.input_sizes().items():
            self.check_input_size(key, size)


def _read(classes, path, values, size, orientation):
    """`read_mask` for a graph, which hands strings over as bytes."""
    path = path if isinstance(path, bytes) else path.item()
    return read_mask(path.decode("utf-8", "surrogateescape"), values, classes, tuple(size.tolist()), int(orientation))
