"""Reads the true mask of a record as class ids of the model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.decoding.image_file import read_header
from retinue.data.decoding.mask_file import read_mask
from retinue.data.void_label import VOID


def read_ground_truth(
    dataset: Dataset,
    record: Mapping[str, Any],
    classes: Sequence[str],
    size: Sequence[int] | None = None,
    resize: bool = False,
) -> np.ndarray:
    """Read the true mask of a record.

    Args:
        dataset: the dataset of the record.
        record: one of its records, with file, mask and values.
        classes: class names of the model.
        size: (height, width) in pixels that the image must have, or None to accept any.
        resize: whether a mask of another size with the aspect ratio of the image is resized to it.

    Returns:
        uint8 [H, W], indices into `classes`; 255 for void and for classes that the model does not have.

    Raises:
        RetinueError: the mask can't be read, or the image does not have the given size.
    """
    header = read_header(record["file"])
    width, height = header.width, header.height
    if size is not None and (height, width) != tuple(size):
        raise RetinueError(
            f"{record['file']}: the prediction has {size[1]} x {size[0]} pixels, but the image has {width} x {height}; "
            "has the file changed since the prediction? Predict again"
        )
    ids = read_mask(record["mask"], record["values"], len(dataset.classes), (height, width), header.orientation, resize)
    if tuple(dataset.classes) == tuple(classes):
        return ids
    index = {name: position for position, name in enumerate(classes)}
    table = np.full(256, VOID, np.uint8)
    table[: len(dataset.classes)] = [index.get(name, VOID) for name in dataset.classes]
    return table[ids]
