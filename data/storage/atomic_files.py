"""Writing files atomically: a reader sees the old content or the new one, never a part of it."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it to `path` when the block ends.

    If the block raises an exception, the temporary file is deleted. A full disk therefore leaves the old file
    unchanged. The file gets the permissions of any new file, and missing parent folders are created.

    Args:
        path: Where the file is to be.

    Yields:
        The temporary path. Its name ends with the name of `path`, because many libraries choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, mode = _create_beside(path)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, mode)  # a library may have replaced the file by one that only its owner can read
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file atomically.

    Args:
        path: Where the file is to be.
        content: Text, which is encoded as UTF-8, or bytes.
    """
    with atomic_path(path) as temporary:
        if isinstance(content, str):
            temporary.write_text(content, encoding="utf-8")
        else:
            temporary.write_bytes(content)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Delete the temporary files of `atomic_path` in a folder that killed processes left there.

    Args:
        folder: The folder. Its subfolders are not searched, and it does not have to exist.
    """
    folder = Path(folder)
    for path in folder.iterdir() if folder.is_dir() else ():
        if re.match(r"\.[a-z0-9_]{8}\..", path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _create_beside(path: Path) -> tuple[Path, int]:
    """Create an empty hidden file beside `path`. Returns its path, and the permissions that the system gave it.

    The kernel applies the process's umask. Python can read the umask only by changing it, which other threads would
    see.
    """
    while True:
        temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
        try:
            handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            continue
        try:
            return temporary, os.fstat(handle).st_mode & 0o777
        finally:
            os.close(handle)
