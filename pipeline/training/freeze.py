"""Which layers learn in a stage. A frozen BatchNormalization is in inference mode: its statistics do not move."""

import math

import keras
import tensorflow as tf

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.configs.suggestions import did_you_mean


def apply_stage(model, stage, train):
    """Set `trainable` of every layer for one stage, and the BatchNormalization policy. Compile the model afterwards.

    model: `TaskModel`; stage: `Stage`; train: `TrainConfig`. Returns one line that says what learns. Raises UsageError
    for a layer to freeze that the model doesn't have.
    """
    frozen = set()
    if stage.backbone_lr_multiplier == 0:
        frozen = {layer.name for layer in model.backbone}
    elif stage.freeze_until_stride:
        # of the backbone alone: a pyramid on a fine map, and what is shared by all maps, is the head's
        frozen = set(backbones.layers_below(model, stage.freeze_until_stride)) & model.backbone_layers
    frozen |= _named(model, stage.freeze_layers)
    model.trained_stream = _learning_part(model, stage)
    if model.trained_stream != "all":
        frozen |= {layer.name for layer in model.layers} - model.streams[model.trained_stream]
    normalisations = 0
    for layer in model.layers:
        layer.trainable = layer.name not in frozen
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum, layer.synchronized = train.batch_norm_momentum, train.sync_batch_norm
            if train.batch_norm == "frozen" and layer.name in model.backbone_layers:
                layer.trainable = False
            normalisations += layer.trainable
    weights = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    which = (
        "the head alone"
        if stage.backbone_lr_multiplier == 0
        else (f"layers from stride {stage.freeze_until_stride} on" if stage.freeze_until_stride else "all layers")
    )
    has_any = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    statistics = (
        f"; {normalisations} batch norms update{_of_shares(train)}"
        if normalisations
        else "; batch norms frozen"
        if has_any
        else ""
    )
    statistics = (f"; {', '.join(stage.freeze_layers)} frozen" if stage.freeze_layers else "") + statistics
    rate = (
        f", the backbone at {stage.backbone_lr_multiplier:g} of the rate"
        if 0 < stage.backbone_lr_multiplier < 1
        else ""
    )
    if model.trained_stream != "all":
        which = f"of the {model.trained_stream} stream {which}"
    return f"{which} learn{'s' if stage.backbone_lr_multiplier == 0 else ''} ({weights:,} weights{rate}{statistics})"


def _of_shares(train):
    """On several replicas: what the statistics are of."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return ""
    return " by the whole batch" if train.sync_batch_norm else " by each replica's share (see train.sync_batch_norm)"


def _learning_part(model, stage):
    """The part of the net that the stage trains, or "all"."""
    if stage.train_streams == "all" or stage.train_streams in model.streams:
        return "all" if set(model.streams) == {stage.train_streams} else stage.train_streams
    raise UsageError(f"a stage has learns: {stage.train_streams}, but this net has no such stream; leave it away")


def _named(model, names):
    """The layers of these names, each of which must be there."""
    known = {layer.name for layer in model.layers}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, limit=1, cutoff=0.6)
            raise UsageError(f"freeze_layers: the net has no layer {name}{hint}")
    return set(names)
