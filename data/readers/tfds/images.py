"""`tfds:NAME` with labels or boxes: images of tensorflow_datasets, written out as files once."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.dataset import Columns, Dataset, Ragged
from retinue.data.decoding.image_file import image_size
from retinue.data.readers.objects import object_columns
from retinue.data.readers.tfds.source import (
    builder_of,
    find_field,
    image_suffix,
    paths_in,
    unused_finding,
    unused_splits,
    write_dataset_once,
    write_if_missing,
    write_records,
)
from retinue.data.storage.atomic_files import atomic_write


def read_tfds(source: str, task: str = "auto") -> Dataset:
    """Read `tfds:NAME`, `tfds:NAME/CONFIG` or `tfds:NAME:VERSION` into a `Dataset` for classification or detection.

    Image and label are found by their types: `Image`, and `ClassLabel` or a `Sequence` of it (several labels). Objects,
    for detection, are a `Sequence` with a `BBoxFeature` and a `ClassLabel`. The splits train, validation and test are
    read; other splits and records without a label are ignored, with a finding. The bytes of the images are written
    unchanged into `~/.cache/retinue/tfds` ($RETINUE_CACHE). If the job is killed in between, it continues from the last
    file. A line is logged before anything is downloaded or written.

    Args:
        source: The name of the dataset, after `tfds:`.
        task: "classification", "detection", or "auto" for detection where the dataset has objects.

    Raises:
        UsageError: There is no such dataset, or it has no image or no label.
        RetinueError: The dataset can't be downloaded or written.
    """
    builder = builder_of(source)
    features = builder.info.features
    objects = None if task == "classification" else _find_objects_field(features)
    if task == "detection" and objects is None:
        raise UsageError(f"{source}: this dataset has no objects with boxes; its fields are {', '.join(features)}")
    image = find_field(source, features, "image", task)
    label = objects or find_field(source, features, "label", task)
    index_name = "objects.json" if objects else "labels.json"
    folder, index = write_dataset_once(
        source, builder, index_name, lambda path: _write_images(source, builder, image, label, path)
    )
    if not index["files"]:
        notes = "; ".join(index["notes"])
        raise RetinueError(f"{source}: there are no labeled images in train, validation or test; {notes}")
    columns: Columns
    if "boxes" in index:
        columns = _object_columns(index)
    elif index["multi_label"]:
        columns = {"labels": Ragged.from_rows([sorted(set(row)) for row in index["labels"]], np.int64)}
    else:
        columns = {"label": np.array(index["labels"], np.int64)}
    return Dataset(
        task="detection" if "boxes" in index else "classification",
        files=np.array(paths_in(folder, index["files"]), dtype=object),
        classes=tuple(index["classes"]),
        columns=columns,
        splits=np.array(index["splits"], dtype=object),
        source=source,
        format="tfds",
        findings=tuple(unused_finding(source, note) for note in index["notes"]),
    )


def _find_objects_field(features: Any) -> str | None:
    """Return the name of the field with the objects, None when there is none."""
    import tensorflow_datasets as tfds

    for name, feature in features.items():
        inner = getattr(feature, "feature", None)
        if isinstance(inner, tfds.features.FeaturesDict):
            kinds = [type(part) for part in inner.values()]
            if tfds.features.BBoxFeature in kinds and tfds.features.ClassLabel in kinds:
                return name
    return None


def _write_images(source: str, builder: Any, image: str, label: str, index_path: Path) -> None:
    """Write every image into a file of its own, then the index. A folder without an index is incomplete.

    Args:
        source: For messages.
        builder: The dataset's builder.
        image: The name of the image's field.
        label: The name of the field with the label, the labels or the objects.
        index_path: Where the index is written.
    """
    import tensorflow_datasets as tfds

    folder, feature = index_path.parent, builder.info.features[label]
    inner = feature.feature if isinstance(feature, tfds.features.Sequence) else feature
    has_boxes = isinstance(inner, tfds.features.FeaturesDict)
    multi_label = inner is not feature
    field_of = {type(part): name for name, part in inner.items()} if has_boxes else {}
    names = inner[field_of[tfds.features.ClassLabel]].names if has_boxes else inner.names
    num_unlabeled = 0

    def write(record: dict[str, Any], name: str) -> dict[str, Any] | None:
        nonlocal num_unlabeled
        tensor = record[label][field_of[tfds.features.ClassLabel]] if has_boxes else record[label]
        labels = np.atleast_1d(tensor.numpy()).tolist()
        if -1 in labels and not has_boxes:
            num_unlabeled += 1
            return None
        content = record[image].numpy()
        file = f"{name}.{image_suffix(content)}"
        write_if_missing(folder / file, content)
        if has_boxes:
            return {"files": file} | _objects(record[label], labels, field_of[tfds.features.BBoxFeature], folder / file)
        return {"files": file, "labels": labels if multi_label else labels[0]}

    columns = ("files", "labels", "boxes", "crowd", "difficult") if has_boxes else ("files", "labels")
    rows = write_records(source, builder, image, folder, columns, write)
    notes = [f"its split {name} is not used" for name in unused_splits(builder)]
    if num_unlabeled:
        notes.append(f"{num_unlabeled:,} of its images without a label are not used")
    header = {"classes": names, "multi_label": multi_label, "notes": notes}
    atomic_write(index_path, json.dumps(header | rows))


def _objects(objects: Any, labels: list[int], box_field: str, file: Path) -> dict[str, Any]:
    """Return the index's columns for the objects of an image, without those that have no label.

    tensorflow_datasets gives boxes as fractions y1, x1, y2, x2; they become x1, y1, x2, y2 in pixels of the upright
    image.
    """
    has_label = np.array(labels, np.int64) >= 0
    width, height = image_size(file)
    fractions = objects[box_field].numpy().reshape(-1, 4)[has_label]
    columns = {
        "boxes": (fractions[:, [1, 0, 3, 2]] * [width, height, width, height]).tolist(),
        "labels": np.array(labels, np.int64)[has_label].tolist(),
    }
    for name in ("crowd", "difficult"):
        flags = objects.get(f"is_{name}")
        columns[name] = (np.zeros(len(labels), bool) if flags is None else flags.numpy())[has_label].tolist()
    return columns


def _object_columns(index: dict[str, Any]) -> Columns:
    flat = {name: [value for row in index[name] for value in row] for name in ("boxes", "labels", "crowd", "difficult")}
    rows = np.repeat(np.arange(len(index["files"])), [len(row) for row in index["labels"]])
    numbers = [number for row in index["labels"] for number in range(1, len(row) + 1)]
    image_ids = [os.path.splitext(name)[0] for name in index["files"]]
    return object_columns(
        rows, flat["boxes"], flat["labels"], numbers, image_ids, crowd=flat["crowd"], difficult=flat["difficult"]
    )
