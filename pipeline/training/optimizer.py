"""Optimizers with a learning rate multiplier and a weight decay for each variable.

Scaling a gradient has no effect under Adam, which divides the scale out again. So the update is scaled, and the same
setting means the same under SGD and AdamW.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from retinue.configs.schema import Stage, TrainConfig
from retinue.pipeline.training.learning_rate_schedule import make_schedule
from retinue.tasks.keras_internals import variable_index
from retinue.tasks.model import TaskModel


class _PerVariableOptimizer:
    """A mixin for a Keras optimizer: a learning rate multiplier and a weight decay for each variable.

    Functions of the variable give both; they are called once, in `build`. They hold no state, so a restored optimizer
    needs nothing but the same functions.

    On several replicas, Keras clips the gradient of each replica before it adds them. Here they are added first, so
    the norm that is clipped is that of the whole batch.

    Args:
        lr_multiplier_of: function of a `keras.Variable` that returns its learning rate multiplier.
        weight_decay_of: function of a `keras.Variable` that returns its weight decay.
        clip_norm: the largest norm of the gradient of all variables; 0 is no limit.
    """

    # The Keras optimizer that this class is mixed into has these.
    built: bool
    iterations: Any
    learning_rate: Any

    def __init__(
        self,
        *args: Any,
        lr_multiplier_of: Callable[[Any], float],
        weight_decay_of: Callable[[Any], float],
        clip_norm: float = 0.0,
        **kwargs: Any,
    ) -> None:
        several = tf.distribute.get_strategy().num_replicas_in_sync > 1
        global_clipnorm = None if several else clip_norm or None
        super().__init__(*args, global_clipnorm=global_clipnorm, **kwargs)  # type: ignore[call-arg]  # a mixin
        self._lr_multiplier_of, self._weight_decay_of = lr_multiplier_of, weight_decay_of
        self._clip_norm, self._several_replicas = clip_norm, several
        self._lr_multipliers: list[float] = []
        self._weight_decays: list[float] = []

    def build(self, variables: Sequence[Any]) -> None:
        """Create the slots of the optimizer, and ask for the multiplier and the weight decay of each variable."""
        if not self.built:
            self._lr_multipliers = [float(self._lr_multiplier_of(variable)) for variable in variables]
            self._weight_decays = [float(self._weight_decay_of(variable)) for variable in variables]
        super().build(variables)  # type: ignore[misc]  # a mixin

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> Any:
        """Update the variables, as Keras does. On several replicas, `grads` are one replica's summands."""
        context = tf.distribute.get_replica_context()
        if not self._several_replicas or context is None:
            return super().apply(grads, trainable_variables)  # type: ignore[misc]  # a mixin
        pairs = [
            (grad, variable)
            for grad, variable in zip(grads, trainable_variables or (), strict=True)
            if grad is not None
        ]
        grads = context.all_reduce(tf.distribute.ReduceOp.SUM, [grad for grad, _ in pairs])
        if self._clip_norm:
            grads, _ = tf.clip_by_global_norm(grads, self._clip_norm)
        context.merge_call(self._update_all, args=(grads, [variable.value for _, variable in pairs]))
        self.iterations.assign_add(1)
        return None

    def _update_all(self, strategy: tf.distribute.Strategy, grads: Sequence[Any], variables: Sequence[Any]) -> None:
        learning_rate = self.learning_rate
        for grad, variable in zip(grads, variables, strict=True):
            strategy.extended.update(variable, self._update_one, args=(grad, learning_rate), group=False)

    def _update_one(self, variable: Any, grad: Any, learning_rate: Any) -> None:
        self.update_step(grad, variable, learning_rate)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable. Keras' optimizers are extended by this method."""
        index = variable_index(self, variable)
        learning_rate = ops.cast(learning_rate, variable.dtype) * self._lr_multipliers[index]
        gradient = self._decay(gradient, variable, learning_rate, self._weight_decays[index])
        self._step(gradient, variable, learning_rate, index)

    def _decay(self, gradient: Any, variable: Any, learning_rate: Any, weight_decay: float) -> Any:
        """Apply the weight decay, and return the gradient to use."""
        raise NotImplementedError

    def _step(self, gradient: Any, variable: Any, learning_rate: Any, index: int) -> None:
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]  # a mixin


class AdamW(_PerVariableOptimizer, keras.optimizers.Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), scaled by the learning rate of each variable."""

    def _decay(self, gradient: Any, variable: Any, learning_rate: Any, weight_decay: float) -> Any:
        if weight_decay:
            self.assign_sub(variable, variable * (learning_rate * weight_decay))
        return gradient


class SGD(_PerVariableOptimizer, keras.optimizers.SGD):
    """SGD with momentum and an L2 penalty on the weights, as in Krizhevsky et al. 2012, section 5."""

    def _decay(self, gradient: Any, variable: Any, learning_rate: Any, weight_decay: float) -> Any:
        return gradient + weight_decay * variable if weight_decay else gradient

    def _step(self, gradient: Any, variable: Any, learning_rate: Any, index: int) -> None:
        if self._several_replicas or not self.momentum:  # each replica has a copy of the variable and its slots
            super()._step(gradient, variable, learning_rate, index)
            return
        # This operation reads and writes large weights once; Keras' update does so several times.
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[index].value.handle,
            lr=learning_rate,
            grad=ops.cast(gradient, variable.dtype),
            momentum=self.momentum,
        )


def make_optimizer(
    train: TrainConfig, stage: Stage, model: TaskModel, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """Return the optimizer of one stage.

    Variables of the backbone use `stage.backbone_lr_multiplier` times the learning rate of the head. Only kernels
    decay. A model that is trained in float16 gets an optimizer that multiplies the loss by a factor as large as the
    gradients allow, and skips a step whose gradients are not finite (Micikevicius et al. 2018, section 3.2).

    Args:
        train: the section `train` of the configuration.
        stage: the stage that is trained.
        model: the model that is trained; its `precision` is read.
        steps_per_epoch: the number of steps in an epoch.
    """

    def lr_multiplier_of(variable: Any) -> float:
        return stage.backbone_lr_multiplier if model.is_backbone(variable) else 1.0

    def weight_decay_of(variable: Any) -> float:
        return train.weight_decay if is_kernel(variable) else 0.0

    settings: dict[str, Any] = {
        "learning_rate": make_schedule(train, stage, steps_per_epoch),
        "lr_multiplier_of": lr_multiplier_of,
        "weight_decay_of": weight_decay_of,
        "clip_norm": train.clip_norm,
    }
    optimizer = AdamW(**settings) if train.optimizer == "adamw" else SGD(momentum=train.momentum, **settings)
    return keras.optimizers.LossScaleOptimizer(optimizer) if model.precision == "mixed_float16" else optimizer


def is_kernel(variable: Any) -> bool:
    """Return whether weight decay applies to a variable: to kernels, never to biases and normalization."""
    return len(variable.shape) > 1
