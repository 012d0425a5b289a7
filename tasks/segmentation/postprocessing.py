"""From the scores of a model to predictions at the size of the original image: class ids and their confidence."""

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retinue.configs.schema import SegmentationConfig

CLASSES_PER_STEP = 8  # classes that are resized to the original size at a time; this bounds the memory


def inference(model: keras.Model, settings: "SegmentationConfig") -> keras.Model:
    """Build the model that predicts, from a batch of images of one size to class ids at the original size.

    Inputs: image uint8 [n, h, w, 3]; original_size int32 [n, 2], height and width, the same for all images.

    Outputs: mask uint8 [n, H, W], the best class of each pixel; confidence float32 [n, h, w], its probability; with
    settings.export_scores also scores float32 [n, H, W, classes].

    Args:
        model: the `TaskModel` of model.py, or any model from float32 [n, h, w, 3] to logits.
        settings: the configuration. With tta_flip and tta_scales the probabilities are means over flipped and resized
            copies of the image.

    Returns:
        The model, which shares the layers of `model`.
    """
    image = keras.Input((None, None, 3), dtype="uint8", name="image")
    original_size = keras.Input((2,), dtype="int32", name="original_size")
    pixels = ops.cast(image, "float32")
    if not settings.tta_flip and tuple(settings.tta_scales) == (1.0,):
        scores = model(pixels, training=False)
    else:
        tta = TestTimeAugmentation(model, settings.tta_flip, settings.tta_scales, name="test_time_augmentation")
        scores = tta(pixels)
    outputs = ResizeAndArgmax(settings.export_scores, name="resize_and_argmax")(scores, original_size)
    return keras.Model({"image": image, "original_size": original_size}, outputs, name="inference")


class TestTimeAugmentation(keras.layers.Layer):
    """Computes the logarithm of the mean probability over copies of an image: [n, h, w, 3] -> [n, h, w, classes]."""

    def __init__(self, model: keras.Model, flip: bool, scales: "Sequence[float]", **kwargs: Any) -> None:
        """Create the layer.

        Args:
            model: the model from images to logits.
            flip: add a horizontally flipped copy of each scale.
            scales: factors of the image's size.
            **kwargs: arguments of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.model, self.flip, self.scales = model, flip, tuple(scales)

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        """Average the probabilities of all copies."""
        size = tf.shape(pixels)[1:3]
        total, copies = 0.0, 0
        for scale in self.scales:
            scaled = pixels
            if scale != 1.0:
                sides = tf.maximum(tf.cast(tf.round(tf.cast(size, tf.float32) * scale), tf.int32), 1)
                scaled = tf.image.resize(pixels, sides, "bilinear", antialias=scale < 1)
            for flipped in (False, True)[: 1 + self.flip]:
                copy = ops.flip(scaled, axis=2) if flipped else scaled
                probabilities = ops.softmax(self.model(copy, training=False), axis=-1)
                probabilities = ops.flip(probabilities, axis=2) if flipped else probabilities
                if scale != 1.0:
                    probabilities = tf.image.resize(probabilities, size, "bilinear")
                total, copies = total + probabilities, copies + 1
        return ops.log(ops.maximum(total / copies, 1e-12))

    def compute_output_spec(self, pixels: keras.KerasTensor) -> keras.KerasTensor:
        """Return [n, h, w, classes]."""
        return keras.KerasTensor((*pixels.shape[:3], self.model.output.shape[-1]), "float32")


class ResizeAndArgmax(keras.layers.Layer):
    """Resizes scores to the original size and takes the best class of each pixel.

    Scores are resized bilinearly before the best is taken, a few classes at a time, so that no tensor of all classes at
    that size is needed. Of equal scores the first class wins.
    """

    def __init__(self, with_scores: bool, **kwargs: Any) -> None:
        """Create the layer.

        Args:
            with_scores: also return the probabilities of all classes at the original size.
            **kwargs: arguments of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.with_scores = with_scores

    def call(self, scores: tf.Tensor, original_size: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the outputs of `inference` from scores [n, h, w, classes] and original_size int32 [n, 2]."""
        scores = ops.cast(scores, "float32")
        size = original_size[0]
        best = ids = None
        for first in range(0, scores.shape[-1], CLASSES_PER_STEP):
            resized = tf.image.resize(scores[..., first : first + CLASSES_PER_STEP], size, "bilinear")
            group_ids = tf.argmax(resized, axis=-1, output_type=tf.int32) + first
            group_best = ops.max(resized, axis=-1)
            if best is None:
                best, ids = group_best, group_ids
            else:
                best, ids = ops.maximum(best, group_best), ops.where(group_best > best, group_ids, ids)
        probabilities = ops.softmax(scores, axis=-1)
        outputs = {"mask": ops.cast(ids, "uint8"), "confidence": ops.max(probabilities, axis=-1)}
        if self.with_scores:
            outputs["scores"] = tf.image.resize(probabilities, size, "bilinear")
        return outputs

    def compute_output_spec(
        self, scores: keras.KerasTensor, original_size: keras.KerasTensor
    ) -> dict[str, keras.KerasTensor]:
        """Return the shapes of the outputs."""
        original = (scores.shape[0], None, None)
        outputs = {
            "mask": keras.KerasTensor(original, "uint8"),
            "confidence": keras.KerasTensor(scores.shape[:3], "float32"),
        }
        if self.with_scores:
            outputs["scores"] = keras.KerasTensor((*original, scores.shape[-1]), "float32")
        return outputs
