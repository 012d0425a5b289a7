"""Which layers learn in a stage, on a real backbone."""

import keras
import pytest

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.configs.schema import Stage, TrainConfig
from retinue.pipeline.training.freeze import apply_stage
from retinue.tasks.model import TaskModel


@pytest.fixture(scope="module")
def model():
    backbone = backbones.build("efficientnet_lite0", weights="none")
    pooled = keras.layers.GlobalAveragePooling2D(name="head_pool")(backbone.output[32])
    logits = keras.layers.Dense(2, name="head_logits")(pooled)
    return TaskModel(backbone.input, logits, None, ("loss",), [layer.name for layer in backbone.layers])


def trainable(model):
    return {variable.path.split("/")[0] for variable in model.trainable_variables}


def test_head_alone(model):
    line = apply_stage(model, Stage(epochs=1, learning_rate=1, backbone_lr_multiplier=0), TrainConfig())
    assert trainable(model) == {"head_logits"}
    assert line == "trains the head (2,562 weights; batch norms frozen)"


def test_everything(model):
    apply_stage(model, Stage(epochs=1, learning_rate=1), TrainConfig(batch_norm_momentum=0.8))
    assert {"stem_conv", "stem_bn", "block15_project_bn", "head_logits"} <= trainable(model)
    assert {layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)} == {0.8}


def test_frozen_below_a_stride(model):
    apply_stage(model, Stage(epochs=1, learning_rate=1, freeze_until_stride=8), TrainConfig())
    learning = trainable(model)
    assert "block2_project_conv" not in learning and "block3_depthwise_conv" in learning
    apply_stage(model, Stage(epochs=1, learning_rate=1), TrainConfig())  # a later stage thaws what an earlier one froze
    assert "stem_conv" in trainable(model)


def test_frozen_statistics_only_concern_the_backbone(model):
    apply_stage(model, Stage(epochs=1, learning_rate=1), TrainConfig(batch_norm="frozen"))
    assert not any("_bn" in name for name in trainable(model))
    assert "stem_conv" in trainable(model)


def test_layers_by_name(model):
    line = apply_stage(
        model, Stage(epochs=1, learning_rate=1, freeze_layers=("head_logits", "stem_conv")), TrainConfig()
    )
    assert "head_logits" not in trainable(model) and "stem_conv" not in trainable(model)
    assert "block0_depthwise_conv" in trainable(model) and "head_logits, stem_conv frozen" in line
    with pytest.raises(UsageError, match="no layer head_logit; did you mean head_logits?"):
        apply_stage(model, Stage(epochs=1, learning_rate=1, freeze_layers=("head_logit",)), TrainConfig())


def test_a_head_on_a_fine_map_learns_while_the_backbone_below_it_is_frozen():
    """A detector's pyramid and proposal network stand on the map of stride 4, too."""
    backbone = backbones.build("efficientnet_lite0", weights="none")
    score = keras.layers.Conv2D(2, 1, name="head_score")(backbone.output[4])
    top = keras.layers.GlobalAveragePooling2D(name="head_pool")(backbone.output[32])
    names = [layer.name for layer in backbone.layers]
    model = TaskModel(backbone.input, [score, top], None, ("loss",), names)
    apply_stage(model, Stage(epochs=1, learning_rate=1, freeze_until_stride=8), TrainConfig())
    learning = trainable(model)
    assert "head_score" in learning and "block2_project_conv" not in learning
