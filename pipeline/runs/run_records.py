"""The files that a run was made with, as its split.csv lists them, if they still exist."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.data.decoding import image_file
from retinue.data.decoding.clip_probe import probe_clip
from retinue.data.decoding.pixel_range import range_problem
from retinue.pipeline.runs.run import Model
from retinue.pipeline.runs.split_file import read_split_file

if TYPE_CHECKING:
    from retinue.tasks.task import Task

# The file of a record, and for a clip its start and end in seconds; an end of 0 is the end of the video.
RunRecord = dict[str, Any]


def whole_file(file: str | os.PathLike[str]) -> RunRecord:
    """Return the record of a complete file."""
    return {"file": os.fspath(file), "start": 0.0, "end": 0.0}


def listed_records(model: Model, split: str) -> Iterator[RunRecord]:
    """Yield the records of a split in the order of split.csv; none if there is no such file."""
    for row in read_split_file(model.folder):
        if row.split == split and row.file:
            yield {"file": row.file, "start": row.start, "end": row.end}


def sample_records(model: Model, split: str, count: int) -> list[RunRecord]:
    """Return at most `count` records of a split, evenly spaced over its list, that can be read."""
    records = list(listed_records(model, split))
    if len(records) > count:
        records = [records[index] for index in np.linspace(0, len(records) - 1, count).round().astype(int)]
    return [record for record in records if not find_problem(model, record)]


def find_problem(model: Model, record: RunRecord) -> tuple[str, str, str] | None:
    """Return (kind, reason, cure) if a record can't be used, else None."""
    if model.task.is_video:
        return probe_clip(record["file"], record["start"], record["end"], model.config.data.max_pixels).problem
    info = image_file.probe(record["file"], model.config.data.max_pixels)
    return info.problem or range_problem(info.depth, model.config.data.pixel_range)


def read_record(task: "Task", record: RunRecord) -> dict[str, np.ndarray]:
    """Return what `task.read_record` makes of a record, as arrays."""
    import tensorflow as tf

    times = {name: tf.constant(record[name], tf.float32) for name in ("start", "end")}
    tensors = task.read_record({"file": tf.constant(os.fsencode(record["file"])), **times})
    return {name: tensor.numpy() for name, tensor in tensors.items()}
