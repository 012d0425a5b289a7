"""All that resuming needs, in one file: weights, optimizer, random states, metrics and counters.

The file is replaced atomically, so there is always a whole one; its zip checksums catch a damaged one. Nothing is
unpickled from it.
"""

import json
import zipfile

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.files import atomic_path


def save(path, groups, progress):
    """Write the values of variables, and `progress`.

    path: ends in .npz. groups: dict name -> list of variables, in an order that a rebuilt job repeats.
    progress: JSON-able dict (stage, epoch, step, best score, ...). Raises RetinueError when the disk is full; the
    checkpoint before it stays.
    """
    arrays = {
        f"{name}/{index}": variable.numpy() for name, group in groups.items() for index, variable in enumerate(group)
    }
    arrays["progress"] = np.frombuffer(json.dumps(progress).encode(), np.uint8)
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise RetinueError(
            f"{path}: could not save the checkpoint ({error.strerror}); the one before it is whole. "
            "Make room and go on with --resume"
        ) from None


def read_progress(path):
    """The `progress` of the checkpoint at `path`. Raises RetinueError when it is damaged."""
    with _open(path) as arrays:
        return json.loads(arrays["progress"].tobytes())


def restore(path, groups):
    """Assign the values in the checkpoint at `path` to the variables of `groups`, which must be as they were saved."""
    with _open(path) as arrays:
        wanted = {f"{name}/{index}" for name, group in groups.items() for index in range(len(group))}
        found = set(arrays.files) - {"progress"}
        if wanted != found:
            raise RetinueError(
                f"{path}: made by another model or version ({len(found)} values, {len(wanted)} expected)"
            )
        for name, group in groups.items():
            for index, variable in enumerate(group):
                variable.assign(arrays[f"{name}/{index}"])


def _open(path):
    try:
        archive = np.load(path, allow_pickle=False)
        damaged = archive.zip.testzip()
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise RetinueError(
            f"{path}: the checkpoint can't be read ({error}); start the run anew in another folder"
        ) from None
    if damaged:
        raise RetinueError(f"{path}: the checkpoint is damaged at {damaged}; start the run anew in another folder")
    return archive
