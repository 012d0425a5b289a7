"""The index of a pack: what its shards hold, where every file lies in them, and the `Dataset` that they are.

A pack is a folder of TFRecord shards with one index, `pack.index`: a zip of NumPy arrays and of `pack.json`. It is
written last, so that a folder without one is no pack. No TensorFlow.
"""

import io
import json
import os
import zipfile
from dataclasses import dataclass

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset, Ragged

INDEX = "pack.index"
VERSION = 1
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time that is written for every part, so that equal indices have equal bytes
COLUMNS = ("shard", "record", "start", "offset", "length")  # of `Places`
AGAIN = "copy the pack again, or pack the data again"


@dataclass(frozen=True)
class Places:
    """Where files lie: row i of every column is a file, in the order of the shards.

    names: list of str, `/` between folders, below the pack. shard: int `[n]`, the number of its shard; record: int
    `[n]`, which record of it, from 0; start: int `[n]`, where in the shard that record begins; offset, length: int
    `[n]`, the bytes of the shard that are the file. ids: list of str, content ids (see `data.content`).
    """

    names: list
    shard: np.ndarray
    record: np.ndarray
    start: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    ids: list


@dataclass(frozen=True)
class PackIndex:
    """dataset: `Dataset` whose files (and masks) are names below the pack. places: `Places`. folders: {name: names of
    the files in it}, of clips that are folders of frames. shards: a list of dicts of `name`, `bytes`, `records`. fold:
    of UCF-101 and HMDB-51, which of the splits it was read with."""

    dataset: Dataset
    places: Places
    folders: dict
    shards: list
    fold: int = 1


def index_bytes(index):
    """A `PackIndex` as bytes; equal ones give equal bytes."""
    dataset, places = index.dataset, index.places
    about = {
        "version": VERSION,
        "task": dataset.task,
        "format": dataset.format,
        "fold": index.fold,
        "files": len(dataset),
        "classes": dataset.classes,
        "class_ids": [number.item() if isinstance(number, np.generic) else number for number in dataset.class_ids],
        "shards": index.shards,
        "columns": {name: _kind(column) for name, column in dataset.columns.items()},
    }
    parts = {"pack.json": json.dumps(about, indent=1).encode()}
    for name, column in dataset.columns.items():
        parts |= _column_parts(f"column/{name}", column)
    for name in ("files", "splits", "groups", "content_ids"):
        if getattr(dataset, name) is not None:
            parts[f"{name}.json"] = _list_bytes(getattr(dataset, name))
    for name in ("names", "ids"):
        parts[f"places/{name}.json"] = _list_bytes(getattr(places, name))
    for name in COLUMNS:
        parts[f"places/{name}.npy"] = _array_bytes(getattr(places, name))
    parts["folders.json"] = json.dumps(index.folders).encode()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            part = zipfile.ZipInfo(name, EPOCH)
            part.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(part, content)
    return written.getvalue()


def parse_index(content, path):
    """The `PackIndex` in bytes. path: for messages. Raises RetinueError when it is damaged or of a later version."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        about = json.loads(parts["pack.json"])
        if about["version"] != VERSION:
            raise RetinueError(f"{path}: written by another version of retinue; pack the data again, or use that one")
        columns = {name: _column(f"column/{name}", kind, parts) for name, kind in about["columns"].items()}
        lists = {
            name: np.array(json.loads(parts[f"{name}.json"]), object)
            for name in ("splits", "groups", "content_ids")
            if f"{name}.json" in parts
        }
        dataset = Dataset(
            task=about["task"],
            files=json.loads(parts["files.json"]),
            classes=about["classes"],
            columns=columns,
            format=about["format"],
            class_ids=about["class_ids"],
            **lists,
        )
        places = Places(
            json.loads(parts["places/names.json"]),
            *(_array(parts[f"places/{name}.npy"]) for name in COLUMNS),
            json.loads(parts["places/ids.json"]),
        )
        return PackIndex(dataset, places, json.loads(parts["folders.json"]), about["shards"], about["fold"])
    except (zipfile.BadZipFile, zipfile.zlib.error, KeyError, ValueError, EOFError) as error:
        raise RetinueError(f"{path}: damaged ({error}); {AGAIN}") from None


def _kind(column):
    if isinstance(column, Ragged):
        return "ragged"
    return "objects" if column.dtype == object else "array"


def _column_parts(name, column):
    if isinstance(column, Ragged):
        return {
            f"{name}.npy": _array_bytes(column.values),
            f"{name}.offsets.npy": _array_bytes(column.offsets),
        }
    return {f"{name}.json": _list_bytes(column)} if column.dtype == object else {f"{name}.npy": _array_bytes(column)}


def _column(name, kind, parts):
    if kind == "ragged":
        return Ragged(_array(parts[f"{name}.npy"]), _array(parts[f"{name}.offsets.npy"]))
    if kind == "objects":
        values = json.loads(parts[f"{name}.json"])
        column = np.empty(len(values), object)
        column[:] = values
        return column
    return _array(parts[f"{name}.npy"])


def _list_bytes(values):
    # Plain JSON is ASCII, so that file names that are no Unicode come through as well.
    return json.dumps([value.item() if isinstance(value, np.generic) else value for value in values]).encode()


def _array_bytes(values):
    written = io.BytesIO()
    np.save(written, np.ascontiguousarray(values), allow_pickle=False)
    return written.getvalue()


def _array(content):
    return np.load(io.BytesIO(content), allow_pickle=False)


def index_path(folder):
    """Where the index of the pack `folder` is."""
    return os.path.join(folder, INDEX)
