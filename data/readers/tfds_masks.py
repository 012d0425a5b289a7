"""`tfds:NAME` with a mask: pictures and masks of tensorflow_datasets, written out as files once."""

import json
import logging
import os

import numpy as np
from PIL import Image

from retinue.configs.errors import UsageError
from retinue.data.decoding.image_file import format_of
from retinue.data.readers.mask_classes import classes_of
from retinue.data.readers.mask_folders import mask_dataset
from retinue.data.readers.tfds_source import builder_of, unused_splits, write_once, written_out
from retinue.data.storage.atomic_files import atomic_path, atomic_write
from retinue.data.storage.file_names import SPLIT_NAMES

logger = logging.getLogger(__name__)

PREFERRED = ("segmentation_mask", "mask", "segmentation_label", "label", "segmentation")


def read_tfds_masks(source):
    """Read `tfds:NAME` into a `Dataset` for segmentation.

    The picture is the field of type `Image` with three channels, the mask the `Image` or `LabeledImage` with one (of
    several, the one with the usual name). Names are those of a `LabeledImage`; else classes are the values in the
    masks. They are written, the pictures' bytes as they are and the masks as PNG, into `~/.cache/retinue/tfds`
    ($RETINUE_CACHE). The splits train, validation and test are taken.
    Raises UsageError for a dataset without picture or mask, RetinueError when it can't be had.
    """
    builder = builder_of(source)
    image, mask = _fields(source, builder.info.features)
    folder, listed = written_out(
        source, builder, "masks.json", lambda index: _write_out(source, builder, image, mask, index)
    )
    findings = unused_splits(source, builder)
    masks = [os.path.join(folder, name) for name in listed["masks"]]
    names = listed["names"]
    if names:
        classes, values = tuple(names), np.arange(len(names))
    else:
        classes, values = classes_of(source, [], masks, findings)
    files = [os.path.join(folder, name) for name in listed["files"]]
    return mask_dataset(source, "tfds", files, masks, listed["splits"], classes, values, findings)


def _fields(source, features):
    """The names of the picture's and the mask's field."""
    import tensorflow_datasets as tfds

    pictures, masks = [], []
    for name, feature in features.items():
        if isinstance(feature, tfds.features.Image):
            one = isinstance(feature, tfds.features.LabeledImage) or feature.shape[-1] == 1
            (masks if one else pictures).append(name)
    chosen = [name for name in PREFERRED if name in masks] or masks
    if not pictures or not chosen or (len(masks) > 1 and chosen == masks):
        have = ", ".join(features)
        raise UsageError(f"{source}: segmentation needs a picture and a mask; its fields are {have}")
    return "image" if "image" in pictures else pictures[0], chosen[0]


def _write_out(source, builder, image, mask, index):
    import tensorflow_datasets as tfds

    folder, rows = index.parent, {"files": [], "masks": [], "splits": []}
    splits = [name for name in builder.info.splits if name in SPLIT_NAMES]
    total = sum(builder.info.splits[name].num_examples for name in splits)
    logger.info(f"{source}: writing {total:,} photos and masks to {folder}, once")
    for split in splits:
        (folder / split).mkdir(parents=True, exist_ok=True)
        records = builder.as_dataset(split=split, shuffle_files=False, decoders={image: tfds.decode.SkipDecoding()})
        for number, record in enumerate(records):
            content = record[image].numpy()
            name = f"{split}/{number:07d}"
            file = f"{name}.{(format_of(content) or 'bin').lower()}"
            write_once(folder / file, content)
            with atomic_path(folder / f"{name}_mask.png") as temporary:
                pixels = record[mask].numpy()[:, :, 0]
                Image.fromarray(pixels.astype(np.uint8 if pixels.max() < 256 else np.uint16)).save(temporary, "PNG")
            rows["files"].append(file)
            rows["masks"].append(f"{name}_mask.png")
            rows["splits"].append(SPLIT_NAMES[split])
    feature = builder.info.features[mask]
    names = list(feature.names) if getattr(feature, "names", None) else None
    atomic_write(index, json.dumps(rows | {"names": names}))
