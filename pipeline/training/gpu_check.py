"""The check whether training on a GPU gives the results of the CPU: `retinue doctor --gpu`.

It trains the model of each task for a few steps in each precision, on images that are drawn, from random weights that
are equal on both devices, and compares the loss of each step.
"""

import logging
from collections.abc import Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from retinue import tasks
from retinue.configs.load import load_config
from retinue.configs.schema import Stage
from retinue.pipeline.training.freeze import apply_stage
from retinue.pipeline.training.optimizer import make_optimizer

logger = logging.getLogger(__name__)

# ResNet-18 with frozen batch norms works with random weights. In EfficientNet images vanish with frozen batch norms,
# and with updating ones small differences grow to large ones within a few steps.
SETTINGS = (
    "model.backbone=resnet18",
    "model.weights=none",
    "model.dropout=0",
    "train.optimizer=sgd",
    "train.batch_norm=frozen",
)
BATCH_SIZE, STEPS, LEARNING_RATE = 4, 5, 0.002
# The largest relative difference of a loss from the CPU's in float32. Sums are computed in another order, and five
# steps amplify that.
TOLERANCE = {"float32": 0.005, "mixed_bfloat16": 0.05, "mixed_float16": 0.05}
LOSS_SCALE = 256.0  # in float16


def gpu_check() -> bool:
    """Compare the first GPU with the CPU.

    Returns:
        Whether they agree. Without a GPU, True, and a warning says why nothing was compared.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        build = "is built for GPUs" if tf.test.is_built_with_gpu_support() else "is built for the CPU only"
        logger.warning(f"skipped: TensorFlow sees no GPU, so there is nothing to compare (this TensorFlow {build})")
        return True
    return compare_devices(gpus[0].name, "/CPU:0")


def compare_devices(
    device: str, reference: str, names: Iterable[str] | None = None, settings: Sequence[str] = ()
) -> bool:
    """Return whether a device has the losses of another one in float32, in each precision and for each task.

    A line is logged for each comparison. TF32, which rounds products of float32 to 10 bits, is off meanwhile.

    Args:
        device: the device to check, as TensorFlow names it.
        reference: the device to compare with.
        names: the names of the tasks; by default all that have a `synthetic_batch`.
        settings: more `key=value` settings for the models.
    """
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    all_agree = True
    try:
        for name in tasks.TASKS if names is None else names:
            result = losses_on(reference, name, "float32", settings)
            if result is None:
                continue
            weights, expected = result
            for precision, tolerance in TOLERANCE.items():
                result = losses_on(device, name, precision, settings, weights)
                assert result is not None
                _, losses = result
                difference = float(np.max(np.abs(losses - expected) / np.abs(expected)))
                agrees = difference <= tolerance  # False for a difference that is not a number
                all_agree &= agrees
                logger.log(
                    logging.INFO if agrees else logging.WARNING,
                    f"{name:<15} {precision:<9} {_format(losses)} on {device}, {_format(expected)} in float32 on "
                    f"{reference}: {difference:.2%} apart, {'ok' if agrees else f'MORE THAN {tolerance:.1%}'}",
                )
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(tf32)
    return all_agree


def losses_on(
    device: str,
    name: str,
    precision: str,
    settings: Sequence[str] = (),
    weights: Sequence[np.ndarray] | None = None,
) -> tuple[list[np.ndarray], np.ndarray] | None:
    """Train the small model of a task for `STEPS` steps on a device.

    Args:
        device: the device, as TensorFlow names it.
        name: the name of the task.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        settings: more `key=value` settings.
        weights: the weights to start from; by default random ones.

    Returns:
        The weights before training and the loss before each step, float64; None for a task without a
        `synthetic_batch`.
    """
    task_settings = tasks.task_class(name).device_check_settings
    config = load_config(tasks.default_recipe(name), [f"task={name}", *SETTINGS, *task_settings, *settings])
    task = tasks.create(config, ("red", "blue"))
    batch = task.synthetic_batch(BATCH_SIZE)
    if batch is None:
        return None
    stage = Stage(epochs=1, learning_rate=LEARNING_RATE, backbone_lr_multiplier=1.0)
    train = config.train.model_copy(update={"warmup_epochs": 0.0, "schedule": "constant"})
    with tf.device(device):
        keras.utils.set_random_seed(0)
        model = task.build()
        if weights:
            model.set_weights(weights)
        initial_weights = model.get_weights()
        apply_stage(model, stage, train)
        model.precision, model.batch_size = precision, BATCH_SIZE
        model.compile(optimizer=make_optimizer(train, stage, model, STEPS))
        model.optimizer.build(model.trainable_variables)
        if precision == "mixed_float16":  # the search for the scale, which skips the first steps, is not compared
            model.optimizer.dynamic_scale.assign(LOSS_SCALE)
        batches = tf.data.Dataset.from_tensors(batch).repeat()
        history = model.fit(batches, epochs=STEPS, steps_per_epoch=1, shuffle=False, verbose=0).history
    return initial_weights, np.array(history["loss"])


def _format(losses: np.ndarray) -> str:
    return f"{losses[0]:.4f} to {losses[-1]:.4f}"
