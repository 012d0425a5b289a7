"""Features on disk: a folder a key, in shards that are written whole, so that a killed job keeps those it had.

The folders lie in the user's cache, since another run with the same weights, photos and augmentation, but another rate
or dropout, has the same features. What nobody has used for a week is deleted. No TensorFlow.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import cache_folder
from retinue.data.storage.atomic_files import atomic_path, atomic_write

SMALLEST_SHARD = 1024  # rows
MOST_SHARDS = 64  # of a view; each is an open file while the head trains
KEPT_SECONDS = 7 * 24 * 3600.0
CURE = "make room, or set RETINUE_CACHE to a folder on another disk, or train with --set train.cached_feature_views=0"


def weights_hash(model):
    """A hash of all weights of a `keras.Model`, in its order."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(repr(weight.shape).encode() + np.ascontiguousarray(weight.numpy()).tobytes())
    return digest.hexdigest()


class FeatureCache:
    """Features float32 `[count, *shape]` of a set of records, for each of a number of views.

    about: a JSON-able dict of everything that the features depend on but the view; its hash is the folder's name.
    shape: tuple of ints. views: how many are wanted; a folder may hold more.
    """

    def __init__(self, about, count, shape, views):
        text = json.dumps(about, sort_keys=True)
        self.folder = cache_folder("features") / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.count, self.shape, self.views = count, tuple(shape), views
        fair = -(-count // MOST_SHARDS)
        self.shard_rows = max(SMALLEST_SHARD, -(-fair // SMALLEST_SHARD) * SMALLEST_SHARD)
        self._shards = {}
        _forget_old(self.folder.parent)
        with self._explained():
            atomic_write(self.folder / "about.json", text)  # its time says when it was last used
        for view in range(views):
            self._shards[view] = self._read(view)

    @property
    def bytes(self):
        """Of the features of all views."""
        return self.views * self.count * int(np.prod(self.shape)) * 4

    @property
    def missing(self):
        """Rows that have yet to be computed, over all views."""
        return sum(self.count - self.first_missing(view) for view in range(self.views))

    def first_missing(self, view):
        """The row from which on a view has yet to be computed; `count` when it is whole."""
        return min(len(self._shards[view]) * self.shard_rows, self.count)

    def rows_of_next(self, view):
        """How many rows the next shard of a view has."""
        return min(self.shard_rows, self.count - self.first_missing(view))

    def refuse_full_disk(self):
        """Raise RetinueError when what is missing has no room."""
        needed = self.missing * int(np.prod(self.shape)) * 4
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise RetinueError(
                f"{self.folder}: features need {megabytes(needed)}, but {megabytes(free)} are free; {CURE}"
            )

    def append(self, view, features):
        """Write the next shard of a view: float32 `[rows_of_next, *shape]`. Raises RetinueError on a full disk."""
        path = self._path(view, len(self._shards[view]))
        with self._explained(), atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.save(file, features)
        self._shards[view].append(np.load(path, mmap_mode="r"))

    def take(self, views, rows):
        """Features float32 `[n, *shape]` of int `rows`, each of its view; views: int `[n]`."""
        size = self.shard_rows
        return np.stack([self._shards[view][row // size][row % size] for view, row in zip(views, rows, strict=True)])

    def _read(self, view):
        """The shards of a view that are there, up to the first that is missing or damaged."""
        shards = []
        while len(shards) * self.shard_rows < self.count:
            rows = min(self.shard_rows, self.count - len(shards) * self.shard_rows)
            try:
                shard = np.load(self._path(view, len(shards)), mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError):
                break
            if shard.shape != (rows, *self.shape) or shard.dtype != np.float32:
                break
            shards.append(shard)
        return shards

    def _path(self, view, shard):
        return self.folder / f"view-{view:03d}-{shard:04d}.npy"

    @contextlib.contextmanager
    def _explained(self):
        try:
            yield
        except OSError as error:
            raise RetinueError(
                f"{self.folder}: features could not be written ({error.strerror or error}); those before are kept: "
                f"{CURE}"
            ) from None


def megabytes(count):
    """A number of bytes as one says it."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def _forget_old(parent):
    """Delete the folders of features that were last used more than a week ago."""
    for about in parent.glob("*/about.json"):
        with contextlib.suppress(OSError):
            if time.time() - os.stat(about).st_mtime > KEPT_SECONDS:
                shutil.rmtree(about.parent, ignore_errors=True)
