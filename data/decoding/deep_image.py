"""Images of more than 8 bits in NumPy: their values, for the scale of a dataset, and what the model gets of them."""

import os

import numpy as np

from retinue.data.decoding.file_problem import RESAVE, UnusableFileError
from retinue.data.decoding.image_file import read_header
from retinue.data.decoding.netpbm import decode_netpbm
from retinue.data.decoding.opencv import silence_opencv
from retinue.data.decoding.orientation import turn_array_upright
from retinue.data.decoding.tiff_file import decode_tiff


def decode_deep_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Decode a PNG of 16 bits, any TIFF or any file of Netpbm to the values in the file.

    Args:
        path: The file.

    Returns:
        [height, width] or [height, width, 3] (RGB), upright, as `decode_tiff` returns it.

    Raises:
        UnusableFileError: It can't be decoded.
        OSError: It can't be read.
        ValueError: It is not an image.
    """
    import cv2

    header = read_header(path)
    with open(path, "rb") as file:
        content = file.read()
    if header.format == "TIFF":
        return decode_tiff(content)
    if header.format == "Netpbm":
        return decode_netpbm(content)
    with silence_opencv:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise UnusableFileError("broken", "it cannot be decoded", RESAVE)
    if pixels.ndim == 3:
        pixels = pixels[:, :, 2::-1] if pixels.shape[2] >= 3 else pixels[:, :, 0]
    return turn_array_upright(pixels, header.orientation)
