"""What file names say: images, videos, splits, and the order of frames."""

import os
import re

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg")


# Photos that retinue can't decode: they are listed, so that the check names them with a cure and nobody misses them.
OTHER_PHOTO_SUFFIXES = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".psd")


SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def looks_like_image(name):
    """Whether a file's name says that it is a photo, of a format that can be decoded or not."""
    return name.lower().endswith(IMAGE_SUFFIXES + OTHER_PHOTO_SUFFIXES)


def looks_like_video(name):
    """Whether a file's name says that it is a video."""
    return name.lower().endswith(VIDEO_SUFFIXES)


NUMBER = re.compile(r"\d+")


def frame_names(folder):
    """The paths of the pictures in a folder, by the numbers in their names."""
    names = [name for name in os.listdir(folder) if name.lower().endswith(IMAGE_SUFFIXES) and name[0] != "."]
    names.sort(key=lambda name: (NUMBER.sub(lambda digits: digits.group().zfill(20), name), name))
    return [os.path.join(folder, name) for name in names]
