"""From whole frames and flow to a clip's scores: crops of every snippet, and the mean over all of them."""

import keras
from keras import ops

from retinue.tasks.classification.test_time_augmentation import VIEWS


@keras.saving.register_keras_serializable(package="retinue")
class FlowPixels(keras.layers.Layer):
    """Flow kept in 8 bits, uint8 `[n, K, H, W, 2 L]` -> pixels float32, less each field's mean where asked."""

    def __init__(self, bound, flow_subtract_mean, **arguments):
        super().__init__(**arguments)
        self.bound, self.flow_subtract_mean = bound, flow_subtract_mean

    def call(self, levels):
        pixels = (ops.cast(levels, "float32") - 127.5) * (2 * self.bound / 255.0)
        if self.flow_subtract_mean:
            pixels = pixels - ops.mean(pixels, axis=(-3, -2), keepdims=True)
        return pixels

    def compute_output_shape(self, shape):
        return shape

    def compute_output_spec(self, levels):
        return keras.KerasTensor(levels.shape, "float32")

    def get_config(self):
        return super().get_config() | {"bound": self.bound, "flow_subtract_mean": self.flow_subtract_mean}


@keras.saving.register_keras_serializable(package="retinue")
class Crops(keras.layers.Layer):
    """`[n, K, H, W, c]` -> `[views n K, 1, size, size, c]`: each snippet's crops, as snippets of one each.

    views: "none" is the centre; "ten_crop" the corners and the centre, and their mirrors (Simonyan and Zisserman 2014,
    section 4), view by view. flow: whether it is flow, whose x is negated in a mirror.
    """

    def __init__(self, size, views, flow, **arguments):
        super().__init__(**arguments)
        self.size, self.views, self.flow = size, views, flow

    def call(self, clips):
        height, width, channels = clips.shape[2:]
        pictures = ops.cast(ops.reshape(clips, (-1, height, width, channels)), "float32")
        down, right = height - self.size, width - self.size
        places = [(down // 2, right // 2)]
        if self.views == "ten_crop":
            places = [(0, 0), (0, right), (down, 0), (down, right), *places]
        crops = [pictures[:, top : top + self.size, left : left + self.size] for top, left in places]
        if self.views == "ten_crop":
            signs = ops.convert_to_tensor([-1.0, 1.0] * (channels // 2) if self.flow else [1.0] * channels, "float32")
            crops += [ops.flip(crop, axis=2) * signs for crop in crops]
        crops = ops.concatenate(crops, axis=0) if len(crops) > 1 else crops[0]
        return ops.expand_dims(crops, axis=1)

    def compute_output_spec(self, clips):
        return keras.KerasTensor((None, 1, self.size, self.size, clips.shape[-1]), "float32")

    def get_config(self):
        return super().get_config() | {"size": self.size, "views": self.views, "flow": self.flow}


def stream_scores(net, inputs, config):
    """{"spatial", "temporal", whichever `net` has: probabilities `[n, classes]`}, means over snippets and crops.

    inputs: KerasTensors uint8 by the names "frames" and "flow", whichever `net` takes.
    """
    settings, views = config.video, config.evaluate.tta
    size, given = config.model.input_size, {}
    if "frames" in inputs:
        given["frames"] = Crops(size, views, False, name="frames_crops")(inputs["frames"])
    if "flow" in inputs:
        pixels = FlowPixels(settings.flow_bound, settings.flow_subtract_mean, name="flow_pixels")(inputs["flow"])
        given["flow"] = Crops(size, views, True, name="flow_crops")(pixels)
    logits, streams = net(given, training=False), {}
    for name in ("spatial", "temporal"):
        if name in logits:
            probabilities = ops.softmax(ops.cast(logits[name], "float32"))
            shape = (VIEWS[views], -1, settings.test_segments, probabilities.shape[-1])
            streams[name] = ops.mean(ops.reshape(probabilities, shape), axis=(0, 2))
    return streams
