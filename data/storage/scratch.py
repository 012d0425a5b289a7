"""Folders for what is needed for a while, and that no killed process leaves behind for long."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # a system without locks
    fcntl = None


@contextlib.contextmanager
def scratch_folder(base=None):
    """Give a new empty folder (Path) below `base`, by default the system's folder for such, and delete it at the end.

    A process that is killed leaves its own; the next that asks for one below the same base deletes that, since the
    system let go of the lock in it.
    """
    if fcntl is None:
        with tempfile.TemporaryDirectory(prefix="retinue-", dir=base) as folder:
            yield Path(folder)
        return
    home = Path(base or tempfile.gettempdir()) / f"retinue-{os.getuid()}"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(home / ".lock", "w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)  # or another would take a folder without its lock yet for one that was left
        for path in home.iterdir():
            if path.is_dir() and not _is_held(path):
                shutil.rmtree(path, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=home, prefix=""))
        lock = open(folder / ".lock", "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


@contextlib.contextmanager
def scratch_beside(path):
    """Give a new empty folder (Path) on the disk of `path`, hidden beside it, and delete it at the end.

    What a killed process left there is deleted first. Raises BlockingIOError where a living one has it.
    """
    home = Path(path).parent / f".{Path(path).name}.unfinished"
    home.mkdir(parents=True, exist_ok=True)
    with open(home / ".lock", "w") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder = home / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(home, ignore_errors=True)


def _is_held(folder):
    """Whether a process that lives has the folder."""
    try:
        with open(folder / ".lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
