"""Temporary folders that no killed process leaves behind for long."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # an operating system without file locks
    fcntl = None


@contextlib.contextmanager
def scratch_folder(base: str | os.PathLike[str] | None = None) -> Iterator[Path]:
    """Create an empty folder and delete it at the end of the block.

    A killed process leaves its folder behind. The next process that asks for a folder below the same base deletes it,
    since the operating system has released the lock in it.

    Args:
        base: The folder in which the new one is created, by default the system's folder for temporary files.

    Yields:
        The empty folder.
    """
    if fcntl is None:
        with tempfile.TemporaryDirectory(prefix="retinue-", dir=base) as name:
            yield Path(name)
        return
    parent = Path(base or tempfile.gettempdir()) / f"retinue-{os.getuid()}"
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(parent / ".lock", "w") as parent_lock:
        # Without this lock, another process could delete a new folder that is not locked yet.
        fcntl.flock(parent_lock, fcntl.LOCK_EX)
        for path in parent.iterdir():
            if path.is_dir() and not _is_locked(path):
                shutil.rmtree(path, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=""))
        lock = open(folder / ".lock", "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


@contextlib.contextmanager
def scratch_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Create an empty folder on the disk of `path`, hidden beside it, and delete it at the end of the block.

    What a killed process left there is deleted first.

    Args:
        path: The file or folder that the block is going to write.

    Yields:
        The empty folder.

    Raises:
        BlockingIOError: If another running process uses the folder for the same `path`.
    """
    parent = Path(path).parent / f".{Path(path).name}.unfinished"
    parent.mkdir(parents=True, exist_ok=True)
    with open(parent / ".lock", "w") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder = parent / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(parent, ignore_errors=True)


def _is_locked(folder: Path) -> bool:
    """Return whether a running process uses a scratch folder."""
    assert fcntl is not None
    try:
        with open(folder / ".lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
