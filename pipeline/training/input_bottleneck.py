"""When training waits for its data: what takes so long, found by timing a few files, and what helps against it."""

import os
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from retinue.configs.machine import usable_cores
from retinue.data.batches import no_autograph
from retinue.data.dataset import Ragged
from retinue.data.decoding.decode import decode_image, encoded_bytes
from retinue.data.storage.file_names import frame_paths

LIMIT = 0.1  # share of an epoch; more is worth a warning
SHORTEST = 2.0  # seconds; what is waited less in an epoch is nobody's trouble
FILES = 16  # that are timed
AMPLE = 2.0  # times the net's side; photos whose shorter side is longer are larger than any crop needs


def is_due(history, seconds):
    """Whether a warning is due after the last epoch of `history`, rows of `metrics.csv`: once in a run.

    seconds: that were waited in that epoch.
    """
    *before, last = history
    return last["waiting"] > LIMIT and seconds > SHORTEST and not any(row["waiting"] > LIMIT for row in before)


def warning(share, task, columns, input_size):
    """The line that warns. share: of the epoch that was waited; task: `Task`; columns: of the training files, as for
    `data.batches`; input_size: the net's side in pixels."""
    files = columns["file"]
    rows = np.unique(np.linspace(0, len(files) - 1, FILES).astype(int))
    read, decode, change, sides = _times(task, columns, rows, input_size)
    parts = [f"{read * 1e3:.1f} ms to read"]
    if not task.is_video:
        parts.append(f"{decode * 1e3:.1f} to decode")
    parts.append(f"{change * 1e3:.1f} to {'decode' if task.is_video else 'change'}")
    cure = _cure(task, (read, decode, change), sides, input_size)
    return (
        f"warning: {share:.0%} of this epoch went to waiting for data. A file takes {', '.join(parts)}, on "
        f"{usable_cores()} cores. What helps: {cure}"
    )


def _times(task, columns, rows, input_size):
    """Seconds a file takes to be read, decoded and changed (of a clip, all that is not reading is changing), and the
    median of the shorter sides of the photos in pixels, 0 for clips."""
    example, seed = task.example(True, input_size), tf.zeros([2], tf.int32)
    signature = {name: _spec(column) for name, column in columns.items()}
    spent, sides = [], []
    with tf.device("CPU:0"):
        whole = tf.function(no_autograph(lambda record: example(record, seed)), input_signature=[signature])
        picture = tf.function(decode_image, input_signature=[tf.TensorSpec([], tf.string)])
        for row in [rows[0], *rows]:  # the first twice: TensorFlow makes its graphs then
            record = {name: _tensor(column[row]) for name, column in columns.items()}
            marks = [time.perf_counter()]
            content = _content(task, str(columns["file"][row]))
            marks.append(time.perf_counter())
            if not task.is_video:
                sides.append(min(picture(tf.constant(content)).shape[:2]))
            marks.append(time.perf_counter())
            whole(record)
            marks.append(time.perf_counter())
            read, decode, all_of_it = np.diff(marks)
            spent.append((read, decode, max(all_of_it - read - decode, 0.0)))
    return *np.median(spent[1:], axis=0), float(np.median(sides or [0]))


def _content(task, file):
    if not task.is_video:
        return encoded_bytes(file)
    names = frame_paths(file) if os.path.isdir(file) else [file]
    return b"".join(Path(name).read_bytes() for name in names)


def _spec(column):
    if isinstance(column, Ragged):
        return tf.TensorSpec([None, *column.values.shape[1:]], column.values.dtype)
    return tf.TensorSpec(column.shape[1:], tf.string if column.dtype.kind in "OU" else column.dtype)


def _tensor(value):
    return tf.constant(os.fsencode(value) if isinstance(value, str) else value)


def _cure(task, times, sides, input_size):
    """What helps, in words; `times` as from `_times`."""
    config = task.config
    longest = int(np.argmax(times))
    if longest == 0:
        return "move the files to a faster disk"
    if task.is_video:
        if "temporal" in task.streams and not config.video.flow_folder:
            return "compute the flow once: `retinue flow CLIPS --out FLOW`, then --set video.flow_folder=FLOW"
        return f"clips of about {config.video.frame_size[0]} pixels' height, or more cores"
    if longest == 1 and sides > AMPLE * input_size:
        return (
            f"smaller photos: their shorter side has {sides:.0f} pixels, of which {AMPLE * input_size:.0f} are ample "
            f"for a net of {input_size}; then more cores"
        )
    if longest == 2 and config.augment.randaugment_num_ops:
        return "fewer changes: --set augment.randaugment_num_ops=0 (or 1); then more cores"
    return "more cores, or a larger net, which would wait less"
