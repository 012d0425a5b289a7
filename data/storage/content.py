"""The identity of files by their bytes: moving, copying and renaming keep it, every change ends it."""

import functools
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

from retinue.configs.machine import usable_cores
from retinue.data.storage.file_names import frame_names

LENGTH = 16  # hex digits, 64 bits: among a million files two share one by accident once in 30 million datasets


def content_id(content):
    """The first 16 hex digits of the SHA-256 of `content`, bytes."""
    return hashlib.sha256(content).hexdigest()[:LENGTH]


def content_ids(files, workers=None):
    """The `content_id` of each of `files`, a list of str; "" for a file that can't be read.

    workers: threads, by default one a core. Every byte is read; the check does so anyway and fills
    `Dataset.content_ids` with the same ids.
    """
    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        return list(pool.map(_content_id_of, files))


def clip_id(path):
    """The content id of a clip: of a video file's bytes, or of all pictures of a folder of frames, names left out.

    Raises OSError when it can't be read.
    """
    path = os.path.abspath(path)
    status = os.stat(path)
    return _clip_id(path, (status.st_mtime_ns, status.st_size))


@functools.lru_cache(maxsize=100_000)
def _clip_id(path, _stamp):
    if not os.path.isdir(path):
        return _content_id_of(path)
    return content_id("".join(map(_content_id_of, frame_names(path))).encode())


def _content_id_of(name):
    try:
        if not os.path.isfile(name):  # opening a pipe would wait for its writer
            return ""
        with open(name, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:LENGTH]
    except OSError:
        return ""
