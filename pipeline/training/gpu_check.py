"""Whether another device learns what the CPU learns: the small recipes' models, a few steps in each precision.

The images are drawn, the weights random, and both devices begin with the same; what is compared is the loss of each
step. `retinue doctor --gpu`.
"""

import logging

import keras
import numpy as np
import tensorflow as tf

from retinue import tasks
from retinue.configs.load import load_config
from retinue.configs.schema import Stage
from retinue.pipeline.training.freeze import apply_stage
from retinue.pipeline.training.optimizer import make_optimizer

logger = logging.getLogger(__name__)

# ResNet-18 with frozen batch norms, since random weights serve there: EfficientNet's images vanish on their way with
# frozen ones, and with others small differences grow to large ones within few steps.
SETTINGS = (
    "model.backbone=resnet18",
    "model.weights=none",
    "model.dropout=0",
    "train.optimizer=sgd",
    "train.batch_norm=frozen",
)
BATCH, STEPS, RATE = 4, 5, 0.002
# How far a step's loss may be from the CPU's in float32, relative: other sums, and what five steps make of them.
TOLERANCE = {"float32": 0.005, "mixed_bfloat16": 0.05, "mixed_float16": 0.05}
SCALE = 256.0  # of the loss in float16


def gpu_check():
    """Compare the first GPU with the CPU. Gives whether all is well; True, with a reason, where there is no GPU."""
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        build = "is built for GPUs" if tf.test.is_built_with_gpu_support() else "is built for the CPU alone"
        logger.warning(
            f"skipped: TensorFlow sees no GPU here, and so there is nothing to compare (this TensorFlow {build})"
        )
        return True
    return compare_devices(gpus[0].name, "/CPU:0")


def compare_devices(device, reference, names=None, settings=()):
    """Whether `device` has the losses of `reference` in float32, in each precision and task; a line each is logged.

    device, reference: as TensorFlow names them; names: of tasks, by default all that have a
    `synthetic_batch`; settings: more `key=value` for the models. TF32, which
    rounds products of float32 to 10 bits, is off meanwhile.
    """
    rounds = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    good = True
    try:
        for name in tasks.TASKS if names is None else names:
            reference_losses = losses_on(reference, name, "float32", settings)
            if reference_losses is None:
                continue
            weights, expected = reference_losses
            for precision, tolerance in TOLERANCE.items():
                _, found = losses_on(device, name, precision, settings, weights)
                difference = float(np.max(np.abs(found - expected) / np.abs(expected)))
                well = difference <= tolerance  # not so for what is not a number
                good &= well
                logger.log(
                    logging.INFO if well else logging.WARNING,
                    f"{name:<15} {precision:<9} {_shown(found)} on {device}, {_shown(expected)} in float32 on "
                    f"{reference}: {difference:.2%} apart, {'ok' if well else f'MORE THAN {tolerance:.1%}'}",
                )
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(rounds)
    return good


def losses_on(device, name, precision, settings=(), weights=None):
    """(the weights before training, the loss before each of `STEPS` steps, float64) of a small model on a device.

    weights: list of arrays to begin with, by default random ones. None for a task without a `synthetic_batch`.
    """
    task_settings = tasks.task_class(name).device_check_settings
    config = load_config(tasks.default_recipe(name), [f"task={name}", *SETTINGS, *task_settings, *settings])
    task = tasks.create(config, ("red", "blue"))
    batch = task.synthetic_batch(BATCH)
    if batch is None:
        return None
    stage = Stage(epochs=1, learning_rate=RATE, backbone_lr_multiplier=1.0)
    train = config.train.model_copy(update={"warmup_epochs": 0.0, "schedule": "constant"})
    with tf.device(device):
        keras.utils.set_random_seed(0)
        model = task.build()
        if weights:
            model.set_weights(weights)
        weights = model.get_weights()
        apply_stage(model, stage, train)
        model.precision, model.batch_size = precision, BATCH
        model.compile(optimizer=make_optimizer(train, stage, model, STEPS))
        model.optimizer.build(model.trainable_variables)
        if precision == "mixed_float16":  # not the search of the scale is compared, which leaves the first steps out
            model.optimizer.dynamic_scale.assign(SCALE)
        batches = tf.data.Dataset.from_tensors(batch).repeat()
        history = model.fit(batches, epochs=STEPS, steps_per_epoch=1, shuffle=False, verbose=0).history
    return weights, np.array(history["loss"])


def _shown(losses):
    return f"{losses[0]:.4f} to {losses[-1]:.4f}"
