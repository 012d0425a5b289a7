"""Video models: two streams in one model, each stream alone, and frames fused early, late or slowly.

Simonyan and Zisserman 2014, "Two-stream convolutional networks for action recognition in videos"; Karpathy et al. 2014,
"Large-scale video classification with convolutional neural networks".
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from retinue.backbones.dropout import Dropout
from retinue.tasks import class_balance
from retinue.tasks.classification.losses import softmax_cross_entropy
from retinue.tasks.model import TaskModel
from retinue.tasks.video.layers import (
    ConcatenateFrames,
    FoldTime,
    FusePairs,
    MeanOverSnippets,
    ScaleFlow,
    ScoreFusion,
    SplitFrames,
    StackFrames,
)
from retinue.tasks.video.snippets import Snippet, snippet_for
from retinue.tasks.video.towers import Tower, build_tower, mean_over_rgb, repeat_over_frames

if TYPE_CHECKING:
    from retinue.configs.schema import Config, VideoConfig

# Slow fusion: frames of a group, frames between the starts of groups, and the strides whose maps are fused in pairs.
SLOW_EXTENT, SLOW_STRIDE, SLOW_FUSED_STRIDES = 4, 2, (4, 8)
STREAMS = {"two_stream": ("spatial", "temporal"), "temporal": ("temporal",)}  # other architectures: "spatial" alone


def stream_names(architecture: str) -> tuple[str, ...]:
    """Return the streams of an architecture: ("spatial",), ("temporal",) or both."""
    return STREAMS.get(architecture, ("spatial",))


def build(
    config: "Config", num_classes: int, weights: str | None = None, class_counts: np.ndarray | None = None
) -> TaskModel:
    """Build the untrained model.

    Inputs, whichever the architecture has; the number k of snippets may vary:

    * "frames": float32 [n, k, s, s, 3 t], RGB in 0..255, k snippets of t frames stacked along the channels.
    * "flow": float32 [n, k, s, s, 2 L] in pixels, x and y of L fields alternating, less the mean of each field with
      `video.flow_subtract_mean`.

    Outputs: "spatial" and "temporal", logits float32 [n, classes], the mean over the snippets; for fusion by an SVM
    also "fusion", its logits.

    Args:
        config: the configuration.
        num_classes: number of classes.
        weights: what the backbone loads; by default `config.model.weights`.
        class_counts: int [classes], training clips of each class, for `train.class_balance`.

    Returns:
        The `TaskModel`.

    Raises:
        UsageError: the backbone does not fit the architecture.
    """
    settings, train = config.video, config.train
    weights = config.model.weights if weights is None else weights
    size, snippet = config.model.input_size, snippet_for(settings)
    inputs, outputs, backbone_layers = {}, {}, set()
    streams = stream_names(settings.architecture)
    for stream in streams:
        name = "frames" if stream == "spatial" else "flow"
        channels = 3 * len(snippet.frame_offsets) if stream == "spatial" else 2 * snippet.flow_length
        inputs[name] = keras.Input((None, size, size, channels), name=name)
        images = FoldTime(name=f"{stream}_fold")(inputs[name])
        if stream == "spatial":
            tower, pooled = _frame_features(settings.architecture, config.model.backbone, weights, images, snippet)
            dropout = config.model.dropout
        else:
            scaled = ScaleFlow(settings.flow_bound, name="temporal_scale")(images)
            tower = build_tower(
                config.model.backbone, weights, scaled, "temporal_", transform_first_kernel=mean_over_rgb(channels)
            )
            pooled = layers.GlobalAveragePooling2D(name="temporal_pool")(tower.features)
            dropout = settings.temporal_dropout
        pooled = Dropout(dropout, name=f"{stream}_dropout")(pooled)
        initializer = keras.initializers.RandomNormal(stddev=0.01)
        logits = layers.Dense(num_classes, kernel_initializer=initializer, name=f"{stream}_logits")(pooled)
        outputs[stream] = MeanOverSnippets(name=f"{stream}_mean")([logits, inputs[name]])
        backbone_layers |= tower.layer_names
    stream_layers = {
        stream: {layer.name for layer in keras.Model(inputs, outputs[stream]).layers if layer.name not in inputs}
        for stream in streams
    }
    if settings.fusion == "svm" and len(streams) == 2:
        scores = [layers.Softmax(name=f"{name}_softmax")(outputs[name]) for name in ("spatial", "temporal")]
        outputs["fusion"] = ScoreFusion(name="fusion")(scores)
    class_weights = class_balance.class_weights(train.class_balance, class_counts)

    def loss(targets: tf.Tensor, outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {
            stream: softmax_cross_entropy(targets, outputs[stream], train.label_smoothing, class_weights)
            for stream in streams
        }

    return TaskModel(inputs, outputs, loss, streams, backbone_layers, name="video", streams=stream_layers)


def average_streams(spatial: Any, temporal: Any, settings: "VideoConfig") -> Any:
    """Average the probabilities of two streams; with `video.fusion=weighted` by `video.fusion_weights`.

    Args:
        spatial: [n, classes], tensor or array.
        temporal: [n, classes], tensor or array.
        settings: the configuration of the model.

    Returns:
        [n, classes], of the type of the arguments.
    """
    first, second = settings.fusion_weights if settings.fusion == "weighted" else (1.0, 1.0)
    return (first * spatial + second * temporal) / (first + second)


def fuse_streams(model: keras.Model, streams: Mapping[str, Any], settings: "VideoConfig") -> Any:
    """Fuse the probabilities of the streams.

    Args:
        model: the video model, whose weights fusion by an SVM uses.
        streams: "spatial" and "temporal", or one of them: probabilities [n, classes].
        settings: the configuration of the model.

    Returns:
        Probabilities [n, classes]; those of the only stream, if there is one.
    """
    if len(streams) == 1:
        return next(iter(streams.values()))
    both = streams["spatial"], streams["temporal"]
    if settings.fusion == "svm":
        return ops.softmax(model.get_layer("fusion")(list(both)))
    return average_streams(*both, settings)


def _frame_features(
    architecture: str, backbone: str, weights: str, images: keras.KerasTensor, snippet: Snippet
) -> tuple[Tower, keras.KerasTensor]:
    """Build the spatial stream on [n, s, s, 3 t]; returns its tower and the features [n, c] of the snippets."""
    frames = len(snippet.frame_offsets)
    if architecture == "late_fusion":
        # Two towers with shared weights, which meet in the first linear layer (Karpathy et al. 2014, section 3.1).
        single_frames = SplitFrames(name="spatial_split")(images)
        tower = build_tower(backbone, weights, single_frames, "spatial_")
        pooled = layers.GlobalAveragePooling2D(name="spatial_pool")(tower.features)
        return tower, ConcatenateFrames(frames, name="spatial_join")(pooled)
    insert_after: dict[str | int, Callable[[Any], Any]]
    if architecture == "early_fusion":
        insert_after = {"preprocess": StackFrames(frames, frames, name="spatial_stack")}
        tower = _stacked_tower(backbone, weights, images, insert_after, frames)
    elif architecture == "slow_fusion":
        insert_after = {"preprocess": StackFrames(frames, SLOW_EXTENT, SLOW_STRIDE, name="spatial_stack")}
        for stride in SLOW_FUSED_STRIDES:
            insert_after[stride] = FusePairs(name=f"spatial_fuse_{stride}")
        tower = _stacked_tower(backbone, weights, images, insert_after, SLOW_EXTENT)
    else:
        tower = build_tower(backbone, weights, images, "spatial_")
    return tower, layers.GlobalAveragePooling2D(name="spatial_pool")(tower.features)


def _stacked_tower(
    backbone: str,
    weights: str,
    images: keras.KerasTensor,
    insert_after: Mapping[str | int, Callable[[Any], Any]],
    extent: int,
) -> Tower:
    """Build a tower that preprocesses single frames and stacks `extent` of them before its first convolution."""
    single_frames = SplitFrames(name="spatial_split")(images)
    return build_tower(backbone, weights, single_frames, "spatial_", insert_after, repeat_over_frames(extent))
