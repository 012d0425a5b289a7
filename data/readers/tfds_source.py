"""`tfds:NAME`: a dataset of tensorflow_datasets, written out as files once, so that all that follows sees files."""

import json
import logging
import os
import re

import numpy as np

from retinue.configs.errors import RetinueError, UsageError, first_line
from retinue.configs.machine import cache_folder
from retinue.configs.quiet import import_tensorflow
from retinue.configs.suggestions import did_you_mean
from retinue.data.dataset import Dataset, Ragged
from retinue.data.decoding.image_file import format_of, image_size
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.objects import object_columns
from retinue.data.storage.atomic_files import atomic_write
from retinue.data.storage.file_names import SPLIT_NAMES

logger = logging.getLogger(__name__)

PREFERRED = {"image": ("image",), "label": ("label", "labels")}  # where a dataset has several fields of the kind


def read_tfds(source, task="auto"):
    """Read `tfds:NAME`, `tfds:NAME/CONFIG` or `tfds:NAME:VERSION` into a `Dataset`.

    The photo and the label are found by their types: `Image`, and `ClassLabel` or a `Sequence` of it (several labels);
    objects, for detection, are a `Sequence` with a `BBoxFeature` and a `ClassLabel`. A dataset with objects is read for
    detection unless task says classification.
    The splits train, validation and test are taken, others and records without a label are passed over and said so.
    The photos' bytes are written, as they are, into `~/.cache/retinue/tfds` ($RETINUE_CACHE); a run that was broken off
    goes on where it stopped. A line is logged before anything is downloaded or written.
    Raises UsageError for an unknown name or a dataset without photo or label, RetinueError when it can't be had.
    """
    builder = builder_of(source)
    objects = None if task == "classification" else _objects_field(builder.info.features)
    if task == "detection" and objects is None:
        raise UsageError(f"{source}: has no objects with boxes; its fields are {', '.join(builder.info.features)}")
    image = _field(source, builder.info.features, "image", task)
    label = objects or _field(source, builder.info.features, "label", task)
    name = "objects.json" if objects else "index.json"
    folder, listed = written_out(source, builder, name, lambda index: _write_out(source, builder, image, label, index))
    return _from_index(source, folder, listed)


def written_out(source, builder, name, write):
    """Have a dataset downloaded and written out, each once. Gives (its folder in the cache, what its index lists).

    name: of the index, a JSON file in that folder; write: writes the files, and last of all the index at its path.
    Raises RetinueError when it can't be had, or there is no room.
    """
    if not builder.is_prepared():
        logger.info(f"{source}: downloading {builder.info.download_size} to {builder.data_path}, once")
        try:
            builder.download_and_prepare()
        except Exception as error:  # network, checksums, manual downloads, disk: whatever it is, it is the cause
            raise RetinueError(f"{source}: can't be prepared ({first_line(error)})") from error
    folder = cache_folder("tfds") / builder.info.full_name
    index = folder / name
    if not index.exists():
        try:
            write(index)
        except OSError as error:
            raise RetinueError(f"{source}: can't be written to {folder} ({error.strerror}); make room there") from error
    return folder, json.loads(index.read_text(encoding="utf-8"))


def unused_splits(source, builder):
    """A finding for each split that is passed over."""
    return [
        Finding(NOTE, "not used", source, "", f"its split {name} is not used", "passed over")
        for name in builder.info.splits
        if name not in SPLIT_NAMES
    ]


def builder_of(source):
    """The builder of `tfds:NAME`. Raises UsageError for a name that there is not."""
    import_tensorflow()
    import tensorflow_datasets as tfds

    name = source.removeprefix("tfds:")
    if re.search(r":[^\d*]", name):  # as in kubric:movi_a: it would be looked for in the network, and its code be run
        raise UsageError(f"{source}: collections of others are not read, only what tensorflow_datasets itself has")
    try:
        return tfds.builder(name)
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)  # with them it would ask the network
        hint = did_you_mean(f"tfds:{re.split('[/:]', name)[0]}", [f"tfds:{one}" for one in known], limit=1, cutoff=0.7)
        cure = hint or "; see https://www.tensorflow.org/datasets/catalog"
        raise UsageError(f"{source}: tensorflow_datasets has no such dataset{cure}") from None
    except Exception as error:  # a wrong config or version raises whatever it likes
        raise UsageError(f"{source}: {first_line(error)}") from error


def label_field(source, features):
    """The name of the label's field."""
    return _field(source, features, "label", "classification")


def _objects_field(features):
    """The name of the field with the objects, None when there is none."""
    import tensorflow_datasets as tfds

    for name, feature in features.items():
        inner = getattr(feature, "feature", None)
        if isinstance(inner, tfds.features.FeaturesDict):
            kinds = [type(part) for part in inner.values()]
            if tfds.features.BBoxFeature in kinds and tfds.features.ClassLabel in kinds:
                return name
    return None


def _field(source, features, kind, task):
    """The name of the photo's ("image") or the label's ("label") field."""
    import tensorflow_datasets as tfds

    names = []
    for name, feature in features.items():
        inner = feature.feature if isinstance(feature, tfds.features.Sequence) else feature
        wanted = isinstance(inner, tfds.features.ClassLabel)
        if kind == "image":
            wanted = type(feature) is tfds.features.Image  # not its subclass for masks
        if wanted:
            names.append(name)
    preferred = [name for name in PREFERRED[kind] if name in names]
    if not preferred and len(names) != 1:
        have = f"it has {' and '.join(names)}" if names else f"its fields are {', '.join(features)}"
        purpose = "detection" if task == "detection" else "classification"
        raise UsageError(f"{source}: a dataset for {purpose} needs one {kind}; {have}")
    chosen = preferred[0] if preferred else names[0]
    if kind == "image" and features[chosen].np_dtype not in (np.uint8, np.uint16):
        raise UsageError(f"{source}: its pictures are {features[chosen].np_dtype.__name__}, not photos of 8 or 16 bits")
    return chosen


def _write_out(source, builder, image, label, index):
    """Every photo into a file of its own, then the index: a folder without index is unfinished and is gone on with."""
    import tensorflow_datasets as tfds

    folder, feature = index.parent, builder.info.features[label]
    inner = feature.feature if isinstance(feature, tfds.features.Sequence) else feature
    with_boxes = isinstance(inner, tfds.features.FeaturesDict)
    several = inner is not feature
    parts = {type(part): name for name, part in inner.items()} if with_boxes else {}
    names = inner[parts[tfds.features.ClassLabel]].names if with_boxes else inner.names
    splits = {name: SPLIT_NAMES[name] for name in builder.info.splits if name in SPLIT_NAMES}
    total = sum(builder.info.splits[name].num_examples for name in splits)
    logger.info(f"{source}: writing {total:,} photos to {folder}, once")
    rows = {"files": [], "labels": [], "splits": []} | (
        {"boxes": [], "crowd": [], "difficult": []} if with_boxes else {}
    )
    unlabelled = 0
    for split in splits:
        (folder / split).mkdir(parents=True, exist_ok=True)
        records = builder.as_dataset(split=split, shuffle_files=False, decoders={image: tfds.decode.SkipDecoding()})
        for number, record in enumerate(records):
            found = record[label][parts[tfds.features.ClassLabel]] if with_boxes else record[label]
            labels = np.atleast_1d(found.numpy()).tolist()
            if -1 in labels and not with_boxes:
                unlabelled += 1
                continue
            content = record[image].numpy()
            file = f"{split}/{number:07d}.{(format_of(content) or 'bin').lower()}"
            write_once(folder / file, content)
            if with_boxes:
                _add_objects(rows, record[label], labels, parts[tfds.features.BBoxFeature], folder / file)
            else:
                rows["labels"].append(labels if several else labels[0])
            rows["files"].append(file)
            rows["splits"].append(splits[split])
    notes = [f"its split {name} is not used" for name in builder.info.splits if name not in splits]
    if unlabelled:
        notes.append(f"{unlabelled:,} of its photos without a label are not used")
    header = {"classes": names, "several": several, "notes": notes}
    atomic_write(index, json.dumps(header | rows))


def _add_objects(rows, objects, labels, box_field, file):
    """The boxes, given as shares y1, x1, y2, x2, in pixels of the upright picture; without objects of no label."""
    kept = np.array(labels, np.int64) >= 0
    width, height = image_size(file)
    shares = objects[box_field].numpy().reshape(-1, 4)[kept]
    rows["boxes"].append((shares[:, [1, 0, 3, 2]] * [width, height, width, height]).tolist())
    rows["labels"].append(np.array(labels, np.int64)[kept].tolist())
    for name in ("crowd", "difficult"):
        said = objects.get(f"is_{name}")
        rows[name].append((np.zeros(len(labels), bool) if said is None else said.numpy())[kept].tolist())


def write_once(file, content):
    """A plain write: half a file has another size, and is written again before the index is there."""
    if not file.exists() or file.stat().st_size != len(content):
        file.write_bytes(content)


def _from_index(source, folder, index):
    if not index["files"]:
        raise RetinueError(f"{source}: no labelled photos in train, validation or test; {'; '.join(index['notes'])}")
    if "boxes" in index:
        columns = _object_columns(index)
    elif index["several"]:
        columns = {"labels": Ragged.from_rows([sorted(set(row)) for row in index["labels"]], np.int64)}
    else:
        columns = {"label": np.array(index["labels"], np.int64)}
    return Dataset(
        task="detection" if "boxes" in index else "classification",
        files=[os.path.join(folder, name) for name in index["files"]],
        classes=index["classes"],
        columns=columns,
        splits=np.array(index["splits"], dtype=object),
        source=source,
        format="tfds",
        findings=tuple(Finding(NOTE, "not used", source, "", note, "passed over") for note in index["notes"]),
    )


def _object_columns(index):
    flat = {name: [value for row in index[name] for value in row] for name in ("boxes", "labels", "crowd", "difficult")}
    rows = np.repeat(np.arange(len(index["files"])), [len(row) for row in index["labels"]])
    number = [place for row in index["labels"] for place in range(1, len(row) + 1)]
    names = [os.path.splitext(name)[0] for name in index["files"]]
    return object_columns(
        rows, flat["boxes"], flat["labels"], number, names, crowd=flat["crowd"], difficult=flat["difficult"]
    )
