"""What the readers of `tfds:NAME` share: finding a dataset of tensorflow_datasets and writing it out as files once."""

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError, UsageError, first_line
from retinue.configs.machine import cache_folder
from retinue.configs.quiet import import_tensorflow
from retinue.configs.suggestions import did_you_mean
from retinue.data.decoding.image_formats import format_of
from retinue.data.finding import NOTE, Finding
from retinue.data.storage.file_names import SPLIT_NAMES

logger = logging.getLogger(__name__)

PREFERRED_FIELDS = {"image": ("image",), "label": ("label", "labels")}  # where a dataset has several fields of the kind


def builder_of(source: str) -> Any:
    """Return the builder of `tfds:NAME`, a `tfds.core.DatasetBuilder`.

    Raises:
        UsageError: There is no dataset of this name, or no such configuration or version.
    """
    import_tensorflow()
    import tensorflow_datasets as tfds

    name = source.removeprefix("tfds:")
    if re.search(r":[^\d*]", name):  # as in kubric:movi_a: it would be looked for in the network, and its code be run
        raise UsageError(
            f"{source}: community collections are not read; give a dataset that tensorflow_datasets itself has"
        )
    try:
        return tfds.builder(name)
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)  # with them it would ask the network
        names = [f"tfds:{name}" for name in known]
        hint = did_you_mean(f"tfds:{re.split('[/:]', name)[0]}", names, limit=1, cutoff=0.7)
        cure = hint or "; see https://www.tensorflow.org/datasets/catalog"
        raise UsageError(f"{source}: tensorflow_datasets has no such dataset{cure}") from None
    except Exception as error:  # a wrong configuration or version raises many kinds of errors
        raise UsageError(f"{source}: {first_line(error)}") from error


def find_field(source: str, features: Any, kind: str, task: str) -> str:
    """Return the name of the image's or the label's field of a dataset.

    Args:
        source: For messages.
        features: The dataset's features.
        kind: "image" or "label".
        task: What the data is for, for messages.

    Raises:
        UsageError: There is no such field, several of them, or the images have neither 8 nor 16 bits.
    """
    import tensorflow_datasets as tfds

    names = []
    for name, feature in features.items():
        inner = feature.feature if isinstance(feature, tfds.features.Sequence) else feature
        matches = isinstance(inner, tfds.features.ClassLabel)
        if kind == "image":
            matches = type(feature) is tfds.features.Image  # not its subclass for masks
        if matches:
            names.append(name)
    preferred = [name for name in PREFERRED_FIELDS[kind] if name in names]
    if not preferred and len(names) != 1:
        fields = f"it has {' and '.join(names)}" if names else f"its fields are {', '.join(features)}"
        purpose = "detection" if task == "detection" else "classification"
        raise UsageError(f"{source}: a dataset for {purpose} needs one {kind}; {fields}")
    chosen = preferred[0] if preferred else names[0]
    if kind == "image" and features[chosen].np_dtype not in (np.uint8, np.uint16):
        raise UsageError(
            f"{source}: its images are {features[chosen].np_dtype.__name__}; only images of 8 or 16 bits can be read"
        )
    return chosen


def write_dataset_once(
    source: str, builder: Any, index_name: str, write: Callable[[Path], None]
) -> tuple[Path, dict[str, Any]]:
    """Download a dataset and write it out as files, each only if that has not been done before.

    Args:
        source: For messages.
        builder: The dataset's builder.
        index_name: The name of the index, a JSON file in the dataset's folder in the cache.
        write: Writes the files into the index's folder, and last of all the index to the path that it is given.

    Returns:
        The dataset's folder in the cache, and the content of its index.

    Raises:
        RetinueError: The dataset can't be downloaded, or the files can't be written.
    """
    if not builder.is_prepared():
        logger.info(f"{source}: downloading {builder.info.download_size} to {builder.data_path}, once")
        try:
            builder.download_and_prepare()
        except Exception as error:  # network, checksums, manual downloads, disk: the message tells the cause
            raise RetinueError(f"{source}: the dataset can't be prepared ({first_line(error)})") from error
    folder = cache_folder("tfds") / builder.info.full_name
    index = folder / index_name
    if not index.exists():
        try:
            write(index)
        except OSError as error:
            raise RetinueError(
                f"{source}: its files can't be written to {folder} ({error.strerror}); free some space there"
            ) from error
    return folder, json.loads(index.read_text(encoding="utf-8"))


def _used_splits(builder: Any) -> list[str]:
    """Return the names of the dataset's splits that are read: train, validation and test."""
    return [name for name in builder.info.splits if name in SPLIT_NAMES]


def _num_records(builder: Any) -> int:
    """Return the number of records in the splits that are read."""
    return sum(builder.info.splits[name].num_examples for name in _used_splits(builder))


def _records_of(builder: Any, split: str, encoded_field: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the tensors of each record of a split, in order, with one field left encoded."""
    import tensorflow_datasets as tfds

    decoders = {encoded_field: tfds.decode.SkipDecoding()}
    yield from enumerate(builder.as_dataset(split=split, shuffle_files=False, decoders=decoders))


def write_records(
    source: str,
    builder: Any,
    encoded_field: str,
    folder: Path,
    columns: Sequence[str],
    write: Callable[[dict[str, Any], str], dict[str, Any] | None],
) -> dict[str, list[Any]]:
    """Write the files of every record, split by split, and return the columns of the index.

    Args:
        source: For messages.
        builder: The dataset's builder.
        encoded_field: The name of the field that is left encoded.
        folder: The folder of the index, which gets a folder for each split.
        columns: The names of the index's columns.
        write: Writes the files of a record. Its arguments are the tensors of the record, and the path of its files
            within the folder, without a suffix. It returns a value for each column, or None to omit the record.

    Returns:
        The columns, with one more named "splits".
    """
    logger.info(f"{source}: writing {_num_records(builder):,} records to {folder}, once")
    rows: dict[str, list[Any]] = {name: [] for name in (*columns, "splits")}
    for split in _used_splits(builder):
        (folder / split).mkdir(parents=True, exist_ok=True)
        for number, record in _records_of(builder, split, encoded_field):
            row = write(record, f"{split}/{number:07d}")
            if row is not None:
                for name in columns:
                    rows[name].append(row[name])
                rows["splits"].append(SPLIT_NAMES[split])
    return rows


def unused_split_findings(source: str, builder: Any) -> list[Finding]:
    """Return a finding for each split that is not read."""
    return [unused_finding(source, f"its split {name} is not used") for name in unused_splits(builder)]


def unused_splits(builder: Any) -> list[str]:
    """Return the names of the dataset's splits that are not read."""
    return [name for name in builder.info.splits if name not in SPLIT_NAMES]


def unused_finding(source: str, reason: str) -> Finding:
    """Return a finding about a part of the dataset that is not read."""
    return Finding(NOTE, "not used", source, "", reason, "ignored")


def image_suffix(content: bytes) -> str:
    """Return the suffix for a file with this content, without the dot: "png", "jpeg", or "bin" for other formats."""
    return (format_of(content) or "bin").lower()


def write_if_missing(file: Path, content: bytes) -> None:
    """Write a file unless it is there with the same size.

    A plain write is enough: a file of which only a part was written has another size, and is written again before there
    is an index.
    """
    if not file.exists() or file.stat().st_size != len(content):
        file.write_bytes(content)


def paths_in(folder: Path, names: list[str]) -> list[str]:
    """Return the paths of the files that an index names."""
    return [os.path.join(folder, name) for name in names]
