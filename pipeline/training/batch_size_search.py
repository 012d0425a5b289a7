"""`train.batch_size=auto`: the largest batch, of powers of two, that a training step of every stage has memory for.

Each size is tried in a process of its own (batch_size_trial.py), so that one that fails leaves nothing behind. On a
GPU it
fails by itself. A CPU's would be killed, maybe with others: so there the peak of memory is measured, and a size is only
tried when the one before it lets expect that it fits.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError, UsageError, last_line
from retinue.configs.load import to_yaml
from retinue.configs.machine import free_memory
from retinue.data import batches
from retinue.data.storage.scratch import scratch_folder
from retinue.pipeline.training.batch_size_trial import FULL, packed

logger = logging.getLogger(__name__)

FIRST = 8
MOST = {"CPU": 64, "GPU": 1024}  # larger ones make nothing faster
SHARE = 0.7  # of the memory that is free, for the steps; the rest is for reading pictures and for scoring
SAMPLED, SAMPLES = 16, 4  # pictures of a batch that is tried, of which the largest of so many is taken


def find_batch_size(config, task, dataset):
    """The number to put in the place of "auto". dataset: what is learned from. What was found, and why, is logged.

    Raises RetinueError where not even one picture fits, or where a step fails for another reason.
    """
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    allowed = int(SHARE * free_memory())
    logger.info(f"train.batch_size=auto: trying sizes on the {device}, each in a process of its own")
    with scratch_folder() as folder:
        _describe(folder, config, task, dataset)
        size, why = search(
            lambda size: _try(folder, size), MOST[device], len(dataset), allowed if device == "CPU" else None
        )
    logger.info(f"train.batch_size=auto: {size}, since {why}")
    return size


def search(attempt, most, count, allowed=None):
    """(the size, why it is not larger). attempt: function of a size -> (base, peak) in bytes, or None where it fails.

    most: largest size; count: files to learn from; allowed: bytes that a process may take, None where it fails by
    itself. Raises RetinueError where nothing fits.
    """
    size = min(FIRST, 2 ** int(np.log2(min(most, count))))
    found = _fitting(attempt(size), allowed)
    if not found:
        while not found and size > 1:
            size //= 2
            found = _fitting(attempt(size), allowed)
        if not found:
            raise RetinueError(
                "train.batch_size=auto: not even one picture at a time fits into the memory; take a smaller net or "
                "smaller pictures (--set model.input_size=N)"
            )
        return size, f"{2 * size} is too much for the memory"
    while True:
        if 2 * size > min(most, count):
            return size, f"there are {count} files" if count < most else f"more than {most} is not tried"
        base, peak = found
        expected = base + 2 * (peak - base)
        if allowed and expected > allowed:
            return size, (
                f"{2 * size} would take about {expected / 1e9:.1f} GB of memory, and the steps may have "
                f"{allowed / 1e9:.1f} GB ({SHARE:.0%} of what is free)"
            )
        larger = _fitting(attempt(2 * size), allowed)
        if not larger:
            return size, f"{2 * size} is too much for the memory"
        size, found = 2 * size, larger


def refuse_auto(distribution):
    """Raise UsageError on several replicas."""
    if distribution.replicas > 1:
        raise UsageError("train.batch_size=auto: is for one device; give a number, the batch over all of them")


def _fitting(found, allowed):
    """What an attempt found, None where it is more than is allowed."""
    return None if found is None or (allowed and found[1] > allowed) else found


def _describe(folder, config, task, dataset):
    """Write what a trial needs: as much of a run folder as `open_model` reads, and a batch of every stage."""
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    classes = {"classes": list(task.classes), "multi_label": task.multi_label}
    (folder / "classes.json").write_text(json.dumps(classes), encoding="utf-8")
    for number, stage in enumerate(config.train.stages.values()):
        data = batches.batches(
            task.columns(dataset),
            task.example(training=True, input_size=stage.input_size),
            batch_size=min(SAMPLED, len(dataset)),
            training=True,
            seed=config.seed,
            padding=task.padding(training=True),
        )
        samples = [packed(batch) for batch in data.take(SAMPLES).as_numpy_iterator()]
        largest = max(samples, key=lambda arrays: sum(array.nbytes for array in arrays.values()))
        np.savez(folder / f"stage-{number}.npz", **largest)


def _try(folder, size):
    """(base, peak) of a trial with batches of `size`, or None where the memory was too small."""
    import retinue

    package = str(Path(retinue.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    environment.pop("TF_FORCE_GPU_ALLOW_GROWTH", None)
    command = [sys.executable, "-m", "retinue.pipeline.training.batch_size_trial", str(folder), str(size)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ended.returncode in (FULL, -signal.SIGKILL):  # by which Linux ends what takes too much
        return None
    if ended.returncode:
        raise RetinueError(
            f"train.batch_size=auto: a step with {size} pictures failed: {last_line(ended.stderr)[:300]}"
        )
    found = json.loads(ended.stdout.strip().splitlines()[-1])
    return found["base"], found["peak"]
