"""Writing files so that a reader never sees half of one."""

import contextlib
import os
import re
import tempfile
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path):
    """Give a temporary path beside `path`; rename it onto `path` when the block ends well, delete it when it does not.

    The name's end is kept, since many writers choose the format by it. A full disk therefore leaves the old file whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=f".{path.name}")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(path, content):
    """Write `content` (str as UTF-8, or bytes) to `path` atomically."""
    with atomic_path(path) as temporary:
        if isinstance(content, str):
            temporary.write_text(content, encoding="utf-8")
        else:
            temporary.write_bytes(content)


def remove_leftovers(folder):
    """Delete what `atomic_path` could not, in `folder` alone, because its process was killed in the middle of it."""
    folder = Path(folder)
    for path in folder.iterdir() if folder.is_dir() else ():
        if re.match(r"\.[a-z0-9_]{8}\..", path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
