"""Which layers are trained in a stage. Frozen batch normalization is in inference mode: its statistics do not move."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.configs.schema import Stage, TrainConfig
from retinue.configs.suggestions import did_you_mean
from retinue.tasks.model import TaskModel


def apply_stage(model: TaskModel, stage: Stage, train: TrainConfig) -> str:
    """Set which layers are trained in one stage, and how batch normalization behaves. Compile the model afterwards.

    Args:
        model: the model, whose layers are changed.
        stage: the stage.
        train: the section `train` of the configuration.

    Returns:
        A line that describes what is trained.

    Raises:
        UsageError: the stage names a layer or a stream that the model does not have.
    """
    frozen: set[str] = set()
    if stage.backbone_lr_multiplier == 0:
        frozen = {layer.name for layer in model.backbone}
    elif stage.freeze_until_stride:
        # Only layers of the backbone: a pyramid on a fine map, and what all maps share, belong to the head.
        frozen = set(backbones.layers_below(model, stage.freeze_until_stride)) & model.backbone_layers
    frozen |= _check_layers(model, stage.freeze_layers)
    model.trained_stream = _trained_stream(model, stage)
    if model.trained_stream != "all":
        frozen |= {layer.name for layer in model.layers} - model.streams[model.trained_stream]
    for layer in model.layers:
        layer.trainable = layer.name not in frozen
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum, layer.synchronized = train.batch_norm_momentum, train.sync_batch_norm
            if train.batch_norm == "frozen" and layer.name in model.backbone_layers:
                layer.trainable = False
    return _describe(model, stage, train)


def _describe(model: TaskModel, stage: Stage, train: TrainConfig) -> str:
    if stage.backbone_lr_multiplier == 0:
        layers = "the head"
    elif stage.freeze_until_stride:
        layers = f"the layers from stride {stage.freeze_until_stride} on"
    else:
        layers = "all layers"
    if model.trained_stream != "all":
        layers += f" of the {model.trained_stream} stream"
    weights = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    parts = [f"{weights:,} weights"]
    if 0 < stage.backbone_lr_multiplier < 1:
        parts.append(f"the backbone at {stage.backbone_lr_multiplier:g} of the learning rate")
    line = f"trains {layers} ({', '.join(parts)}"
    if stage.freeze_layers:
        line += f"; {', '.join(stage.freeze_layers)} frozen"
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    updated = sum(layer.trainable for layer in norms)
    if updated:
        line += f"; {updated} batch norms update{_statistics_of(train)}"
    elif norms:
        line += "; batch norms frozen"
    return line + ")"


def _statistics_of(train: TrainConfig) -> str:
    """Say which images the statistics are computed from, if there are several replicas."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return ""
    if train.sync_batch_norm:
        return " with statistics of the full batch"
    return " with statistics of each replica's part of the batch (see train.sync_batch_norm)"


def _trained_stream(model: TaskModel, stage: Stage) -> str:
    """Return the stream of the model that the stage trains, or "all"."""
    if stage.train_streams == "all" or stage.train_streams in model.streams:
        return "all" if set(model.streams) == {stage.train_streams} else stage.train_streams
    raise UsageError(
        f"a stage has train_streams={stage.train_streams}, but this model has no {stage.train_streams} stream; remove "
        "the key"
    )


def _check_layers(model: TaskModel, names: Sequence[str]) -> set[str]:
    """Return the names as a set. Raises UsageError for a name that no layer of the model has."""
    known = {layer.name for layer in model.layers}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, limit=1, cutoff=0.6)
            raise UsageError(f"freeze_layers: the model has no layer {name}{hint}")
    return set(names)
