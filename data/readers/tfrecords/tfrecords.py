"""TFRecords with encoded images, as the TF Object Detection API has them: the images are written out as files once."""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retinue.configs.errors import RetinueError
from retinue.configs.machine import cache_folder
from retinue.data.dataset import Dataset
from retinue.data.decoding.image_file import read_header
from retinue.data.decoding.orientation import upright_size
from retinue.data.finding import WARNING, Finding
from retinue.data.readers.explanation import Explanation, ReadOptions, relative_to
from retinue.data.readers.file_tree import FileTree, split_in_path
from retinue.data.readers.tfds.source import image_suffix, write_if_missing
from retinue.data.readers.tfrecords.datasets import FLAGS, records_dataset
from retinue.data.readers.tfrecords.file import Values, parse_example, read_records
from retinue.data.readers.tfrecords.label_map import is_label_map
from retinue.data.storage.atomic_files import atomic_write
from retinue.data.storage.file_names import split_in_words

logger = logging.getLogger(__name__)

SHARD = re.compile(r"[-._](\d+)[-_]of[-_](\d+)")
SUFFIX = re.compile(r"\.(tf_?rec(ords?)?|records?)(\.gz)?$", re.IGNORECASE)
IMAGE, FILE_NAME, SOURCE_ID = "image/encoded", "image/filename", "image/source_id"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
TASK_OF_FEATURE = {
    "image/object/bbox/xmin": "detection",
    "image/segmentation/class/encoded": "segmentation",
    "image/class/label": "classification",
    "image/class/text": "classification",
}
MAX_SNIFFED = 5  # records that are looked at, to find out what a file holds
MAX_SIDE = 1.5  # above it a number is not a fraction of an image; a box may reach out a little, the check sees it
INDEX_FILE = "records.json"  # written last, so that a folder with it is complete

Row = dict[str, Any]


def explain(tree: FileTree) -> list[Explanation]:
    """Return what TFRecord files explain of a source."""
    paths = [tree.path(folder, name) for folder, names in tree.names.items() for name in names if _has_name(name)]
    explanation = _explain(tree.root, tree.root, paths, tree) if paths else None
    return [explanation] if explanation else []


def explain_file(path: str) -> Explanation | None:
    """Return what a TFRecord file explains, or None if it is not one."""
    folder = os.path.dirname(path) or os.curdir
    return _explain(path, folder, [path], FileTree(folder)) if _has_name(os.path.basename(path)) else None


def _explain(source: str, root: str, paths: Sequence[str], tree: FileTree) -> Explanation | None:
    """Return what files explain, whose names are those of TFRecord files; None if there is no such file."""
    features_of: dict[str, set[str]] = {}  # by the name without the number of the shard
    damage = ""
    for path in paths:
        name = SHARD.sub("", path)
        if name not in features_of:
            features_of[name], error = _sniff(path)
            damage = damage or (f"{path}: {error}; copy or write the file again" if error else "")
    usable = [path for path in paths if IMAGE in features_of[SHARD.sub("", path)]]
    found = {feature for features in features_of.values() for feature in features}
    if not found and not damage:
        return None
    tasks = tuple(dict.fromkeys(task for feature, task in TASK_OF_FEATURE.items() if feature in found))
    names = list(dict.fromkeys(SHARD.sub("-*", relative_to(root, path)) for path in usable or paths))
    labels = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    problem = "" if found else damage
    if found and not (usable and tasks):
        problem = (
            f"{paths[0]}: these TFRecords hold {', '.join(sorted(found)[:8])}; what is read has {IMAGE} with "
            "image/object/bbox/xmin, image/class/label or image/segmentation/class/encoded, as the TF Object "
            "Detection API, TF-Slim and DeepLab write them"
        )

    def read(options: ReadOptions) -> Dataset:
        index, folder = _write_once(source, root, usable)
        findings = [Finding(*entry) for entry in index["findings"]] + _missing_shards(usable)
        splits = [_split_of(root, path) if os.path.isdir(source) else "" for path in usable]
        rows = [row | {"split": splits[row["shard"]]} for row in index["rows"]]
        return records_dataset(source, options.task, folder, rows, _label_maps(tree), findings)

    return Explanation(
        "tfrecord", tasks or ("detection",), source, frozenset(), labels, read, len(usable), problem=problem
    )


def _has_name(name: str) -> bool:
    """Return whether a file has the name of a TFRecord file: its suffix, or the number of a shard at its end."""
    plain = SHARD.sub("", name)
    return bool(SUFFIX.search(plain)) or (plain != name and not os.path.splitext(plain)[1])


def _sniff(path: str) -> tuple[set[str], str]:
    """Return the names of the features of the first records of a file, and what prevents it from being read, or ""."""
    names: set[str] = set()
    try:
        for number, content in enumerate(read_records(path), 1):
            names |= parse_example(content).keys()
            if number == MAX_SNIFFED:
                break
    except OSError as error:
        return names, f"this file can't be read ({error.strerror})"
    except ValueError as error:
        return names, str(error)
    return names, ""


def _label_maps(tree: FileTree) -> list[str]:
    """Return the paths of the label maps of a source, or of the folder above it."""
    paths = [tree.path(*file) for file in tree.files((".pbtxt", ".pbtxt.txt"))]
    if not paths:
        above = os.path.normpath(os.path.join(tree.root, os.pardir))
        try:
            paths = [os.path.join(above, name) for name in sorted(os.listdir(above)) if name.endswith(".pbtxt")]
        except OSError:
            paths = []
    return [path for path in paths if is_label_map(path)]


def _missing_shards(paths: Sequence[str]) -> list[Finding]:
    """Return a finding for each set of shards that is not complete."""
    shards: dict[tuple[str, int], set[int]] = {}
    for path in paths:
        if match := SHARD.search(os.path.basename(path)):
            shards.setdefault((SHARD.sub("-*", path), int(match[2])), set()).add(int(match[1]))
    findings = []
    for (name, count), numbers in shards.items():
        if len(numbers) < count:
            missing = next(number for number in range(count) if number not in numbers)
            reason = f"{count - len(numbers):,} of its {count:,} shards are not read, the first is {missing:05d}"
            findings.append(Finding(WARNING, "missing shards", name, "", reason, "the others are used; add it"))
    return findings


def _write_once(source: str, root: str, paths: Sequence[str]) -> tuple[dict[str, Any], Path]:
    """Write out the images of TFRecord files, unless that has been done before.

    Args:
        source: What the user gave.
        root: The folder of the source.
        paths: The files.

    Returns:
        The index, with the rows and findings, and the folder in the cache.

    Raises:
        RetinueError: A file is damaged, or the cache can't be written.
    """
    digest = hashlib.sha256(b"2")  # the version of the index
    for path in paths:
        status = os.stat(path)
        digest.update(repr((os.path.realpath(path), status.st_size, status.st_mtime_ns)).encode())
    folder = cache_folder("tfrecords") / digest.hexdigest()[:16]
    index_path = folder / INDEX_FILE
    if not index_path.exists():
        logger.info(f"{source}: writing the images of {len(paths):,} TFRecord files to {folder}, once")
        rows: list[Row] = []
        findings: list[Finding] = []
        for number, path in enumerate(paths):
            try:
                rows += _write_file(path, folder, number, relative_to(root, path), findings)
            except OSError as error:
                reason = f"its images can't be written to {folder} ({error.strerror}); free some space there"
                raise RetinueError(f"{path}: {reason}") from error
            except ValueError as error:
                raise RetinueError(f"{path}: {error}; copy or write the file again") from None
        entries = [(f.severity, f.kind, f.file, f.item, f.reason, f.action) for f in findings]
        atomic_write(index_path, json.dumps({"rows": rows, "findings": entries}))
    return json.loads(index_path.read_text(encoding="utf-8")), folder


def _write_file(path: str, folder: Path, shard: int, location: str, findings: list[Finding]) -> Iterable[Row]:
    """Write out the images of one file, and yield the row of the index of each.

    Args:
        path: The file.
        folder: The folder in the cache.
        shard: Which of the files it is.
        location: The file as messages name it.
        findings: Receives what can't be understood.

    Raises:
        OSError: An image can't be written.
        ValueError: The file is damaged.
    """
    name = f"{shard:05d}"
    (folder / name).mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(read_records(path), 1):
        item = f"record {number}"
        try:
            features = parse_example(content)
        except ValueError as error:
            raise ValueError(f"{item} is not a tf.Example ({error})") from None
        encoded = _bytes(features, IMAGE)
        if not encoded:
            findings.append(Finding("invalid", "no image", path, item, f"{item}: it has no {IMAGE}", "skipped"))
            continue
        file = f"{name}/{number:07d}.{image_suffix(encoded[0])}"
        write_if_missing(folder / file, encoded[0])
        row: Row = {
            "file": file,
            "shard": shard,
            "location": f"{item} of {location}",
            "size": _stored_size(folder / file),
        }
        row["id"] = _text(features, SOURCE_ID) or os.path.splitext(os.path.basename(_text(features, FILE_NAME)))[0]
        row |= {"label": _first(features, "image/class/label"), "text": _text(features, "image/class/text")}
        row |= _objects(features, row, path, findings)
        mask = _bytes(features, "image/segmentation/class/encoded")
        if mask:
            row["mask"] = f"{name}/{number:07d}_mask.{image_suffix(mask[0])}"
            write_if_missing(folder / row["mask"], mask[0])
        yield row


def _objects(features: Mapping[str, Values], row: Row, path: str, findings: list[Finding]) -> Row:
    """Return the columns of the objects of a record, boxes in pixels of the stored image.

    Args:
        features: The features of the record.
        row: What is known of its image.
        path: The file.
        findings: Receives what can't be understood.
    """
    sides = [_numbers(features, f"image/object/bbox/{corner}") for corner in CORNERS]
    labels = _numbers(features, "image/object/class/label")
    texts = [_decode(text) for text in _bytes(features, "image/object/class/text")]
    count, location = len(sides[0]), row["location"]
    labels = labels if len(labels) == count else [None] * count
    texts = texts if len(texts) == count else [""] * count
    flags = {
        name: [any(entries) for entries in zip(*(_flags(features, key, count) for key in keys), strict=True)]
        for name, keys in FLAGS.items()
    }
    problem = ""
    if len({len(side) for side in sides}) > 1:
        problem = f"it has {', '.join(str(len(side)) for side in sides)} values of {', '.join(CORNERS)}"
    elif any(label is None and not text for label, text in zip(labels, texts, strict=True)):
        problem = f"it has {count} boxes, but not as many labels"
    elif any(abs(value) > MAX_SIDE for side in sides for value in side):
        problem = "its boxes are not fractions of the image; divide them by its width and height"
    if problem:
        reason = f"{location}: {problem}"
        findings.append(Finding("invalid", "not a box", path, location, reason, "its objects are skipped"))
        return {"boxes": [], "labels": [], "texts": []} | {name: [] for name in flags}
    height, width = row["size"]
    boxes = [[x1 * width, y1 * height, x2 * width, y2 * height] for x1, y1, x2, y2 in zip(*sides, strict=True)]
    return {"boxes": boxes, "labels": labels, "texts": texts} | flags


def _split_of(root: str, path: str) -> str:
    """Return the split that a folder or the file's name stands for."""
    relative = os.path.relpath(path, root)
    return split_in_path(os.path.dirname(relative)) or split_in_words(os.path.basename(path))


def _stored_size(file: Path) -> tuple[int, int]:
    """Return height and width of the stored image, to which the boxes of TensorFlow refer; 1, 1 if it is broken."""
    try:
        header = read_header(file)
    except (OSError, ValueError):
        return 1, 1
    return upright_size(header.height, header.width, header.orientation)  # swapping twice gives the stored size


def _bytes(features: Mapping[str, Values], name: str) -> list[bytes]:
    values = features.get(name, [])
    return values if isinstance(values, list) else []


def _numbers(features: Mapping[str, Values], name: str) -> list[Any]:
    values = features.get(name, [])
    return [] if isinstance(values, list) else values.tolist()


def _flags(features: Mapping[str, Values], name: str, count: int) -> list[bool]:
    values = _numbers(features, name)
    return [bool(value) for value in values] if len(values) == count else [False] * count


def _first(features: Mapping[str, Values], name: str) -> int | None:
    values = _numbers(features, name)
    return int(values[0]) if values else None


def _text(features: Mapping[str, Values], name: str) -> str:
    values = _bytes(features, name)
    return _decode(values[0]) if values else ""


def _decode(text: bytes) -> str:
    return text.decode("utf-8", errors="replace").strip()
