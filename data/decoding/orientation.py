"""EXIF orientation without TensorFlow: the size of the upright image, and NumPy arrays turned upright."""

import numpy as np

ORIENTATION_TAG = 0x0112  # of EXIF and TIFF
MAX_SEGMENTS = 1024  # segments or chunks that are searched for EXIF; cameras write it into the first or second one
SWAPS_SIDES = (5, 6, 7, 8)  # orientations that exchange height and width
FLIPS_LEFT_RIGHT = (2, 3, 6, 7)  # orientations whose image is mirrored horizontally, after rows and columns are swapped
FLIPS_UP_DOWN = (3, 4, 7, 8)


def upright_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Return the height and width in pixels of an image when it is turned upright.

    Args:
        height: Height of the stored image in pixels.
        width: Width of the stored image in pixels.
        orientation: EXIF orientation, 1 to 8.
    """
    return (width, height) if orientation in SWAPS_SIDES else (height, width)


def turn_array_upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a stored image or mask upright.

    Args:
        array: [height, width] or [height, width, channels] of any dtype, the stored image.
        orientation: EXIF orientation, 1 to 8.

    Returns:
        A view of the array with the shape of the upright image.
    """
    if orientation in SWAPS_SIDES:
        array = array.swapaxes(0, 1)
    if orientation in FLIPS_LEFT_RIGHT:
        array = array[:, ::-1]
    return array[::-1] if orientation in FLIPS_UP_DOWN else array
