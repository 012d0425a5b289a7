"""Rates and decay a variable, under SGD and AdamW; the schedules, by hand."""

from functools import partial

import keras
import numpy as np
import pytest

from retinue.configs.schema import Stage, TrainConfig
from retinue.pipeline.training.learning_rate_schedule import StageSchedule, make_schedule
from retinue.pipeline.training.optimizer import SGD, AdamW, make_optimizer
from retinue.tasks.model import TaskModel


def two_layer_model():
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(3, name="trunk")(inputs)
    outputs = keras.layers.Dense(1, name="head")(hidden)

    def loss(targets, outputs):
        return {"loss": keras.ops.mean(keras.ops.square(outputs - targets), axis=-1)}

    return TaskModel(inputs, outputs, loss, ("loss",), ["trunk"])


def step_of(optimizer_class, rate, decay=0.0, steps=3, **settings):
    """How far a weight of 1 has moved after steps with gradient 1."""
    variable = keras.Variable([1.0, 1.0])
    optimizer = optimizer_class(
        learning_rate=0.01, lr_multiplier_of=lambda v: rate, weight_decay_of=lambda v: decay, **settings
    )
    for _ in range(steps):
        optimizer.apply([keras.ops.ones(2)], [variable])
    return 1.0 - variable.numpy()[0]


@pytest.mark.parametrize(("optimizer", "settings"), [(SGD, {"momentum": 0.9}), (AdamW, {})])
def test_the_update_is_scaled_and_not_the_gradient(optimizer, settings):
    assert step_of(optimizer, 0.1, **settings) == pytest.approx(0.1 * step_of(optimizer, 1.0, **settings), rel=1e-4)
    assert step_of(optimizer, 0.0, **settings) == 0.0


def test_sgd_by_hand():
    # velocity: -0.01, -0.019 with momentum 0.9
    assert step_of(SGD, 1.0, steps=2, momentum=0.9) == pytest.approx(0.01 + 0.019, rel=1e-5)
    # with decay 0.5 the gradient of a weight of 1 is 1.5
    assert step_of(SGD, 1.0, decay=0.5, steps=1, momentum=0.9) == pytest.approx(0.015, rel=1e-5)


def test_adamw_by_hand():
    # one step of Adam moves by the rate; decoupled decay takes rate * decay * weight first
    assert step_of(AdamW, 1.0, decay=0.5, steps=1) == pytest.approx(0.01 + 0.01 * 0.5, rel=1e-4)
    assert step_of(AdamW, 0.1, decay=0.5, steps=1) == pytest.approx(0.001 + 0.001 * 0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("mine", "theirs", "decay"),
    [
        (partial(SGD, 0.1, momentum=0.0), keras.optimizers.SGD(0.1, momentum=0.0), 0.0),
        (partial(SGD, 0.1, momentum=0.9), keras.optimizers.SGD(0.1, momentum=0.9), 0.0),
        (partial(AdamW, 0.01), keras.optimizers.AdamW(0.01, weight_decay=0.1), 0.1),
    ],
)
def test_unscaled_equals_keras(mine, theirs, decay):
    optimizers = [mine(lr_multiplier_of=lambda v: 1.0, weight_decay_of=lambda v: decay), theirs]
    weights = [keras.Variable([1.0, -2.0]) for _ in optimizers]
    for gradient in ([0.3, -1.0], [0.5, 2.0], [-1.0, 0.1]):
        for optimizer, weight in zip(optimizers, weights, strict=True):
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
    np.testing.assert_allclose(*(weight.numpy() for weight in weights), rtol=1e-6)
    for pair in zip(*(optimizer.variables[2:] for optimizer in optimizers), strict=True):
        np.testing.assert_allclose(*(slot.numpy() for slot in pair), rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_backbone_moves_slower_and_only_kernels_decay(name):
    keras.utils.set_random_seed(0)
    train = TrainConfig(optimizer=name, weight_decay=0.1, clip_norm=0.0, warmup_epochs=0.0, schedule="constant")
    stage = Stage(epochs=1, learning_rate=0.1, backbone_lr_multiplier=0.01)
    model = two_layer_model()
    optimizer = make_optimizer(train, stage, model, steps_per_epoch=10)
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    optimizer.apply(
        [keras.ops.zeros(variable.shape) for variable in model.trainable_variables], model.trainable_variables
    )
    for variable in model.trainable_variables:
        moved = before[variable.path] - variable.numpy()
        kernel, rate = len(variable.shape) == 2, 0.001 if variable.path.startswith("trunk") else 0.1
        np.testing.assert_allclose(moved, before[variable.path] * rate * 0.1 * kernel, rtol=2e-3, atol=1e-7)


def test_schedule_by_hand():
    def values(kind, **settings):
        warmup, final_learning_rate = settings.get("warmup", 0), settings.get("final_learning_rate", 0.0)
        schedule = StageSchedule(1.0, 10, warmup, kind, (0.6, 0.8), 0.1, final_learning_rate)
        return [round(float(schedule(step)), 4) for step in (0, 1, 5, 6, 8, 10)]

    assert values("constant") == [1.0] * 6
    assert values("steps") == [1.0, 1.0, 1.0, 0.1, 0.01, 0.01]
    assert values("cosine") == [1.0, 0.9755, 0.5, 0.3455, 0.0955, 0.0]
    assert values("cosine", final_learning_rate=0.5) == [1.0, 0.9878, 0.75, 0.6727, 0.5477, 0.5]
    assert values("constant", warmup=4) == [0.25, 0.5, 1.0, 1.0, 1.0, 1.0]


def test_warm_up_is_at_most_half_of_a_stage():
    schedule = make_schedule(TrainConfig(warmup_epochs=5), Stage(epochs=2, learning_rate=0.1), steps_per_epoch=10)
    assert (schedule.steps, schedule.warmup) == (20, 10)


def test_gradients_are_clipped_by_their_common_norm():
    train = TrainConfig(
        optimizer="sgd", momentum=0.0, weight_decay=0.0, clip_norm=1.0, warmup_epochs=0, schedule="constant"
    )
    model = two_layer_model()
    optimizer = make_optimizer(
        train, Stage(epochs=1, learning_rate=1.0, backbone_lr_multiplier=1.0), model, steps_per_epoch=10
    )
    before = [variable.numpy() for variable in model.trainable_variables]
    optimizer.apply([100.0 * keras.ops.ones(v.shape) for v in model.trainable_variables], model.trainable_variables)
    moved = [old - variable.numpy() for old, variable in zip(before, model.trainable_variables, strict=True)]
    assert np.sqrt(sum((part**2).sum() for part in moved)) == pytest.approx(1.0, rel=1e-5)
