"""Masks whose ids number the objects of each image, as in PennFudanPed, and are no classes."""

from collections.abc import Sequence

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.decoding.mask_file import read_mask_pixels
from retinue.data.readers.masks.values import MaskValues
from retinue.data.void_label import VOID

MIN_COUNTS = 3  # masks number their objects if they hold 1 to n for at least so many different n
NUM_LOOKS = 8  # masks of several objects that are decoded
ONE_PIECE = 0.9  # of the objects are in one piece, and so are at least this fraction of the pixels of each


def refuse_numbered_objects(source: str, masks: Sequence[MaskValues]) -> None:
    """Raise RetinueError if the ids of masks number the objects of each image.

    They do if each mask holds the ids 1 to n without a gap, n differs from image to image, and nearly every id is one
    connected region. Ids of classes have gaps, or regions apart from each other.

    Args:
        source: Where the masks were found.
        masks: The values of each mask. Nothing names them.
    """
    counts = [len(mask.counts.keys() - {0, VOID}) for mask in masks]
    if len(set(counts) - {0}) < MIN_COUNTS:
        return
    for mask, count in zip(masks, counts, strict=True):
        if not mask.counts.keys() - {0, VOID} <= set(range(1, count + 1)):
            return
    several = [mask for mask, count in zip(masks, counts, strict=True) if count > 1]
    pieces = [piece for mask in several[:: max(1, len(several) // NUM_LOOKS)] for piece in _largest_pieces(mask.path)]
    if np.mean(np.array(pieces) >= ONE_PIECE) < ONE_PIECE:
        return
    largest = masks[int(np.argmax(counts))]
    raise RetinueError(
        f"{source}: its masks seem to number the objects of each image, as {largest.path} with 1 to {max(counts)}, and "
        "these numbers are no classes. To tell objects from the background, save masks with 1 for every object; or, if "
        "the ids are classes, write a line 'id name' for each of them into classes.txt"
    )


def _largest_pieces(path: str) -> list[float]:
    """Return for each id of a mask, without 0 and 255, the fraction of its pixels in its largest connected region."""
    import cv2

    pixels, _ = read_mask_pixels(path)
    fractions = []
    for value in np.unique(pixels):
        if value not in (0, VOID):
            _, labels = cv2.connectedComponents((pixels == value).astype(np.uint8))
            sizes = np.bincount(labels.ravel())[1:]
            fractions.append(float(sizes.max() / sizes.sum()))
    return fractions
