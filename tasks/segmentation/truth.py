"""The true mask of a record, in the model's class ids."""

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.decoding.image_file import read_header
from retinue.data.decoding.mask_file import read_mask
from retinue.data.void_label import VOID


def read_truth(dataset, record, classes, size=None):
    """uint8 `[H, W]`, ids of `classes`, 255 for void and for classes that the model doesn't have.

    record: of `dataset`; size: (height, width) that it must have, by default the upright photo's.
    """
    width, height, orientation, _ = read_header(record["file"])
    if size is not None and (height, width) != tuple(size):
        raise RetinueError(
            f"{record['file']}: the prediction has {size[1]} x {size[0]} pixels, the photo {width} x {height}; has the "
            "file changed meanwhile?"
        )
    ids = read_mask(record["mask"], record["values"], len(dataset.classes), (height, width), orientation)
    if tuple(dataset.classes) == tuple(classes):
        return ids
    place = {name: index for index, name in enumerate(classes)}
    table = np.full(256, VOID, np.uint8)
    table[: len(dataset.classes)] = [place.get(name, VOID) for name in dataset.classes]
    return table[ids]
