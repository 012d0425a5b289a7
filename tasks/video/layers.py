"""The layers that bring time into nets for pictures. None has weights but `FusePairs` and `ScoreFusion`."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="retinue")
class FoldTime(keras.layers.Layer):
    """`[n, k, h, w, c]` -> `[n k, h, w, c]`: each of a clip's k snippets becomes a picture of its own."""

    in_float32 = True

    def call(self, clips):
        return ops.reshape(clips, (-1, *clips.shape[2:]))

    def compute_output_shape(self, shape):
        return (None, *shape[2:])


@keras.saving.register_keras_serializable(package="retinue")
class MeanOverTime(keras.layers.Layer):
    """[scores `[n k, classes]`, the clips `[n, k, ...]`] -> `[n, classes]`: the mean over a clip's snippets.

    The consensus of segments of Wang et al. 2016 (TSN), section 3.1.
    """

    in_float32 = True

    def call(self, given):
        scores, clips = given
        return ops.mean(ops.reshape(scores, (-1, ops.shape(clips)[1], scores.shape[-1])), axis=1)

    def compute_output_shape(self, shapes):
        return (shapes[1][0], shapes[0][-1])


@keras.saving.register_keras_serializable(package="retinue")
class SplitFrames(keras.layers.Layer):
    """`[n, h, w, 3 t]` -> `[n t, h, w, 3]`: frames that are stacked along the channels become pictures."""

    in_float32 = True

    def call(self, stacks):
        height, width, channels = stacks.shape[1:]
        frames = ops.transpose(ops.reshape(stacks, (-1, height, width, channels // 3, 3)), (0, 3, 1, 2, 4))
        return ops.reshape(frames, (-1, height, width, 3))

    def compute_output_shape(self, shape):
        return (None, *shape[1:3], 3)


@keras.saving.register_keras_serializable(package="retinue")
class StackFrames(keras.layers.Layer):
    """`[n t, h, w, c]` -> `[n g, h, w, extent c]`: groups of `extent` of each clip's `frames` t, every `stride`.

    With extent = frames there is one group, the frames stacked along the channels, in their order.
    """

    def __init__(self, frames, extent, stride=1, **arguments):
        super().__init__(**arguments)
        self.frames, self.extent, self.stride = frames, extent, stride
        self.groups = (frames - extent) // stride + 1

    def call(self, pictures):
        height, width, channels = pictures.shape[1:]
        clips = ops.reshape(pictures, (-1, self.frames, height, width, channels))
        starts = [group * self.stride for group in range(self.groups)]
        stacks = [
            ops.concatenate([clips[:, start + place] for place in range(self.extent)], axis=-1) for start in starts
        ]
        return ops.reshape(ops.stack(stacks, axis=1), (-1, height, width, self.extent * channels))

    def compute_output_shape(self, shape):
        return (None, *shape[1:3], shape[3] * self.extent)

    def get_config(self):
        return super().get_config() | {"frames": self.frames, "extent": self.extent, "stride": self.stride}


@keras.saving.register_keras_serializable(package="retinue")
class FusePairs(keras.layers.Layer):
    """`[2 n, h, w, c]` -> `[n, h, w, c]`: maps of two neighbouring times become one, by a 1x1 convolution over both.

    It begins as their mean, so that what is pretrained behind it still works.
    """

    def build(self, shape):
        channels = shape[-1]
        half = 0.5 * ops.convert_to_numpy(ops.eye(channels))[None, None]
        start = ops.convert_to_numpy(ops.concatenate([half, half], axis=2))
        self.kernel = self.add_weight(
            shape=(1, 1, 2 * channels, channels),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(start, dtype),
            name="kernel",
        )
        self.bias = self.add_weight(shape=(channels,), initializer="zeros", name="bias")

    def call(self, maps):
        shape = ops.shape(maps)
        pairs = ops.reshape(maps, (-1, 2, shape[1], shape[2], maps.shape[-1]))
        both = ops.concatenate([pairs[:, 0], pairs[:, 1]], axis=-1)
        return ops.conv(both, self.kernel, padding="valid") + self.bias

    def compute_output_shape(self, shape):
        return (None, *shape[1:])


@keras.saving.register_keras_serializable(package="retinue")
class ConcatenateTimes(keras.layers.Layer):
    """`[n t, c]` -> `[n, t c]`: the features of a clip's `times` t side by side, in their order."""

    def __init__(self, times, **arguments):
        super().__init__(**arguments)
        self.times = times

    def call(self, features):
        return ops.reshape(features, (-1, self.times * features.shape[-1]))

    def compute_output_shape(self, shape):
        return (None, self.times * shape[-1])

    def get_config(self):
        return super().get_config() | {"times": self.times}


@keras.saving.register_keras_serializable(package="retinue")
class FlowLevels(keras.layers.Layer):
    """Flow in pixels -> the range of a picture's levels: -bound..bound becomes 0..255, still is 127.5."""

    in_float32 = True

    def __init__(self, bound, **arguments):
        super().__init__(**arguments)
        self.bound = bound

    def call(self, flow):
        return ops.cast(flow, self.compute_dtype) * (127.5 / self.bound) + 127.5

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return super().get_config() | {"bound": self.bound}


@keras.saving.register_keras_serializable(package="retinue")
class ScoreFusion(keras.layers.Layer):
    """Two streams' scores `[n, classes]` -> logits `[n, classes]` of linear SVMs on them, L2-normalised and stacked.

    Simonyan and Zisserman 2014, section 5. No gradient reaches its weights: fusion.py fits them after training. Until
    then it adds the two.
    """

    in_float32 = True

    def build(self, shapes):
        classes = shapes[0][-1]

        def both(shape, dtype=None):
            return ops.concatenate([ops.eye(classes, dtype=dtype)] * 2, axis=0)

        self.kernel = self.add_weight((2 * classes, classes), both, trainable=False, name="kernel")
        self.bias = self.add_weight((classes,), "zeros", trainable=False, name="bias")

    def call(self, streams):
        return ops.matmul(stacked_scores(*streams), self.kernel) + self.bias

    def compute_output_shape(self, shapes):
        return shapes[0]


def stacked_scores(spatial, temporal):
    """The scores of two streams `[n, classes]`, each of length 1, side by side: `[n, 2 classes]`."""
    lengths = [ops.sqrt(ops.sum(ops.square(scores), axis=-1, keepdims=True)) for scores in (spatial, temporal)]
    return ops.concatenate([spatial / lengths[0], temporal / lengths[1]], axis=-1)
