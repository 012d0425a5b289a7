"""`tfds:NAME` with a video: clips of tensorflow_datasets, written out once as folders of their encoded frames."""

import json
from pathlib import Path
from typing import Any

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.dataset import Dataset
from retinue.data.readers.clips.clip_folders import clip_dataset
from retinue.data.readers.tfds.source import (
    builder_of,
    find_field,
    image_suffix,
    paths_in,
    unused_split_findings,
    write_dataset_once,
    write_if_missing,
    write_records,
)
from retinue.data.storage.atomic_files import atomic_write


def has_video(source: str) -> bool:
    """Return whether the dataset has a field of type `Video`.

    Raises:
        UsageError: There is no such dataset.
    """
    return _find_video_field(builder_of(source).info.features) is not None


def read_tfds_clips(source: str) -> Dataset:
    """Read `tfds:NAME` into a `Dataset` for video.

    The clip is the field of type `Video`, the label that of type `ClassLabel`. The bytes of the frames are written
    unchanged, with a folder for each clip, into `~/.cache/retinue/tfds` ($RETINUE_CACHE). If the job is killed in
    between, it continues from the last file. The splits train, validation and test are read.

    Args:
        source: The name of the dataset, after `tfds:`.

    Raises:
        UsageError: There is no such dataset, or it has no video or no label.
        RetinueError: The dataset can't be downloaded or written, or no clip has a label.
    """
    builder = builder_of(source)
    features = builder.info.features
    video = _find_video_field(features)
    if video is None:
        raise UsageError(f"{source}: this dataset has no video; its fields are {', '.join(features)}")
    label = find_field(source, features, "label", "classification")
    folder, index = write_dataset_once(
        source, builder, "clips.json", lambda path: _write_clips(source, builder, video, label, path)
    )
    if not index["files"]:
        raise RetinueError(f"{source}: there are no labeled clips in train, validation or test")
    findings = unused_split_findings(source, builder)
    files = paths_in(folder, index["files"])
    return clip_dataset(source, "tfds", files, index["labels"], index["classes"], index["splits"], findings)


def _find_video_field(features: Any) -> str | None:
    import tensorflow_datasets as tfds

    return next((name for name, feature in features.items() if isinstance(feature, tfds.features.Video)), None)


def _write_clips(source: str, builder: Any, video: str, label: str, index_path: Path) -> None:
    """Write the frames of every clip into a folder of its own, then the index.

    Args:
        source: For messages.
        builder: The dataset's builder.
        video: The name of the clip's field.
        label: The name of the label's field.
        index_path: Where the index is written.
    """
    folder = index_path.parent

    def write(record: dict[str, Any], name: str) -> dict[str, Any] | None:
        if int(record[label]) < 0:
            return None
        (folder / name).mkdir(parents=True, exist_ok=True)
        for frame, content in enumerate(record[video].numpy()):
            write_if_missing(folder / name / f"{frame:06d}.{image_suffix(content)}", content)
        return {"files": name, "labels": int(record[label])}

    rows = write_records(source, builder, video, folder, ("files", "labels"), write)
    atomic_write(index_path, json.dumps(rows | {"classes": builder.info.features[label].names}))
