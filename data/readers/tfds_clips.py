"""`tfds:NAME` with a video: clips of tensorflow_datasets, written out once as folders of their encoded frames."""

import json
import logging
import os

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.decoding.image_file import format_of
from retinue.data.readers.clip_folders import clip_dataset
from retinue.data.readers.tfds_source import builder_of, label_field, unused_splits, write_once, written_out
from retinue.data.storage.atomic_files import atomic_write
from retinue.data.storage.file_names import SPLIT_NAMES

logger = logging.getLogger(__name__)


def has_video(source):
    """Whether the dataset has a field of type `Video`."""
    return _video_field(builder_of(source).info.features) is not None


def read_tfds_clips(source):
    """Read `tfds:NAME` into a `Dataset` for video.

    The clip is the field of type `Video`, the label that of type `ClassLabel`. The frames are written, their bytes as
    they are, as a folder a clip into `~/.cache/retinue/tfds` ($RETINUE_CACHE); a run that was broken off goes on where
    it stopped. The splits train, validation and test are taken.
    Raises UsageError for a dataset without clip or label, RetinueError when it can't be had.
    """
    builder = builder_of(source)
    video = _video_field(builder.info.features)
    if video is None:
        raise UsageError(f"{source}: has no video; its fields are {', '.join(builder.info.features)}")
    label = label_field(source, builder.info.features)
    folder, listed = written_out(
        source, builder, "clips.json", lambda index: _write_out(source, builder, video, label, index)
    )
    if not listed["files"]:
        raise RetinueError(f"{source}: no labelled clips in train, validation or test")
    findings = unused_splits(source, builder)
    files = [os.path.join(folder, name) for name in listed["files"]]
    return clip_dataset(source, "tfds", files, listed["labels"], listed["classes"], listed["splits"], findings)


def _video_field(features):
    import tensorflow_datasets as tfds

    return next((name for name, feature in features.items() if isinstance(feature, tfds.features.Video)), None)


def _write_out(source, builder, video, label, index):
    import tensorflow_datasets as tfds

    folder, rows = index.parent, {"files": [], "labels": [], "splits": []}
    splits = [name for name in builder.info.splits if name in SPLIT_NAMES]
    total = sum(builder.info.splits[name].num_examples for name in splits)
    logger.info(f"{source}: writing the frames of {total:,} clips to {folder}, once")
    for split in splits:
        records = builder.as_dataset(split=split, shuffle_files=False, decoders={video: tfds.decode.SkipDecoding()})
        for number, record in enumerate(records):
            if int(record[label]) < 0:
                continue
            name = f"{split}/{number:07d}"
            (folder / name).mkdir(parents=True, exist_ok=True)
            for place, content in enumerate(record[video].numpy()):
                ending = (format_of(content) or "bin").lower()
                write_once(folder / name / f"{place:06d}.{ending}", content)
            rows["files"].append(name)
            rows["labels"].append(int(record[label]))
            rows["splits"].append(SPLIT_NAMES[split])
    atomic_write(index, json.dumps(rows | {"classes": builder.info.features[label].names}))
