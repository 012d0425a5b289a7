"""From a net's scores to answers of the original picture's size: class ids, and how sure they are."""

import keras
import tensorflow as tf
from keras import ops

GROUP = 8  # classes that are brought to the original size at a time; bounds the memory


def inference(model, settings):
    """The net that answers: a `keras.Model` from a batch of pictures of one size to ids of the original's size.

    model: `TaskModel` of model.py; settings: `SegmentationConfig`. Inputs: image uint8 `[n, h, w, 3]`, original_size
    int32 `[n, 2]`, height and width, the same for all. Outputs: mask uint8 `[n, H, W]`, the best class of each pixel;
    confidence float32 `[n, h, w]`, its probability; with settings.export_scores also scores float32 `[n, H, W,
    classes]`.
    With settings.tta_flip and settings.tta_scales the probabilities are means over mirrored and resized pictures.
    """
    image = keras.Input((None, None, 3), dtype="uint8", name="image")
    original_size = keras.Input((2,), dtype="int32", name="original_size")
    pixels = ops.cast(image, "float32")
    if not settings.tta_flip and tuple(settings.tta_scales) == (1.0,):
        scores = model(pixels, training=False)
    else:
        scores = Views(model, settings.tta_flip, settings.tta_scales, name="views")(pixels)
    outputs = Answer(settings.export_scores, name="answer")(scores, original_size)
    return keras.Model({"image": image, "original_size": original_size}, outputs, name="inference")


class Views(keras.layers.Layer):
    """The logarithm of the mean probability over views of a picture: float `[n, h, w, 3]` to `[n, h, w, classes]`."""

    def __init__(self, model, flip, scales, **arguments):
        super().__init__(**arguments)
        self.model, self.flip, self.scales = model, flip, tuple(scales)

    def call(self, pixels):
        size = tf.shape(pixels)[1:3]
        total, views = 0.0, 0
        for scale in self.scales:
            view = pixels
            if scale != 1.0:
                sides = tf.maximum(tf.cast(tf.round(tf.cast(size, tf.float32) * scale), tf.int32), 1)
                view = tf.image.resize(pixels, sides, "bilinear", antialias=scale < 1)
            for mirrored in (False, True)[: 1 + self.flip]:
                seen = ops.flip(view, axis=2) if mirrored else view
                probabilities = ops.softmax(self.model(seen, training=False), axis=-1)
                probabilities = ops.flip(probabilities, axis=2) if mirrored else probabilities
                if scale != 1.0:
                    probabilities = tf.image.resize(probabilities, size, "bilinear")
                total, views = total + probabilities, views + 1
        return ops.log(ops.maximum(total / views, 1e-12))

    def compute_output_spec(self, pixels):
        return keras.KerasTensor((*pixels.shape[:3], self.model.output.shape[-1]), "float32")


class Answer(keras.layers.Layer):
    """Scores `[n, h, w, classes]` and original_size int32 `[n, 2]` -> the outputs of `inference`.

    Scores are brought to the original size bilinearly before the best is taken, a few classes at a time, so that no
    tensor of all classes at that size is needed. Of equal scores the first class wins.
    """

    def __init__(self, with_scores, **arguments):
        super().__init__(**arguments)
        self.with_scores = with_scores

    def call(self, scores, original_size):
        scores = ops.cast(scores, "float32")
        size = original_size[0]
        best = ids = None
        for first in range(0, scores.shape[-1], GROUP):
            some = tf.image.resize(scores[..., first : first + GROUP], size, "bilinear")
            here, highest = tf.argmax(some, axis=-1, output_type=tf.int32) + first, ops.max(some, axis=-1)
            if best is None:
                best, ids = highest, here
            else:
                best, ids = ops.maximum(best, highest), ops.where(highest > best, here, ids)
        probabilities = ops.softmax(scores, axis=-1)
        outputs = {"mask": ops.cast(ids, "uint8"), "confidence": ops.max(probabilities, axis=-1)}
        if self.with_scores:
            outputs["scores"] = tf.image.resize(probabilities, size, "bilinear")
        return outputs

    def compute_output_spec(self, scores, original_size):
        whole = (scores.shape[0], None, None)
        outputs = {
            "mask": keras.KerasTensor(whole, "uint8"),
            "confidence": keras.KerasTensor(scores.shape[:3], "float32"),
        }
        if self.with_scores:
            outputs["scores"] = keras.KerasTensor((*whole, scores.shape[-1]), "float32")
        return outputs
