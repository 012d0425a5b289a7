"""The nets for video: two streams in one model, each alone, and frames stacked early, late or slowly.

Simonyan and Zisserman 2014, "Two-stream convolutional networks for action recognition in videos"; Karpathy et al. 2014,
"Large-scale video classification with convolutional neural networks".
"""

import keras
from keras import layers, ops

from retinue.backbones.dropout import Dropout
from retinue.tasks.classification.losses import balanced_class_weights, softmax_cross_entropy
from retinue.tasks.model import TaskModel
from retinue.tasks.video.backbone_copies import mean_over_colours, repeated_over_time, tower
from retinue.tasks.video.layers import (
    ConcatenateTimes,
    FlowLevels,
    FoldTime,
    FusePairs,
    MeanOverTime,
    ScoreFusion,
    SplitFrames,
    StackFrames,
)
from retinue.tasks.video.snippets import snippet_of

BALANCE_POWER = {"sqrt_weights": 0.5, "weights": 1.0}
SLOW_EXTENT, SLOW_STRIDE, SLOW_STRIDES = 4, 2, (4, 8)  # frames of a group, between groups; maps where pairs are joined
STREAMS = {"two_stream": ("spatial", "temporal"), "temporal": ("temporal",)}  # the others have one, "spatial"


def streams_of(architecture):
    """The streams that a net has: ("spatial",), ("temporal",) or both."""
    return STREAMS.get(architecture, ("spatial",))


def build(config, classes, weights=None, class_counts=None):
    """The untrained `TaskModel`.

    Inputs, whichever the architecture has: "frames" float32 `[n, k, s, s, 3 t]`, RGB 0..255, k snippets of t frames
    stacked along the channels; "flow" float32 `[n, k, s, s, 2 L]`, pixels, x and y of L fields in turn, less each
    field's mean where `video.flow_subtract_mean` says so. k may be any number. Outputs: "spatial" and "temporal",
    logits
    float32 `[n, classes]`, the mean over the snippets, and for fusion by an SVM, "fusion", its logits.
    config: `Config`; classes: how many; weights: what the backbone loads, by default `config.model.weights`;
    class_counts: int `[classes]`, clips of each class in training, to balance by weights.
    Raises UsageError for a backbone that the architecture can't stand on.
    """
    settings, train = config.video, config.train
    weights = config.model.weights if weights is None else weights
    size, snippet = config.model.input_size, snippet_of(settings)
    inputs, outputs, backbone_layers, parts = {}, {}, set(), {}
    for stream in streams_of(settings.architecture):
        name = "frames" if stream == "spatial" else "flow"
        channels = 3 * len(snippet.offsets) if stream == "spatial" else 2 * snippet.fields
        inputs[name] = keras.Input((None, size, size, channels), name=name)
        pictures = FoldTime(name=f"{stream}_fold")(inputs[name])
        if stream == "spatial":
            made, pooled = _frames_features(settings.architecture, config.model.backbone, weights, pictures, snippet)
            dropout = config.model.dropout
        else:
            levels = FlowLevels(settings.flow_bound, name="temporal_levels")(pictures)
            made = tower(config.model.backbone, weights, levels, "temporal_", first_kernel=mean_over_colours(channels))
            pooled = layers.GlobalAveragePooling2D(name="temporal_pool")(made.features)
            dropout = settings.temporal_dropout
        pooled = Dropout(dropout, name=f"{stream}_dropout")(pooled)
        start = keras.initializers.RandomNormal(stddev=0.01)
        logits = layers.Dense(classes, kernel_initializer=start, name=f"{stream}_logits")(pooled)
        outputs[stream] = MeanOverTime(name=f"{stream}_mean")([logits, inputs[name]])
        backbone_layers |= made.names
        parts[stream] = outputs[stream]
    if settings.fusion == "svm" and len(outputs) == 2:
        scores = [layers.Softmax(name=f"{name}_softmax")(outputs[name]) for name in ("spatial", "temporal")]
        outputs["fusion"] = ScoreFusion(name="fusion")(scores)
    class_weights = None
    if train.class_balance in BALANCE_POWER and class_counts is not None:
        class_weights = balanced_class_weights(class_counts, BALANCE_POWER[train.class_balance])

    def loss(targets, given):
        return {
            name: softmax_cross_entropy(targets, given[name], train.label_smoothing, class_weights) for name in parts
        }

    of_parts = {
        name: {layer.name for layer in keras.Model(inputs, output).layers if layer.name not in inputs}
        for name, output in parts.items()
    }
    return TaskModel(inputs, outputs, loss, tuple(parts), backbone_layers, name="video", streams=of_parts)


def fuse(spatial, temporal, settings):
    """The weighted mean of two streams' probabilities `[n, classes]`; by default each counts the same."""
    first, second = settings.fusion_weights if settings.fusion == "weighted" else (1.0, 1.0)
    return (first * spatial + second * temporal) / (first + second)


def fused(model, streams, settings):
    """Fused probabilities `[n, classes]` of {"spatial", "temporal": probabilities}, with the weights of `model`."""
    if len(streams) == 1:
        return next(iter(streams.values()))
    both = streams["spatial"], streams["temporal"]
    if settings.fusion == "svm":
        return ops.softmax(model.get_layer("fusion")(list(both)))
    return fuse(*both, settings)


def _frames_features(architecture, backbone, weights, pictures, snippet):
    """(`Tower`, features `[n, c]`) of the frames of snippets, stacked along the channels."""
    frames = len(snippet.offsets)
    if architecture == "late_fusion":
        # Two towers with shared weights, which meet in the first linear layer (Karpathy et al. 2014, section 3.1).
        singles = SplitFrames(name="spatial_split")(pictures)
        made = tower(backbone, weights, singles, "spatial_")
        pooled = layers.GlobalAveragePooling2D(name="spatial_pool")(made.features)
        return made, ConcatenateTimes(frames, name="spatial_join")(pooled)
    if architecture == "early_fusion":
        stack = StackFrames(frames, frames, name="spatial_stack")
        made = _stacked(backbone, weights, pictures, {"preprocess": stack}, frames)
    elif architecture == "slow_fusion":
        after = {"preprocess": StackFrames(frames, SLOW_EXTENT, SLOW_STRIDE, name="spatial_stack")}
        after |= {stride: FusePairs(name=f"spatial_fuse_{stride}") for stride in SLOW_STRIDES}
        made = _stacked(backbone, weights, pictures, after, SLOW_EXTENT)
    else:
        made = tower(backbone, weights, pictures, "spatial_")
    return made, layers.GlobalAveragePooling2D(name="spatial_pool")(made.features)


def _stacked(backbone, weights, pictures, after, extent):
    singles = SplitFrames(name="spatial_split")(pictures)
    return tower(backbone, weights, singles, "spatial_", after, repeated_over_time(extent))
