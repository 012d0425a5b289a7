"""When training waits for its data: which step of the input is slow, found by timing a few files, and its cure."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from retinue.configs.machine import usable_cores
from retinue.data.batches import no_autograph
from retinue.data.dataset import Ragged
from retinue.data.decoding.decode import decode_image, read_encoded_bytes
from retinue.data.storage.file_names import frame_paths
from retinue.tasks.task import Task

WARNING_FRACTION = 0.1  # of an epoch; waiting for longer is worth a warning
WARNING_SECONDS = 2.0  # waiting for less in an epoch does not matter
TIMED_FILES = 16
AMPLE_SIZE = 2.0  # images whose shorter side exceeds the model's by this factor are larger than any crop needs


def is_due(history: Sequence[Mapping[str, Any]], seconds: float) -> bool:
    """Return whether a warning is due after the last epoch: once per run.

    Args:
        history: the rows of `metrics.csv`.
        seconds: how long that epoch waited for data.
    """
    *before, last = (row["input_wait_fraction"] > WARNING_FRACTION for row in history)
    return last and seconds > WARNING_SECONDS and not any(before)


def warning(wait_fraction: float, task: Task, columns: Mapping[str, Any], input_size: int) -> str:
    """Return the text of the warning.

    Args:
        wait_fraction: the fraction of the epoch that was spent waiting.
        task: the task.
        columns: the training files, as for `data.batches`.
        input_size: the side of the model's input in pixels.
    """
    files = columns["file"]
    rows = np.unique(np.linspace(0, len(files) - 1, TIMED_FILES).astype(int))
    read, decode, augment, shorter_side = _median_times(task, columns, rows, input_size)
    parts = [f"{read * 1e3:.1f} ms to read"]
    if not task.is_video:
        parts.append(f"{decode * 1e3:.1f} ms to decode")
    parts.append(f"{augment * 1e3:.1f} ms to {'decode' if task.is_video else 'augment'}")
    cure = _cure(task, (read, decode, augment), shorter_side, input_size)
    return (
        f"warning: {wait_fraction:.0%} of this epoch was spent waiting for data. A file takes {', '.join(parts)}, on "
        f"{usable_cores()} cores. What helps: {cure}"
    )


def _median_times(
    task: Task, columns: Mapping[str, Any], rows: np.ndarray, input_size: int
) -> tuple[float, float, float, float]:
    """Time a few files.

    Returns:
        The median seconds to read, decode and augment a file (for a clip, everything after reading counts as the
        last), and the median of the shorter sides of the images in pixels, 0 for clips.
    """
    example, seed = task.example(True, input_size), tf.zeros([2], tf.int32)
    signature = {name: _spec(column) for name, column in columns.items()}
    times, sides = [], []
    with tf.device("CPU:0"):
        make_example = tf.function(no_autograph(lambda record: example(record, seed)), input_signature=[signature])
        pixel_range = task.config.data.pixel_range
        decode = tf.function(
            lambda encoded: decode_image(encoded, pixel_range), input_signature=[tf.TensorSpec([], tf.string)]
        )
        for row in [rows[0], *rows]:  # the first file twice: TensorFlow builds its graphs then
            record = {name: _tensor(column[row]) for name, column in columns.items()}
            clock = [time.perf_counter()]
            content = _file_content(task, str(columns["file"][row]))
            clock.append(time.perf_counter())
            if not task.is_video:
                sides.append(min(decode(tf.constant(content)).shape[:2]))
            clock.append(time.perf_counter())
            make_example(record)
            clock.append(time.perf_counter())
            reading, decoding, total = np.diff(clock)
            times.append((reading, decoding, max(total - reading - decoding, 0.0)))
    read, decoded, augmented = (float(seconds) for seconds in np.median(times[1:], axis=0))
    return read, decoded, augmented, float(np.median(sides or [0]))


def _file_content(task: Task, file: str) -> bytes:
    if not task.is_video:
        return read_encoded_bytes(file, task.config.data.pixel_range)
    names = frame_paths(file) if os.path.isdir(file) else [file]
    return b"".join(Path(name).read_bytes() for name in names)


def _spec(column: Any) -> tf.TensorSpec:
    if isinstance(column, Ragged):
        return tf.TensorSpec([None, *column.values.shape[1:]], column.values.dtype)
    return tf.TensorSpec(column.shape[1:], tf.string if column.dtype.kind in "OU" else column.dtype)


def _tensor(value: Any) -> tf.Tensor:
    return tf.constant(os.fsencode(value) if isinstance(value, str) else value)


def _cure(task: Task, times: tuple[float, float, float], shorter_side: float, input_size: int) -> str:
    """Return what helps. `times` are the seconds to read, decode and augment a file."""
    config = task.config
    slowest = int(np.argmax(times))
    if slowest == 0:
        return "move the files to a faster disk"
    if task.is_video:
        if "temporal" in getattr(task, "streams", ()) and not config.video.flow_folder:
            return "compute the flow once: `retinue flow CLIPS --out FLOW`, then --set video.flow_folder=FLOW"
        return f"clips with a height of about {config.video.frame_size[0]} pixels, or more cores"
    if slowest == 1 and shorter_side > AMPLE_SIZE * input_size:
        return (
            f"smaller images: their shorter side has {shorter_side:.0f} pixels, and {AMPLE_SIZE * input_size:.0f} are "
            f"ample for an input of {input_size} pixels; then more cores"
        )
    if slowest == 2 and config.augment.randaugment_num_ops:
        return "less augmentation: --set augment.randaugment_num_ops=0 (or 1); then more cores"
    return "more cores, or a larger model, which would wait less"
