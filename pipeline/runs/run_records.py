"""The photos or clips that a run was made with, as they are listed in its folder, and still there."""

import os

import numpy as np

from retinue.data.decoding import image_file
from retinue.data.decoding.clip_probe import probe_clip
from retinue.pipeline.runs.split_file import read_split_file


def whole(file):
    """The record of a file: a dict of file, and of clips start and end in seconds (an end of 0 is the clip's own)."""
    return {"file": os.fspath(file), "start": 0.0, "end": 0.0}


def listed(model, split):
    """The records of one split of a `Model` of run.py, in the order of its split.csv; none where there is no list."""
    for row in read_split_file(model.folder):
        if row.split == split and row.file:
            yield {"file": row.file, "start": row.start, "end": row.end}


def spread(model, split, count):
    """At most `count` records of a split, evenly over its list, that can be read."""
    known = list(listed(model, split))
    if len(known) > count:
        known = [known[place] for place in np.linspace(0, len(known) - 1, count).round().astype(int)]
    return [record for record in known if not trouble(model, record)]


def trouble(model, record):
    """None, or (kind, reason, cure): why a record can't be used."""
    if model.task.is_video:
        return probe_clip(record["file"], record["start"], record["end"], model.config.data.max_pixels).bad
    return image_file.probe(record["file"], model.config.data.max_pixels).bad


def read(task, record):
    """What `task.read_record` gives, as arrays."""
    import tensorflow as tf

    parts = {name: tf.constant(record[name], tf.float32) for name in ("start", "end")}
    tensors = task.read_record({"file": tf.constant(os.fsencode(record["file"])), **parts})
    return {name: tensor.numpy() for name, tensor in tensors.items()}
