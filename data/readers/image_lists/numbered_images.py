"""The lists of Caltech-UCSD Birds and NABirds: `images.txt` numbers the images, others tell something of each number.

These are `train_test_split.txt`, in which 1 is an image for training and 0 one for the test, and
`image_class_labels.txt` with the number of the class of each image.
"""

import os
from collections.abc import Collection

from retinue.configs.errors import RetinueError
from retinue.data.readers.image_lists.listed_images import ImagesByName, read_image_list
from retinue.data.readers.text_file import read_text

NUMBERS, SPLITS, LABELS = "images.txt", "train_test_split.txt", "image_class_labels.txt"
SPLIT_OF_FLAG = {"1": "train", "0": "test"}


def numbered_lists(paths: Collection[str]) -> list[str]:
    """Return the lists that number images, beside which there is another one."""
    return [
        path
        for path in paths
        if os.path.basename(path) == NUMBERS
        and any(os.path.join(os.path.dirname(path), name) in paths for name in (SPLITS, LABELS))
    ]


def numbered_values(path: str, name: str, images: ImagesByName) -> dict[str, str]:
    """Return what a list tells about each image that another list numbers, by the path of the image.

    Args:
        path: The list that numbers the images.
        name: The name of the list beside it.
        images: The images of the source.
    """
    numbered = read_image_list(path, images)
    if numbered is None or numbered.width != 1:
        return {}
    value_of = read_pairs(os.path.join(os.path.dirname(path), name))
    return {image: value_of[number] for image, (number,) in numbered.values.items() if number in value_of}


def read_pairs(path: str) -> dict[str, str]:
    """Return the rest of each line by its first word; empty where the file is not there."""
    try:
        lines = [line.split(maxsplit=1) for line in read_text(path).splitlines()]
    except RetinueError:
        return {}
    return {words[0]: words[1].strip() for words in lines if len(words) == 2}
