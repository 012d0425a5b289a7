"""What the configuration says of a training step, but for its optimizer: refused early, said on the screen, scaled."""

from retinue.configs.errors import RetinueError, UsageError


def refuse_step(train, distribution, count):
    """Raise UsageError for a step that can't be made. train: `TrainConfig`; count: files to learn from."""
    batch_size = min(train.batch_size, count)
    distribution.shares(batch_size)
    if batch_size // distribution.replicas < train.gradient_accumulation_steps:
        each = " on each device" if distribution.replicas > 1 else ""
        raise UsageError(
            f"train.gradient_accumulation_steps={train.gradient_accumulation_steps}: "
            f"a batch of {batch_size} has fewer pictures{each} than parts; "
            f"take at most {batch_size // distribution.replicas}, or a larger train.batch_size"
        )
    if train.precision == "mixed_float16" and distribution.replicas > 1:
        raise UsageError(
            "train.precision=mixed_float16: is for one device, since replicas can't agree on the scale "
            "of the loss yet; take "
            + ("mixed_bfloat16" if distribution.workers > 1 else "mixed_bfloat16, or train.strategy=single")
        )


def scaled_stage(stage, train, batch_size):
    """The `Stage` with rates in proportion to `batch_size`, where `train.reference_batch_size` says what they are
    meant for.

    The linear scaling rule of Goyal et al. 2017 (arXiv 1706.02677, section 2.1), which needs a warm-up.
    """
    if not train.reference_batch_size:
        return stage
    factor = batch_size / train.reference_batch_size
    return stage.model_copy(
        update={
            "learning_rate": stage.learning_rate * factor,
            "final_learning_rate": stage.final_learning_rate * factor,
        }
    )


def step_lines(train, batch_size):
    """What is said of the steps before training, where something is out of the ordinary."""
    lines = []
    if train.precision == "mixed_float16":
        lines.append("training steps compute in float16, with a scaled loss; weights, losses and scores are float32")
    if train.precision == "mixed_bfloat16":
        lines.append("training steps compute in bfloat16; weights, losses and scores are float32")
    if train.gradient_accumulation_steps > 1:
        lines.append(
            f"a batch of {batch_size} goes through the net in {train.gradient_accumulation_steps} parts; it is one step"
        )
    if train.reference_batch_size and batch_size != train.reference_batch_size:
        lines.append(
            f"the rates are meant for batches of {train.reference_batch_size}: for {batch_size} they are multiplied by "
            f"{batch_size / train.reference_batch_size:g} (train.reference_batch_size)"
        )
    return lines


def out_of_memory(train, batch_size, input_size):
    """The RetinueError for a training step that the memory is too small for."""
    parts = min(2 * train.gradient_accumulation_steps, batch_size)
    if batch_size > train.gradient_accumulation_steps:
        cure = (
            f"start a new run with --set train.gradient_accumulation_steps={parts} "
            f"(the same batch in {parts} parts) or with "
            f"--set train.batch_size={max(batch_size // 2, 1)}"
        )
    elif input_size > 32:
        cure = f"start a new run with smaller pictures (--set model.input_size={input_size // 2})"
    else:
        cure = "take a smaller net"
    if train.precision == "float32":
        cure += "; on a GPU, --set train.precision=mixed_bfloat16 takes about half"
    return RetinueError(f"the memory is too small for a batch of {batch_size} at {input_size} px: {cure}")
