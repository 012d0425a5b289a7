"""What the configuration asks of a training step: impossible settings, unusual ones, and the memory it needs."""

from typing import TYPE_CHECKING

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.schema import TrainConfig

if TYPE_CHECKING:
    from retinue.pipeline.training.distribute import Distribution


def refuse_impossible_step(train: TrainConfig, distribution: "Distribution", num_files: int) -> None:
    """Raise UsageError if a training step with these settings is impossible.

    Args:
        train: the section `train` of the configuration, with a number as its batch size.
        distribution: how the steps are distributed.
        num_files: the number of training files.
    """
    batch_size = min(int(train.batch_size), num_files)
    distribution.replica_slices(batch_size)
    if batch_size // distribution.replicas < train.gradient_accumulation_steps:
        each = " on each device" if distribution.replicas > 1 else ""
        raise UsageError(
            f"train.gradient_accumulation_steps={train.gradient_accumulation_steps}: a batch of {batch_size} has fewer "
            f"images{each} than micro-batches; set it to at most {batch_size // distribution.replicas}, or increase "
            "train.batch_size"
        )
    if train.precision == "mixed_float16" and distribution.replicas > 1:
        cure = "mixed_bfloat16" if distribution.workers > 1 else "mixed_bfloat16, or train.strategy=single"
        raise UsageError(
            "train.precision=mixed_float16 works on one device only, since replicas cannot agree on the scale of the "
            f"loss yet; use {cure}"
        )


def describe_step(train: TrainConfig, batch_size: int) -> list[str]:
    """Return a line for each unusual setting of the training steps."""
    lines = []
    if train.precision != "float32":
        scaled = " with loss scaling" if train.precision == "mixed_float16" else ""
        dtype = train.precision.removeprefix("mixed_")
        lines.append(f"training steps compute in {dtype}{scaled}; weights, losses and scores are float32")
    if train.gradient_accumulation_steps > 1:
        lines.append(
            f"a batch of {batch_size} is processed in {train.gradient_accumulation_steps} micro-batches; it is one step"
        )
    if train.reference_batch_size and batch_size != train.reference_batch_size:
        factor = batch_size / train.reference_batch_size
        lines.append(
            f"the learning rates are meant for batches of {train.reference_batch_size}; for batches of {batch_size} "
            f"they are multiplied by {factor:g} (train.reference_batch_size)"
        )
    return lines


def out_of_memory_error(train: TrainConfig, batch_size: int, input_size: int) -> RetinueError:
    """Return the error for a training step that the memory is too small for.

    Args:
        train: the section `train` of the configuration.
        batch_size: the number of images in a batch.
        input_size: the side of the model's input in pixels.
    """
    steps = min(2 * train.gradient_accumulation_steps, batch_size)
    if batch_size > train.gradient_accumulation_steps:
        cure = (
            f"start a new run with --set train.gradient_accumulation_steps={steps} (the same batch in {steps} "
            f"micro-batches) or with --set train.batch_size={max(batch_size // 2, 1)}"
        )
    elif input_size > 32:
        cure = f"start a new run with smaller images (--set model.input_size={input_size // 2})"
    else:
        cure = "use a smaller model"
    if train.precision == "float32":
        cure += "; on a GPU, --set train.precision=mixed_bfloat16 needs about half"
    return RetinueError(f"the memory is too small for a batch of {batch_size} at {input_size} px: {cure}")
