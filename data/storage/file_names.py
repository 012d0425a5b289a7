"""What the names of files and folders mean: images, videos, splits, and the order of frames."""

import os
import re

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg")
# Image formats that retinue cannot decode. Such files are listed all the same, so that the check reports them.
UNSUPPORTED_IMAGE_SUFFIXES = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".psd")

# The split that a folder's name, or a value of a table, stands for.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

_NUMBER = re.compile(r"\d+")


def looks_like_image(name: str) -> bool:
    """Return whether a file name has the ending of an image, including formats that cannot be decoded."""
    return name.lower().endswith(IMAGE_SUFFIXES + UNSUPPORTED_IMAGE_SUFFIXES)


def looks_like_video(name: str) -> bool:
    """Return whether a file name has the ending of a video."""
    return name.lower().endswith(VIDEO_SUFFIXES)


def frame_paths(folder: str) -> list[str]:
    """List the images of a folder of frames, in the order of the numbers in their names.

    Args:
        folder: The folder. Hidden files in it are ignored.

    Returns:
        The paths of the images.
    """
    names = [name for name in os.listdir(folder) if name.lower().endswith(IMAGE_SUFFIXES) and name[0] != "."]
    names.sort(key=lambda name: (_NUMBER.sub(lambda digits: digits.group().zfill(20), name), name))
    return [os.path.join(folder, name) for name in names]
