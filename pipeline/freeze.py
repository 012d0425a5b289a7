"""Which layers learn in a stage. A frozen BatchNormalization is in inference mode: its statistics do not move."""

import math

import keras

from retinue import backbones


def apply_stage(model, stage, train):
    """Set `trainable` of every layer for one stage, and the BatchNormalization policy. Compile the model afterwards.

    model: `TaskModel`; stage: `Stage`; train: `TrainConfig`. Returns one line that says what learns.
    """
    frozen = set()
    if stage.backbone_rate == 0:
        frozen = {layer.name for layer in model.backbone}
    elif stage.frozen_below:
        frozen = set(backbones.layers_below(model, stage.frozen_below))
    normalisations = 0
    for layer in model.layers:
        layer.trainable = layer.name not in frozen
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = train.batch_norm_momentum
            if train.batch_norm == "frozen" and layer.name in model.backbone_layers:
                layer.trainable = False
            normalisations += layer.trainable
    weights = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    which = (
        "the head alone"
        if stage.backbone_rate == 0
        else (f"layers from stride {stage.frozen_below} on" if stage.frozen_below else "all layers")
    )
    has_any = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    statistics = (
        f"; {normalisations} batch norms update" if normalisations else "; batch norms frozen" if has_any else ""
    )
    rate = f", the backbone at {stage.backbone_rate:g} of the rate" if 0 < stage.backbone_rate < 1 else ""
    return f"{which} learn{'s' if stage.backbone_rate == 0 else ''} ({weights:,} weights{rate}{statistics})"
