"""`tfds:NAME` with a mask: images and masks of tensorflow_datasets, written out as files once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retinue.configs.errors import UsageError
from retinue.data.dataset import Dataset
from retinue.data.readers.masks.classes import classes_of
from retinue.data.readers.masks.folders import mask_dataset
from retinue.data.readers.tfds.source import (
    builder_of,
    image_suffix,
    paths_in,
    unused_split_findings,
    write_dataset_once,
    write_if_missing,
    write_records,
)
from retinue.data.storage.atomic_files import atomic_path, atomic_write

PREFERRED_FIELDS = ("segmentation_mask", "mask", "segmentation_label", "label", "segmentation")


def read_tfds_masks(source: str) -> Dataset:
    """Read `tfds:NAME` into a `Dataset` for segmentation.

    The image is the field of type `Image` with three channels. The mask is the `Image` or `LabeledImage` with one
    channel; of several, the one with the usual name. The class names are those of a `LabeledImage`; without them the
    classes are the values in the masks. The bytes of the images, unchanged, and the masks as PNG are written into
    `~/.cache/retinue/tfds` ($RETINUE_CACHE). The splits train, validation and test are read.

    Args:
        source: The name of the dataset, after `tfds:`.

    Raises:
        UsageError: There is no such dataset, or it has no image or no mask.
        RetinueError: The dataset can't be downloaded or written.
    """
    builder = builder_of(source)
    image, mask = _find_fields(source, builder.info.features)
    folder, index = write_dataset_once(
        source, builder, "masks.json", lambda path: _write_masks(source, builder, image, mask, path)
    )
    findings = unused_split_findings(source, builder)
    masks = paths_in(folder, index["masks"])
    if index["names"]:
        classes, values = tuple(index["names"]), np.arange(len(index["names"]))
    else:
        classes, values = classes_of(source, [], masks, findings)
    files = paths_in(folder, index["files"])
    return mask_dataset(source, "tfds", files, masks, index["splits"], classes, values, findings)


def _find_fields(source: str, features: Any) -> tuple[str, str]:
    """Return the names of the image's and the mask's field."""
    import tensorflow_datasets as tfds

    images: list[str] = []
    masks: list[str] = []
    for name, feature in features.items():
        if isinstance(feature, tfds.features.Image):
            is_mask = isinstance(feature, tfds.features.LabeledImage) or feature.shape[-1] == 1
            (masks if is_mask else images).append(name)
    chosen = [name for name in PREFERRED_FIELDS if name in masks] or masks
    if not images or not chosen or (len(masks) > 1 and chosen == masks):
        raise UsageError(
            f"{source}: a dataset for segmentation needs an image and a mask; its fields are {', '.join(features)}"
        )
    return "image" if "image" in images else images[0], chosen[0]


def _write_masks(source: str, builder: Any, image: str, mask: str, index_path: Path) -> None:
    """Write every image and every mask into a file of its own, then the index.

    Args:
        source: For messages.
        builder: The dataset's builder.
        image: The name of the image's field.
        mask: The name of the mask's field.
        index_path: Where the index is written.
    """
    folder = index_path.parent

    def write(record: dict[str, Any], name: str) -> dict[str, Any]:
        content = record[image].numpy()
        file = f"{name}.{image_suffix(content)}"
        write_if_missing(folder / file, content)
        with atomic_path(folder / f"{name}_mask.png") as temporary:
            pixels = record[mask].numpy()[:, :, 0]
            Image.fromarray(pixels.astype(np.uint8 if pixels.max() < 256 else np.uint16)).save(temporary, "PNG")
        return {"files": file, "masks": f"{name}_mask.png"}

    rows = write_records(source, builder, image, folder, ("files", "masks"), write)
    feature = builder.info.features[mask]
    names = list(feature.names) if getattr(feature, "names", None) else None
    atomic_write(index_path, json.dumps(rows | {"names": names}))
