"""Checkpoints: all that resuming needs in one file, namely weights, optimizer, random states and counters.

Each checkpoint is written to a temporary name and renamed, so there is always a complete one. The checksums of its zip
(CRC-32, one per array) reveal a damaged one; then the one before is used. Nothing is unpickled.
"""

import json
import logging
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.storage.atomic_files import atomic_path

logger = logging.getLogger(__name__)

# The variables of each part of a job by its name, in an order that a rebuilt job repeats.
VariableGroups = Mapping[str, Sequence[Any]]
CURE = "put this run's own checkpoint back, or start a new run in another folder"


def save(folder: Path, groups: VariableGroups, progress: Mapping[str, Any], max_checkpoints: int = 1) -> None:
    """Write the values of variables, and the progress, as `checkpoint-STEP.npz`.

    Args:
        folder: the folder of the checkpoints.
        groups: the variables.
        progress: a JSON-compatible dict with the step, stage, epoch, best score and so on.
        max_checkpoints: how many checkpoints are kept, the newest ones.

    Raises:
        RetinueError: the disk is full. The earlier checkpoints stay.
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
            f"{path}: could not save the checkpoint ({error.strerror}); the earlier checkpoints are complete. Free "
            "disk space and continue with --resume"
        ) from None
    for old in list_checkpoints(folder)[max_checkpoints:]:
        old.unlink(missing_ok=True)


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the paths of the checkpoints in a folder, the newest first."""
    return sorted(Path(folder).glob("checkpoint-*.npz"), reverse=True)


def read_newest(folder: Path, set_aside_damaged: bool = True) -> tuple[Path, dict[str, Any]]:
    """Return the path and the progress of the newest checkpoint that is not damaged.

    A warning is logged for each damaged one.

    Args:
        folder: the folder of the checkpoints.
        set_aside_damaged: whether to rename damaged ones to `*.damaged`.

    Raises:
        RetinueError: there is no checkpoint that can be read.
    """
    damaged, paths = [], list_checkpoints(folder)
    for path in paths:
        try:
            with _open(path) as arrays:
                progress = json.loads(arrays["progress"].tobytes())
        except RetinueError as error:
            damaged.append(path)
            logger.warning(f"{error}; using the checkpoint before it" if path != paths[-1] else str(error))
            continue
        for other in damaged if set_aside_damaged else ():
            os.replace(other, other.with_suffix(".damaged"))
        return path, progress
    raise RetinueError(f"{folder}: holds no checkpoint that can be read; start a new run in another folder")


def restore(path: Path, groups: VariableGroups) -> None:
    """Assign the values of a checkpoint to variables.

    Args:
        path: the checkpoint.
        groups: the variables, in the same groups and order as they were saved.

    Raises:
        RetinueError: the checkpoint is damaged or belongs to another model.
    """
    with _open(path) as arrays:
        expected = {f"{name}/{index}" for name, group in groups.items() for index in range(len(group))}
        available = set(arrays.files) - {"progress"}
        if expected != available:
            raise RetinueError(
                f"{path}: made by another model or version ({len(available)} arrays, {len(expected)} expected); {CURE}"
            )
        for name, group in groups.items():
            for index, variable in enumerate(group):
                values = arrays[f"{name}/{index}"]
                if values.shape != tuple(variable.shape):
                    raise RetinueError(
                        f"{path}: made by another model or version ({name}/{index} has the shape {values.shape}, "
                        f"{tuple(variable.shape)} expected); {CURE}"
                    )
                variable.assign(values)


def _open(path: Path) -> Any:
    try:
        archive = np.load(path, allow_pickle=False)
        damaged = archive.zip.testzip()
    except (OSError, EOFError, ValueError, AttributeError, RuntimeError, zipfile.BadZipFile) as error:
        raise RetinueError(f"{path}: the checkpoint can't be read ({error})") from None
    if damaged:
        raise RetinueError(f"{path}: the checkpoint is damaged at {damaged}")
    if "progress" not in archive.files:  # It is written last: a damaged directory of the zip ends before it.
        raise RetinueError(f"{path}: the checkpoint is damaged, its list of arrays is cut short")
    return archive
