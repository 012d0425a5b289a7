"""Features on disk: one folder per key, in shards that are written whole, so a job that was killed keeps its shards.

The folders lie in the user's cache, since another run with the same weights, images and augmentation, but another
learning rate or dropout, has the same features. Features that nobody used for a week are deleted. This module does not
import TensorFlow.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import cache_folder
from retinue.data.storage.atomic_files import atomic_path, atomic_write

if TYPE_CHECKING:
    import keras

SMALLEST_SHARD = 1024  # rows
MAX_SHARDS = 64  # of an augmented copy; each is an open file while the head is trained
KEPT_SECONDS = 7 * 24 * 3600.0
CURE = (
    "free disk space, or set RETINUE_CACHE to a folder on another disk, or train with --set "
    "train.cached_feature_views=0"
)


def weights_hash(model: "keras.Model") -> str:
    """Return a hash of all weights of a model, in its order."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(repr(weight.shape).encode() + np.ascontiguousarray(weight.numpy()).tobytes())
    return digest.hexdigest()


class FeatureCache:
    """Features float32 `[count, *shape]` of a set of records, for each of several augmented copies.

    Args:
        key: a JSON-compatible dict of everything that determines the features, except the copy. Its hash is the name
            of the folder.
        count: the number of records.
        shape: the shape of the features of one record.
        num_copies: how many augmented copies are needed; a folder may hold more.

    Raises:
        RetinueError: the folder can't be written.
    """

    def __init__(self, key: Mapping[str, Any], count: int, shape: Sequence[int], num_copies: int) -> None:
        text = json.dumps(key, sort_keys=True)
        self.folder: Path = cache_folder("features") / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.count, self.shape, self.num_copies = count, tuple(shape), num_copies
        rows = -(-count // MAX_SHARDS)
        self.shard_rows = max(SMALLEST_SHARD, -(-rows // SMALLEST_SHARD) * SMALLEST_SHARD)
        _delete_old(self.folder.parent)
        with self._report_errors():
            atomic_write(self.folder / "about.json", text)  # its time says when the features were last used
        self._shards = {copy: self._read(copy) for copy in range(num_copies)}

    @property
    def num_bytes(self) -> int:
        """The size of the features of all copies in bytes."""
        return self.num_copies * self.count * int(np.prod(self.shape)) * 4

    @property
    def num_missing(self) -> int:
        """The number of rows that are not computed yet, over all copies."""
        return sum(self.count - self.first_missing(copy) for copy in range(self.num_copies))

    def first_missing(self, copy: int) -> int:
        """Return the first row of a copy that is not computed yet; `count` if the copy is complete."""
        return min(len(self._shards[copy]) * self.shard_rows, self.count)

    def rows_of_next(self, copy: int) -> int:
        """Return the number of rows in the next shard of a copy."""
        return min(self.shard_rows, self.count - self.first_missing(copy))

    def refuse_full_disk(self) -> None:
        """Raise RetinueError if the disk has no space for the missing features."""
        needed = self.num_missing * int(np.prod(self.shape)) * 4
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise RetinueError(
                f"{self.folder}: the features need {format_bytes(needed)}, but {format_bytes(free)} are free; {CURE}"
            )

    def append(self, copy: int, features: np.ndarray) -> None:
        """Write the next shard of a copy.

        Args:
            copy: the index of the augmented copy.
            features: float32 `[rows_of_next, *shape]`.

        Raises:
            RetinueError: the disk is full.
        """
        path = self._path(copy, len(self._shards[copy]))
        with self._report_errors(), atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.save(file, features)
        self._shards[copy].append(np.load(path, mmap_mode="r"))

    def take(self, copies: Sequence[int] | np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return features float32 `[n, *shape]`.

        Args:
            copies: int `[n]`, the augmented copy of each row.
            rows: int `[n]`.
        """
        size = self.shard_rows
        return np.stack([self._shards[copy][row // size][row % size] for copy, row in zip(copies, rows, strict=True)])

    def _read(self, copy: int) -> list[np.ndarray]:
        """Return the shards of a copy on the disk, up to the first one that is missing or damaged."""
        shards: list[np.ndarray] = []
        while len(shards) * self.shard_rows < self.count:
            rows = min(self.shard_rows, self.count - len(shards) * self.shard_rows)
            try:
                shard = np.load(self._path(copy, len(shards)), mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError):
                break
            if shard.shape != (rows, *self.shape) or shard.dtype != np.float32:
                break
            shards.append(shard)
        return shards

    def _path(self, copy: int, shard: int) -> Path:
        return self.folder / f"copy-{copy:03d}-{shard:04d}.npy"

    @contextlib.contextmanager
    def _report_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RetinueError(
                f"{self.folder}: could not write features ({error.strerror or error}); the earlier ones "
                f"are kept: {CURE}"
            ) from None


def format_bytes(count: float) -> str:
    """Return a number of bytes as text, in MB or GB."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def _delete_old(parent: Path) -> None:
    """Delete the folders of features that were last used more than a week ago."""
    for about in parent.glob("*/about.json"):
        with contextlib.suppress(OSError):
            if time.time() - os.stat(about).st_mtime > KEPT_SECONDS:
                shutil.rmtree(about.parent, ignore_errors=True)
