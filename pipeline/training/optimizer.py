"""Optimizers whose step differs by variable, and the schedules of the learning rate.

Scaling a gradient does nothing under Adam, which divides it out again; so the update is scaled, and the same setting
means the same under SGD and AdamW.
"""

import math

import keras
import tensorflow as tf
from keras import ops


class _VariableRates:
    """Mixed into a Keras optimizer: a factor on the learning rate, and a weight decay, for each variable.

    The factors are given by functions of the variable, asked once in `build`; they hold no state, so a restored
    optimizer needs nothing more than the same functions.

    On several replicas Keras clips each one's gradient before it adds them. Here they are added first, so that the norm
    that is clipped is the whole batch's: clip_norm, or 0.
    """

    def __init__(self, *args, rate_of, decay_of, clip_norm=0.0, **kwargs):
        several = tf.distribute.get_strategy().num_replicas_in_sync > 1
        super().__init__(*args, global_clipnorm=(clip_norm or None) if not several else None, **kwargs)
        self._rate_of, self._decay_of, self._clip_norm, self._several = rate_of, decay_of, clip_norm, several
        self._rates, self._decays = [], []

    def build(self, variables):
        if not self.built:
            self._rates = [float(self._rate_of(variable)) for variable in variables]
            self._decays = [float(self._decay_of(variable)) for variable in variables]
        super().build(variables)

    def apply(self, grads, trainable_variables=None):
        """As Keras's. On several replicas, grads are one replica's share of the sum."""
        context = tf.distribute.get_replica_context()
        if not self._several or context is None:
            return super().apply(grads, trainable_variables)
        pairs = [
            (grad, variable) for grad, variable in zip(grads, trainable_variables, strict=True) if grad is not None
        ]
        grads = context.all_reduce(tf.distribute.ReduceOp.SUM, [grad for grad, _ in pairs])
        if self._clip_norm:
            grads, _ = tf.clip_by_global_norm(grads, self._clip_norm)
        context.merge_call(self._update_all, args=(grads, [variable.value for _, variable in pairs]))
        self.iterations.assign_add(1)

    def _update_all(self, strategy, grads, variables):
        rate = self.learning_rate
        for grad, variable in zip(grads, variables, strict=True):
            strategy.extended.update(variable, self._update_one, args=(grad, rate), group=False)

    def _update_one(self, variable, grad, rate):
        self.update_step(grad, variable, rate)

    def update_step(self, gradient, variable, learning_rate):
        # The index is how Keras's own optimizers find their slots in update_step, the method they are extended by.
        index = self._get_variable_index(variable)
        gradient, learning_rate = self._decayed(
            gradient, variable, ops.cast(learning_rate, variable.dtype) * self._rates[index], self._decays[index]
        )
        self._step(gradient, variable, learning_rate, index)

    def _step(self, gradient, variable, learning_rate, index):
        super().update_step(gradient, variable, learning_rate)


class AdamW(_VariableRates, keras.optimizers.Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), scaled by each variable's own rate."""

    def _decayed(self, gradient, variable, learning_rate, decay):
        if decay:
            self.assign_sub(variable, variable * (learning_rate * decay))
        return gradient, learning_rate


class SGD(_VariableRates, keras.optimizers.SGD):
    """SGD with momentum and the L2 penalty's gradient, as in Krizhevsky et al. 2012, section 5."""

    def _decayed(self, gradient, variable, learning_rate, decay):
        return (gradient + decay * variable if decay else gradient), learning_rate

    def _step(self, gradient, variable, learning_rate, index):
        if self._several or not self.momentum:  # on several replicas, a variable and its slots are one a replica
            return super()._step(gradient, variable, learning_rate, index)
        tf.raw_ops.ResourceApplyKerasMomentum(  # reads and writes large weights once, Keras's update several times
            var=variable.handle,
            accum=self.momentums[index].value.handle,
            lr=learning_rate,
            grad=ops.cast(gradient, variable.dtype),
            momentum=self.momentum,
        )


def make_optimizer(train, stage, model, steps_per_epoch):
    """The optimizer of one stage.

    train: `TrainConfig`; stage: `Stage`; model: `TaskModel`; steps_per_epoch: int.
    Backbone variables move by `stage.backbone_lr_multiplier` of the head's rate; only kernels decay. A model that
    learns in
    float16 gets one that multiplies the loss by a factor as large as its gradients bear, and leaves a step out where
    they are not finite (Micikevicius et al. 2018, section 3.2).
    """

    def rate_of(variable):
        return stage.backbone_lr_multiplier if model.is_backbone(variable) else 1.0

    def decay_of(variable):
        return train.weight_decay if is_kernel(variable) else 0.0

    settings = {
        "learning_rate": make_schedule(train, stage, steps_per_epoch),
        "rate_of": rate_of,
        "decay_of": decay_of,
        "clip_norm": train.clip_norm,
    }
    optimizer = AdamW(**settings) if train.optimizer == "adamw" else SGD(momentum=train.momentum, **settings)
    return keras.optimizers.LossScaleOptimizer(optimizer) if model.precision == "mixed_float16" else optimizer


def is_kernel(variable):
    """Whether weight decay applies: weights of convolutions and dense layers, never biases or normalisation."""
    return len(variable.shape) > 1


class StageSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of a stage: a linear rise to the peak, then constant, cosine to `final_learning_rate`, or
    steps.

    rate: the peak; steps: length of the stage; warmup: steps of the rise; kind: "cosine", "steps" or "constant";
    boundaries: shares of the stage after which the rate is multiplied by `factor` (kind "steps").
    """

    def __init__(self, rate, steps, warmup, kind, boundaries, factor, final_learning_rate=0.0):
        super().__init__()
        self.rate, self.steps, self.warmup, self.kind = rate, steps, warmup, kind
        self.boundaries, self.factor, self.final_learning_rate = boundaries, factor, final_learning_rate

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rise = ops.minimum((step + 1.0) / max(self.warmup, 1.0), 1.0) if self.warmup else 1.0
        if self.kind == "cosine":
            done = ops.clip((step - self.warmup) / max(self.steps - self.warmup, 1.0), 0.0, 1.0)
            last = self.final_learning_rate / self.rate
            fall = last + (1.0 - last) * 0.5 * (1.0 + ops.cos(math.pi * done))
        elif self.kind == "steps":
            fall = 1.0
            for boundary in self.boundaries:
                fall = fall * ops.where(step >= boundary * self.steps, self.factor, 1.0)
        else:
            fall = 1.0
        return self.rate * rise * fall

    def get_config(self):
        names = ("rate", "steps", "warmup", "kind", "boundaries", "factor", "final_learning_rate")
        return {name: getattr(self, name) for name in names}


def make_schedule(train, stage, steps_per_epoch):
    """The `StageSchedule` that the configuration describes."""
    steps = stage.epochs * steps_per_epoch
    warmup = min(train.warmup_epochs * steps_per_epoch, steps / 2)
    return StageSchedule(
        stage.learning_rate,
        steps,
        warmup,
        train.schedule,
        train.lr_milestones,
        train.lr_gamma,
        stage.final_learning_rate,
    )
