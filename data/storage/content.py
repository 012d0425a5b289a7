"""Content ids: hashes that identify files by their bytes. Moving, copying and renaming a file does not change them."""

import functools
import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from retinue.configs.machine import usable_cores
from retinue.data.storage.file_names import frame_paths

ID_LENGTH = 16  # hexadecimal digits (64 bits): among a million files, one collision in 30 million datasets


def content_id(content: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of `content`."""
    return hashlib.sha256(content).hexdigest()[:ID_LENGTH]


def content_ids(files: Iterable[str], workers: int | None = None) -> list[str]:
    """Compute the content ids of files.

    Every byte is read. The check reads all files as well and fills `Dataset.content_ids` with the same ids.

    Args:
        files: Paths.
        workers: Number of threads, or None for one per CPU core.

    Returns:
        The id of each file, "" for a file that cannot be read.
    """
    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        return list(pool.map(_file_id, files))


def clip_id(path: str) -> str:
    """Compute the content id of a clip.

    Args:
        path: A video file, or a folder of frames, whose id depends on all images in it but not on their names.

    Returns:
        The id. It is cached until the modification time or the size of `path` changes.

    Raises:
        OSError: If the path cannot be read.
    """
    path = os.path.abspath(path)
    status = os.stat(path)
    return _cached_clip_id(path, (status.st_mtime_ns, status.st_size))


@functools.lru_cache(maxsize=100_000)
def _cached_clip_id(path: str, _time_and_size: tuple[int, int]) -> str:
    if not os.path.isdir(path):
        return _file_id(path)
    return content_id("".join(map(_file_id, frame_paths(path))).encode())


def _file_id(name: str) -> str:
    try:
        if not os.path.isfile(name):  # opening a named pipe would block until another process writes to it
            return ""
        with open(name, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:ID_LENGTH]
    except OSError:
        return ""
