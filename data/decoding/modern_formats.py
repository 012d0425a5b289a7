"""AVIF and HEIC, which TensorFlow does not decode: Pillow decodes the one, and pillow-heif the other."""

import io
from typing import BinaryIO

import numpy as np
from PIL import ImageFile, ImageOps, features

from retinue.data.decoding.file_problem import UnusableFileError

MODERN_FORMATS = ("AVIF", "HEIC")


def open_modern(stream: BinaryIO, image_format: str) -> ImageFile.ImageFile:
    """Open an AVIF or HEIC file without decoding its pixels.

    Args:
        stream: The file, at its beginning.
        image_format: "AVIF" or "HEIC".

    Raises:
        UnusableFileError: The decoder is not installed. The reason says how to install it.
        Exception: Of any class, if the file is damaged.
    """
    if image_format == "AVIF":
        if not features.check("avif"):
            raise UnusableFileError(
                "unsupported",
                "an AVIF image, which this build of Pillow does not decode",
                "install Pillow from PyPI (pip install -U Pillow), or convert it to PNG or JPEG",
            )
        from PIL import AvifImagePlugin

        return AvifImagePlugin.AvifImageFile(stream)
    try:
        import pillow_heif
    except ImportError:
        raise UnusableFileError(
            "unsupported",
            "a HEIC image, for which a package is missing",
            'install it (pip install pillow-heif, or "retinue[heic]"), or convert it to JPEG',
        ) from None
    return pillow_heif.HeifImageFile(stream)


def decode_modern(content: bytes, image_format: str) -> np.ndarray:
    """Decode the first image of an AVIF or HEIC file, and turn it upright.

    Args:
        content: The content of the file.
        image_format: "AVIF" or "HEIC".

    Returns:
        uint8 [height, width, 3], RGB, also where the file has 10 or 12 bits, whose white the format defines.

    Raises:
        UnusableFileError: The decoder is not installed.
        Exception: Of any class, if the file is damaged.
    """
    with open_modern(io.BytesIO(content), image_format) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
