"""All that resuming needs, in one file: weights, optimizer, random states and counters; the last few are kept.

Each is written to a temporary name and renamed, so there is always a whole one. The checksums of its zip (CRC-32, one
an array) catch a damaged one, and the one before it is taken. Nothing is unpickled from it.
"""

import json
import logging
import os
import zipfile
from pathlib import Path

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.storage.atomic_files import atomic_path

logger = logging.getLogger(__name__)

OTHER_CURE = "put this run's own checkpoint back, or start the run anew in another folder"


def save(folder, groups, progress, keep=1):
    """Write the values of variables, and `progress`, as `checkpoint-STEP.npz`.

    groups: dict name -> list of variables, in an order that a rebuilt job repeats. progress: JSON-able dict with the
    step, and the stage, epoch, best score and so on. keep: how many files are left, the newest ones.
    Raises RetinueError when the disk is full; the checkpoints before it stay.
    """
    arrays = {
        f"{name}/{index}": variable.numpy() for name, group in groups.items() for index, variable in enumerate(group)
    }
    arrays["progress"] = np.frombuffer(json.dumps(progress).encode(), np.uint8)
    path = Path(folder) / f"checkpoint-{progress['step']:09d}.npz"
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise RetinueError(
            f"{path}: could not save the checkpoint ({error.strerror}); what was saved before is whole. "
            "Make room and go on with --resume"
        ) from None
    for old in listed(folder)[keep:]:
        old.unlink(missing_ok=True)


def listed(folder):
    """Paths of the checkpoints in `folder`, the newest first."""
    return sorted(Path(folder).glob("checkpoint-*.npz"), reverse=True)


def newest(folder, tidy=True):
    """(path, progress) of the newest checkpoint in `folder` that is whole. Damaged ones are logged as warnings.

    tidy: also put damaged ones aside, as `*.damaged`. Raises RetinueError when there is none.
    """
    damaged, paths = [], listed(folder)
    for path in paths:
        try:
            with _open(path) as arrays:
                progress = json.loads(arrays["progress"].tobytes())
        except RetinueError as error:
            damaged.append(path)
            logger.warning(f"{error}; taking the one before it" if path != paths[-1] else str(error))
            continue
        for other in damaged if tidy else ():
            os.replace(other, other.with_suffix(".damaged"))
        return path, progress
    raise RetinueError(f"{folder}: holds no checkpoint that can be read; start the run anew in another folder")


def restore(path, groups):
    """Assign the values in the checkpoint at `path` to the variables of `groups`, which must be as they were saved."""
    with _open(path) as arrays:
        wanted = {f"{name}/{index}" for name, group in groups.items() for index in range(len(group))}
        found = set(arrays.files) - {"progress"}
        if wanted != found:
            raise RetinueError(
                f"{path}: made by another model or version ({len(found)} arrays, {len(wanted)} expected); {OTHER_CURE}"
            )
        for name, group in groups.items():
            for index, variable in enumerate(group):
                values = arrays[f"{name}/{index}"]
                if values.shape != tuple(variable.shape):
                    raise RetinueError(
                        f"{path}: made by another model or version ({name}/{index} is {values.shape}, "
                        f"{tuple(variable.shape)} expected); {OTHER_CURE}"
                    )
                variable.assign(values)


def _open(path):
    try:
        archive = np.load(path, allow_pickle=False)
        damaged = archive.zip.testzip()
    except (OSError, EOFError, ValueError, AttributeError, RuntimeError, zipfile.BadZipFile) as error:
        raise RetinueError(f"{path}: the checkpoint can't be read ({error})") from None
    if damaged:
        raise RetinueError(f"{path}: the checkpoint is damaged at {damaged}")
    if "progress" not in archive.files:  # written last: a damaged directory of the zip ends before it
        raise RetinueError(f"{path}: the checkpoint is damaged, its list of arrays is cut short")
    return archive
