"""Layers that add time to image models. Only `FusePairs` and `ScoreFusion` have weights."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

Shape = Sequence[int | None]


@keras.saving.register_keras_serializable(package="retinue")
class FoldTime(keras.layers.Layer):
    """Folds time into the batch: [n, k, h, w, c] -> [n k, h, w, c]. Each of a clip's k snippets becomes an image."""

    in_float32 = True

    def call(self, clips: keras.KerasTensor) -> keras.KerasTensor:
        """Reshape the clips."""
        return ops.reshape(clips, (-1, *clips.shape[2:]))

    def compute_output_shape(self, shape: Shape) -> Shape:
        """Return [None, h, w, c]."""
        return (None, *shape[2:])


@keras.saving.register_keras_serializable(package="retinue")
class MeanOverSnippets(keras.layers.Layer):
    """Averages the scores of a clip's snippets: [scores [n k, classes], clips [n, k, ...]] -> [n, classes].

    This is the segmental consensus of Wang et al. 2016 (TSN), section 3.1.
    """

    in_float32 = True

    def call(self, inputs: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
        """Average the scores; of the clips only the shape is used."""
        scores, clips = inputs
        return ops.mean(ops.reshape(scores, (-1, ops.shape(clips)[1], scores.shape[-1])), axis=1)

    def compute_output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return [n, classes]."""
        return (shapes[1][0], shapes[0][-1])


@keras.saving.register_keras_serializable(package="retinue")
class SplitFrames(keras.layers.Layer):
    """Splits frames that are stacked along the channels: [n, h, w, 3 t] -> [n t, h, w, 3]."""

    in_float32 = True

    def call(self, stacks: keras.KerasTensor) -> keras.KerasTensor:
        """Split the stacks into images."""
        height, width, channels = stacks.shape[1:]
        frames = ops.transpose(ops.reshape(stacks, (-1, height, width, channels // 3, 3)), (0, 3, 1, 2, 4))
        return ops.reshape(frames, (-1, height, width, 3))

    def compute_output_shape(self, shape: Shape) -> Shape:
        """Return [None, h, w, 3]."""
        return (None, *shape[1:3], 3)


@keras.saving.register_keras_serializable(package="retinue")
class StackFrames(keras.layers.Layer):
    """Stacks groups of frames along the channels: [n t, h, w, c] -> [n g, h, w, extent c].

    Each of g groups has `extent` consecutive frames, and starts `stride` frames after the one before it. With
    extent = t there is one group, which holds all frames in their order.
    """

    def __init__(self, frames: int, extent: int, stride: int = 1, **kwargs: Any) -> None:
        """Create the layer.

        Args:
            frames: t, frames of each clip.
            extent: frames of a group.
            stride: frames between the starts of two groups.
            **kwargs: arguments of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.frames, self.extent, self.stride = frames, extent, stride
        self.groups = (frames - extent) // stride + 1

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Stack the frames."""
        height, width, channels = images.shape[1:]
        clips = ops.reshape(images, (-1, self.frames, height, width, channels))
        starts = [group * self.stride for group in range(self.groups)]
        stacks = [
            ops.concatenate([clips[:, start + offset] for offset in range(self.extent)], axis=-1) for start in starts
        ]
        return ops.reshape(ops.stack(stacks, axis=1), (-1, height, width, self.extent * channels))

    def compute_output_shape(self, shape: Shape) -> Shape:
        """Return [None, h, w, extent c]."""
        return (None, *shape[1:3], (shape[3] or 0) * self.extent)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"frames": self.frames, "extent": self.extent, "stride": self.stride}


@keras.saving.register_keras_serializable(package="retinue")
class FusePairs(keras.layers.Layer):
    """Fuses the maps of two neighboring times by a 1x1 convolution over both: [2 n, h, w, c] -> [n, h, w, c].

    The kernel is initialized to the mean of the two, so that pretrained layers behind it still work.
    """

    def build(self, shape: Shape) -> None:
        """Create the kernel [1, 1, 2 c, c] and the bias [c]."""
        channels = shape[-1]
        half = 0.5 * ops.convert_to_numpy(ops.eye(channels))[None, None]
        initial = ops.convert_to_numpy(ops.concatenate([half, half], axis=2))
        self.kernel = self.add_weight(
            shape=initial.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(initial, dtype),
            name="kernel",
        )
        self.bias = self.add_weight(shape=(channels,), initializer="zeros", name="bias")

    def call(self, maps: keras.KerasTensor) -> keras.KerasTensor:
        """Fuse the pairs."""
        shape = ops.shape(maps)
        pairs = ops.reshape(maps, (-1, 2, shape[1], shape[2], maps.shape[-1]))
        both = ops.concatenate([pairs[:, 0], pairs[:, 1]], axis=-1)
        return ops.conv(both, self.kernel, padding="valid") + self.bias

    def compute_output_shape(self, shape: Shape) -> Shape:
        """Return [None, h, w, c]."""
        return (None, *shape[1:])


@keras.saving.register_keras_serializable(package="retinue")
class ConcatenateFrames(keras.layers.Layer):
    """Concatenates the features of a clip's frames in their order: [n t, c] -> [n, t c]."""

    def __init__(self, frames: int, **kwargs: Any) -> None:
        """Create the layer.

        Args:
            frames: t, frames of each clip.
            **kwargs: arguments of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.frames = frames

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Concatenate the features."""
        return ops.reshape(features, (-1, self.frames * features.shape[-1]))

    def compute_output_shape(self, shape: Shape) -> Shape:
        """Return [None, t c]."""
        return (None, self.frames * (shape[-1] or 0))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"frames": self.frames}


@keras.saving.register_keras_serializable(package="retinue")
class ScaleFlow(keras.layers.Layer):
    """Scales flow in pixels to the range of an image: -bound..bound becomes 0..255; no motion is 127.5."""

    in_float32 = True

    def __init__(self, bound: float, **kwargs: Any) -> None:
        """Create the layer.

        Args:
            bound: motion in pixels.
            **kwargs: arguments of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.bound = bound

    def call(self, flow: keras.KerasTensor) -> keras.KerasTensor:
        """Scale the flow."""
        return ops.cast(flow, self.compute_dtype) * (127.5 / self.bound) + 127.5

    def compute_output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the input."""
        return shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"bound": self.bound}


@keras.saving.register_keras_serializable(package="retinue")
class ScoreFusion(keras.layers.Layer):
    """Linear SVMs on the L2-normalized scores of two streams: two of [n, classes] -> logits [n, classes].

    Simonyan and Zisserman 2014, section 5. The weights are not trainable: fusion.py fits them after training. Until
    then the layer adds the two streams.
    """

    in_float32 = True

    def build(self, shapes: Sequence[Shape]) -> None:
        """Create the kernel [2 classes, classes] and the bias [classes]."""
        classes = shapes[0][-1] or 0

        def two_identities(shape: Shape, dtype: str | None = None) -> keras.KerasTensor:
            return ops.concatenate([ops.eye(classes, dtype=dtype)] * 2, axis=0)

        self.kernel = self.add_weight((2 * classes, classes), two_identities, trainable=False, name="kernel")
        self.bias = self.add_weight((classes,), "zeros", trainable=False, name="bias")

    def call(self, streams: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
        """Apply the SVMs to the scores (spatial, temporal)."""
        return ops.matmul(stack_normalized_scores(*streams), self.kernel) + self.bias

    def compute_output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return [n, classes]."""
        return shapes[0]


def stack_normalized_scores(spatial: keras.KerasTensor, temporal: keras.KerasTensor) -> keras.KerasTensor:
    """Normalize the scores of two streams, [n, classes] each, to unit length and concatenate them: [n, 2 classes]."""
    norms = [ops.sqrt(ops.sum(ops.square(scores), axis=-1, keepdims=True)) for scores in (spatial, temporal)]
    return ops.concatenate([spatial / norms[0], temporal / norms[1]], axis=-1)
