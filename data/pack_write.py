"""Writing a pack: shards of TFRecords, each whole or not there, and at last the index (see pack_index.py).

A record is a `tf.train.Example` of a picture or clip with all that is said of it. What a shard holds follows from the
data alone, so that a job that was killed goes on with the shards that it finished, and ends with the same bytes.
"""

import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.machine import usable_cores
from retinue.data import packed
from retinue.data.dataset import Ragged
from retinue.data.pack_index import PackIndex, Places, index_bytes, index_path
from retinue.data.storage.atomic_files import atomic_write
from retinue.data.storage.content import content_id
from retinue.data.storage.file_names import frame_names

SHARD_BYTES = 256_000_000
LARGEST = 2**31 - 2**24  # bytes; a protocol buffer must be smaller than 2 GiB
HEAD, TAIL = 12, 4  # bytes around a record: its length and the checksum of that; the checksum of its content
OVERHEAD = 1.02  # of labels, names and frames of records, generously
SHARDS = re.compile(r"shard-\d{5,}\.tfrecord|\.shard-\d{5,}\.tfrecord\.part")
NOTE = "retinue pack is at work here, or was killed; the same command goes on with what is there.\n"


@dataclass(frozen=True)
class Item:
    """A record to be. name: of its picture or clip, in the pack; rows: those of the dataset that are of it, with their
    content id; files: (feature, name in the pack, path) of all that it holds; bytes: how much that is."""

    name: str
    rows: list
    content_id: str
    files: list
    bytes: int


def write_pack(dataset, folder, *, mask_ids=None, fold=1, shard_bytes=SHARD_BYTES, say=print, progress=None):
    """Write `dataset` as a pack into `folder`, which is made, or goes on with a pack that was begun there.

    dataset: as it was read, of files that can be used, with `content_ids`. mask_ids: the content ids of its masks.
    fold: kept in the index. shard_bytes: of files in a shard, but for one file that is larger. progress: called with
    (files done, files in all). Returns the `PackIndex`.
    Raises UsageError when the folder holds anything else or is being written to, RetinueError, with the file, for one
    that has changed since it was looked at, is gone or too large, and for a full disk; what is whole is kept.
    """
    items, names = _items(dataset)
    shards = _shards(items, shard_bytes)
    named = [f"shard-{number:05d}.tfrecord" for number in range(len(shards))]
    with _claimed(folder):
        _forget_others(folder, named)
        kept = [
            _places_of(Path(folder, name), dataset, some, mask_ids) for name, some in zip(named, shards, strict=True)
        ]
        if any(kept):
            say(f"{sum(map(bool, kept)):,} of {len(shards):,} shards are there already, and whole")
        missing = [some for some, places in zip(shards, kept, strict=True) if not places]
        _refuse_full_disk(folder, sum(item.bytes for some in missing for item in some))
        done = 0
        for number, (name, some) in enumerate(zip(named, shards, strict=True)):
            if not kept[number]:
                kept[number] = _write_shard(Path(folder, name), dataset, some, mask_ids)
            done += len(some)
            if progress:
                progress(done, len(items))
        index = _index(dataset, names, kept, named, folder, fold)
        with _explained(folder):
            atomic_write(index_path(folder), index_bytes(index))
    return index


def holds(index, dataset, mask_ids=None):
    """Whether a pack is of this data, under these names; the arguments are those of `write_pack`."""
    held, (items, names) = index.dataset, _items(dataset)
    ids = dict(zip(index.places.names, index.places.ids, strict=True))
    masks = [names[packed.absolute(path)] for path in dataset.columns.get("mask", ())]
    return (
        held.fingerprint == dataset.fingerprint
        and held.files.tolist() == [names[packed.absolute(path)] for path in dataset.files]
        and list(held.columns.get("mask", ())) == masks
        and all(
            ids[name] == identity for name, identity in zip(masks, () if mask_ids is None else mask_ids, strict=True)
        )
        and len(items) == sum(shard["records"] for shard in index.shards)
    )


def _items(dataset):
    """(an `Item` for each picture or clip, {path: name in the pack})."""
    masks = dataset.columns.get("mask")
    paths = [packed.absolute(path) for path in [*dataset.files, *([] if masks is None else masks)]]
    root = os.path.commonpath([os.path.dirname(path) for path in paths])
    names = {path: os.path.relpath(path, root).replace(os.sep, "/") for path in paths}
    rows_of = {}
    for row in range(len(dataset)):
        rows_of.setdefault(paths[row], []).append(row)
    items = []
    for path, rows in rows_of.items():
        if packed.is_folder(path):
            frames = frame_names(path)
            names |= {frame: f"{names[path]}/{os.path.basename(frame)}" for frame in frames}
            files = [("encoded", names[frame], frame) for frame in frames]
        else:
            files = [("encoded", names[path], path)]
        if masks is not None:
            files += [("mask", names[paths[len(dataset) + row]], paths[len(dataset) + row]) for row in rows]
        try:
            size = sum(packed.size(file) for _, _, file in files)
        except OSError as error:
            raise RetinueError(f"{error.filename}: {error.strerror}, since it was checked; put it back") from None
        if size > LARGEST:
            raise RetinueError(f"{path}: {size / 2**30:.1f} GiB, and a record must be below 2; cut it into parts")
        identity = str(dataset.content_ids[rows[0]]).partition("@")[0]  # without the part of a clip
        items.append(Item(names[path], rows, identity, files, size))
    return items, names


def _shards(items, shard_bytes):
    shards, room = [], 0
    for item in items:
        if not shards or item.bytes > room:
            shards.append([])
            room = shard_bytes
        shards[-1].append(item)
        room -= item.bytes
    return shards


def _write_shard(path, dataset, items, mask_ids):
    """Write a shard. Returns its places, see `_places`."""
    part = path.with_name(f".{path.name}.part")
    places, at = [], 0
    try:
        with _explained(path.parent), tf.io.TFRecordWriter(str(part)) as writer:
            with ThreadPoolExecutor(usable_cores()) as pool:
                for number, (item, contents) in enumerate(zip(items, pool.map(_read, items), strict=True)):
                    _refuse_changed(item, contents, mask_ids)
                    record = _record(dataset, item, contents)
                    places.append(_places(item, contents, record, number, at))
                    writer.write(record)
                    at += HEAD + len(record) + TAIL
        with _explained(path.parent), open(part, "rb") as written:
            os.fsync(written.fileno())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return places


def _places_of(path, dataset, items, mask_ids):
    """The places in a finished shard; None where there is none, or not the one that would be written."""
    if not path.exists():
        return None
    places, at = [], 0
    try:
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        for number, (item, record) in enumerate(zip(items, records, strict=True)):
            features = tf.train.Example.FromString(record).features.feature
            held = {name: iter(features[name].bytes_list.value) for name in ("encoded", "mask")}
            contents = [next(held[feature], b"") for feature, _, _ in item.files]
            _refuse_changed(item, contents, mask_ids)
            if _record(dataset, item, contents) != record:
                return None
            places.append(_places(item, contents, record, number, at))
            at += HEAD + len(record) + TAIL
    except (tf.errors.OpError, RetinueError, ValueError):  # damaged; of other data; more or fewer records
        return None
    return places


def _read(item):
    contents = []
    for _, _, path in item.files:
        try:
            contents.append(packed.read_bytes(path))
        except OSError as error:
            raise RetinueError(
                f"{path}: can't be read any more ({error.strerror}); put it back and run the same command again"
            ) from None
    return contents


def _refuse_changed(item, contents, mask_ids):
    """Raise RetinueError when the contents are not those that were checked."""
    ids = [content_id(content) for content in contents]
    main = [number for number, (feature, _, _) in enumerate(item.files) if feature == "encoded"]
    found = ids[0] if len(main) == 1 else content_id("".join(ids[number] for number in main).encode())
    changed = (
        [] if found == item.content_id else [item.files[0][2] if len(main) == 1 else os.path.dirname(item.files[0][2])]
    )
    if mask_ids is not None:
        masks = zip(item.rows, item.files[len(main) :], ids[len(main) :], strict=True)
        changed += [path for row, (_, _, path), identity in masks if identity != mask_ids[row]]
    if changed:
        raise RetinueError(f"{changed[0]}: has changed since it was checked; run the same command again")


def _record(dataset, item, contents):
    """The `tf.train.Example` of an item, as bytes. contents: of its files."""
    features = {"file": [item.name], "encoded": [], "split": [str(dataset.splits[row]) for row in item.rows]}
    for (feature, name, _), content in zip(item.files, contents, strict=True):
        features.setdefault(feature, []).append(content)
        if feature == "mask":
            features.setdefault("mask_file", []).append(name)
        elif name != item.name:
            features.setdefault("frame", []).append(name)
    for name, column in dataset.columns.items():
        if name != "mask":
            rows = column.take(item.rows).values if isinstance(column, Ragged) else column[item.rows]
            features[name] = rows.ravel().tolist()
    labels = features.get("labels", features.get("label", []))
    features["class"] = [dataset.classes[label] for label in labels]
    made = tf.train.Features(feature={name: _feature(values) for name, values in features.items() if values})
    return tf.train.Example(features=made).SerializeToString(deterministic=True)


def _feature(values):
    if all(isinstance(value, int) for value in values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value) for value in values]))
    if all(isinstance(value, float) for value in values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    texts = [value if isinstance(value, bytes) else os.fsencode(str(value)) for value in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))


def _places(item, contents, record, number, at):
    """(name, record, where that begins, offset, length, content id) of each file in a record that begins at `at`."""
    return [
        (name, number, at, at + HEAD + record.find(content), len(content), content_id(content))
        for (_, name, _), content in zip(item.files, contents, strict=True)
    ]


def _index(dataset, names, places, named, folder, fold):
    """The `PackIndex` of written shards. places: for each shard, for each record, its `_places`."""
    first = {}
    for shard, records in enumerate(places):
        for record in records:
            for name, *where in record:
                first.setdefault(name, (shard, *where))  # a mask of several pictures is in each of their records
    columns = list(zip(*first.values(), strict=True))
    numbers = [np.array(column, np.int64) for column in columns[:-1]]
    folders = {}
    for path in dict.fromkeys(map(packed.absolute, dataset.files)):
        if names[path] not in first:
            folders[names[path]] = [names[frame] for frame in frame_names(path)]
    told = [
        {"name": name, "bytes": os.path.getsize(os.path.join(folder, name)), "records": len(records)}
        for name, records in zip(named, places, strict=True)
    ]

    def inner(paths):
        return np.array([names[packed.absolute(path)] for path in paths], object)

    columns_of_dataset = dict(dataset.columns)
    if "mask" in columns_of_dataset:
        columns_of_dataset["mask"] = inner(columns_of_dataset["mask"])
    within = dataclasses.replace(
        dataset, files=inner(dataset.files), columns=columns_of_dataset, source="", findings=()
    )
    return PackIndex(within, Places(list(first), *numbers, list(columns[-1])), folders, told, fold)


@contextlib.contextmanager
def _claimed(folder):
    """The folder while a pack is written into it: made, or one in which that was begun, and ours alone."""
    folder, marker = Path(folder), Path(folder, packed.MARKER)
    if folder.exists() and not marker.is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: exists already; give another --out")
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(marker, "a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{folder}: another `retinue pack` is writing into it; wait for it") from None
        if not marker.stat().st_size:
            with _explained(folder):
                marker.write_text(NOTE)
        try:
            yield
        except BaseException:
            if not any(SHARDS.fullmatch(path.name) for path in folder.iterdir()):  # nothing that is worth keeping
                marker.unlink()
                with contextlib.suppress(OSError):  # there may be something of others
                    folder.rmdir()
            raise
        marker.unlink()


def _forget_others(folder, named):
    """Delete shards, and parts of them, that an earlier start with other data left."""
    for path in Path(folder).iterdir():
        if SHARDS.fullmatch(path.name) and path.name not in named:
            path.unlink()


def _refuse_full_disk(folder, needed):
    needed, free = int(needed * OVERHEAD), shutil.disk_usage(folder).free
    if needed > free:
        raise RetinueError(
            f"{folder}: the pack needs {needed / 1e6:,.0f} MB more, but {free / 1e6:,.0f} MB are free; make room, or "
            "give another --out"
        )


@contextlib.contextmanager
def _explained(folder):
    """Tell of a full disk, or of one that can't be written to, in a line."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        why = error.message.splitlines()[0] if isinstance(error, tf.errors.OpError) else error.strerror or error
        raise RetinueError(
            f"{folder}: can't be written ({why}); the shards that are whole are kept: make room, and run the same "
            "command again"
        ) from None
