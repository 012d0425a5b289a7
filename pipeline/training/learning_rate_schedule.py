"""The learning rate of a training stage, step by step."""

import math
from typing import Any

import keras
from keras import ops

from retinue.configs.schema import Stage, TrainConfig


class StageSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warmup to the peak learning rate, followed by a cosine, by steps, or by a constant.

    Args:
        peak: the learning rate after the warmup.
        steps: the length of the stage in steps.
        warmup: the length of the warmup in steps.
        kind: "cosine", "steps" or "constant".
        milestones: kind "steps": fractions of the stage after which the learning rate is multiplied by `gamma`.
        gamma: kind "steps": the factor at each milestone.
        final_learning_rate: kind "cosine": the learning rate at the end of the stage.
    """

    def __init__(
        self,
        peak: float,
        steps: float,
        warmup: float,
        kind: str,
        milestones: tuple[float, ...],
        gamma: float,
        final_learning_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.peak, self.steps, self.warmup, self.kind = peak, steps, warmup, kind
        self.milestones, self.gamma, self.final_learning_rate = milestones, gamma, final_learning_rate

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of `step`, an int or a tensor of ints, counted from the start of the stage."""
        step = ops.cast(step, "float32")
        rise = ops.minimum((step + 1.0) / max(self.warmup, 1.0), 1.0) if self.warmup else 1.0
        fall = 1.0
        if self.kind == "cosine":
            done = ops.clip((step - self.warmup) / max(self.steps - self.warmup, 1.0), 0.0, 1.0)
            last = self.final_learning_rate / self.peak
            fall = last + (1.0 - last) * 0.5 * (1.0 + ops.cos(math.pi * done))
        elif self.kind == "steps":
            for milestone in self.milestones:
                fall = fall * ops.where(step >= milestone * self.steps, self.gamma, 1.0)
        return self.peak * rise * fall

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, as Keras asks for them."""
        names = ("peak", "steps", "warmup", "kind", "milestones", "gamma", "final_learning_rate")
        return {name: getattr(self, name) for name in names}


def make_schedule(train: TrainConfig, stage: Stage, steps_per_epoch: int) -> StageSchedule:
    """Return the learning rate schedule that the configuration describes for one stage."""
    steps = stage.epochs * steps_per_epoch
    return StageSchedule(
        stage.learning_rate,
        steps,
        min(train.warmup_epochs * steps_per_epoch, steps / 2),
        train.schedule,
        train.lr_milestones,
        train.lr_gamma,
        stage.final_learning_rate,
    )


def scale_learning_rates(stage: Stage, train: TrainConfig, batch_size: int) -> Stage:
    """Return the stage with learning rates in proportion to the batch size, if `train.reference_batch_size` is set.

    This is the linear scaling rule of Goyal et al. 2017 (arXiv 1706.02677, section 2.1), which needs a warmup.
    """
    if not train.reference_batch_size:
        return stage
    factor = batch_size / train.reference_batch_size
    rates = {name: getattr(stage, name) * factor for name in ("learning_rate", "final_learning_rate")}
    return stage.model_copy(update=rates)
