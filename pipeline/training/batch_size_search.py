"""`train.batch_size=auto`: the largest batch size, among powers of two, that every stage has memory for.

Each size is tried in a process of its own (batch_size_trial.py), so that one that fails leaves nothing behind. On a GPU
a step that needs too much memory fails by itself. On a CPU the process would be killed, perhaps with others. So the
peak memory is measured there, and the next size is tried only if the memory measured so far predicts that it fits.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError, UsageError, last_line
from retinue.configs.load import to_yaml
from retinue.configs.machine import free_memory
from retinue.configs.schema import Config
from retinue.data import batches
from retinue.data.dataset import Dataset
from retinue.data.storage.scratch import scratch_folder
from retinue.pipeline.training.batch_size_trial import OUT_OF_MEMORY, flatten_batch
from retinue.pipeline.training.distribute import Distribution
from retinue.tasks.task import Task

logger = logging.getLogger(__name__)

FIRST_SIZE = 8
LARGEST_SIZE = {"CPU": 64, "GPU": 1024}  # larger batches are not faster
MEMORY_FRACTION = 0.7  # of the free memory, for the steps; the rest is for reading images and for scoring
SAMPLE_SIZE, NUM_SAMPLES = 16, 4  # the images of a sampled batch, and how many are sampled; the largest is used


class Memory(NamedTuple):
    """The memory of a trial in bytes: before the first step, and at the peak."""

    base: int
    peak: int


def find_batch_size(config: Config, task: Task, dataset: Dataset) -> int:
    """Return the batch size to use in place of "auto", and log why it is not larger.

    Args:
        config: the configuration.
        task: the task.
        dataset: the training data.

    Raises:
        RetinueError: not even one image fits into the memory, or a step fails for another reason.
    """
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    allowed = int(MEMORY_FRACTION * free_memory())
    logger.info(f"train.batch_size=auto: trying sizes on the {device}, each in a process of its own")
    with scratch_folder() as folder:
        _write_trial_folder(folder, config, task, dataset)
        size, reason = search(
            lambda size: _try_size(folder, size),
            LARGEST_SIZE[device],
            len(dataset),
            allowed if device == "CPU" else None,
        )
    logger.info(f"train.batch_size=auto: {size}, since {reason}")
    return size


def search(
    attempt: Callable[[int], Memory | None], largest: int, num_files: int, allowed: int | None = None
) -> tuple[int, str]:
    """Return the batch size, and why it is not larger.

    Args:
        attempt: function from a size to the memory that it needs, or None if it fails.
        largest: the largest size to try.
        num_files: the number of training files.
        allowed: the bytes that a process may use; None if a process that needs too much fails by itself.

    Raises:
        RetinueError: nothing fits.
    """
    size = min(FIRST_SIZE, 2 ** int(np.log2(min(largest, num_files))))
    memory = _if_allowed(attempt(size), allowed)
    if not memory:
        while not memory and size > 1:
            size //= 2
            memory = _if_allowed(attempt(size), allowed)
        if not memory:
            raise RetinueError(
                "train.batch_size=auto: not even one image fits into the memory; use a smaller model or smaller images "
                "(--set model.input_size=N)"
            )
        return size, f"{2 * size} needs too much memory"
    while True:
        if 2 * size > min(largest, num_files):
            return (
                size,
                f"there are {num_files} files" if num_files < largest else f"sizes above {largest} are not tried",
            )
        expected = memory.base + 2 * (memory.peak - memory.base)
        if allowed and expected > allowed:
            return size, (
                f"{2 * size} would need about {expected / 1e9:.1f} GB of memory, and the steps may use "
                f"{allowed / 1e9:.1f} GB ({MEMORY_FRACTION:.0%} of the free memory)"
            )
        larger = _if_allowed(attempt(2 * size), allowed)
        if not larger:
            return size, f"{2 * size} needs too much memory"
        size, memory = 2 * size, larger


def refuse_auto(distribution: Distribution) -> None:
    """Raise UsageError on several replicas."""
    if distribution.replicas > 1:
        raise UsageError(
            "train.batch_size=auto works on one device only; give a number, the size of the batch over all devices"
        )


def _if_allowed(memory: Memory | None, allowed: int | None) -> Memory | None:
    """Return the memory of a trial, or None if it is more than is allowed."""
    return None if memory is None or (allowed and memory.peak > allowed) else memory


def _write_trial_folder(folder: Path, config: Config, task: Task, dataset: Dataset) -> None:
    """Write what a trial needs: as much of a run folder as `open_model` reads, and a batch of every stage."""
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    classes = {"classes": list(task.classes), "multi_label": task.multi_label}
    (folder / "classes.json").write_text(json.dumps(classes), encoding="utf-8")
    for number, stage in enumerate(config.train.stages.values()):
        data = batches.batches(
            task.columns(dataset),
            task.example(training=True, input_size=stage.input_size),
            batch_size=min(SAMPLE_SIZE, len(dataset)),
            training=True,
            seed=config.seed,
            padding=task.padding(training=True),
        )
        samples = [flatten_batch(batch) for batch in data.take(NUM_SAMPLES).as_numpy_iterator()]
        largest = max(samples, key=lambda arrays: sum(array.nbytes for array in arrays.values()))
        np.savez(folder / f"stage-{number}.npz", **largest)  # type: ignore[arg-type]  # NumPy's stub takes no dict


def _try_size(folder: Path, size: int) -> Memory | None:
    """Return the memory of a trial with batches of `size`, or None if the memory was too small."""
    import retinue

    package = str(Path(retinue.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    environment.pop("TF_FORCE_GPU_ALLOW_GROWTH", None)
    command = [sys.executable, "-m", "retinue.pipeline.training.batch_size_trial", str(folder), str(size)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ended.returncode in (OUT_OF_MEMORY, -signal.SIGKILL):  # Linux ends what needs too much with SIGKILL
        return None
    if ended.returncode:
        raise RetinueError(f"train.batch_size=auto: a step with {size} images failed: {last_line(ended.stderr)[:300]}")
    memory = json.loads(ended.stdout.strip().splitlines()[-1])
    return Memory(memory["base"], memory["peak"])
