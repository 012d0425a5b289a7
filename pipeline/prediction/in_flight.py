"""Finding the file that killed a process: which files are being read is on disk, and survives the process.

A damaged file can crash the native code of a decoder, which no `except` can catch. The next run of `predict` into the
same folder reads the files that were being read then, and those just before, in processes of their own. A file that
kills such a process, too, is recorded as a failure, and all others are predicted.
"""

import contextlib
import json
import os
import queue
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

NAME = ".in_flight"
SLOTS = 32  # files that are remembered; memory that is corrupted can kill the process some files later
MAX_PATH = 4096  # bytes; a longer path can't be opened on Linux
SLOT_SIZE = 2 + MAX_PATH
KILLED_BY_FILE = "deadly"  # the first word of the reason of such a failure


class InFlight:
    """The list of the files that are being read, in a file of the output folder. Close it at the end.

    Args:
        folder: the output folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
        self._slots: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(SLOTS):
            self._slots.put(number)

    @contextlib.contextmanager
    def reading(self, file: str) -> Iterator[None]:
        """Within this context, the file is being read. Threads may enter it at the same time."""
        name = os.fsencode(file)[:MAX_PATH]
        number = self._slots.get()
        os.pwrite(self._file, struct.pack("<H", len(name)) + name, number * SLOT_SIZE)
        try:
            yield
        finally:
            self._slots.put(number)

    def close(self) -> None:
        """Remove the list, because this process has survived its files."""
        os.close(self._file)
        self._path.unlink(missing_ok=True)


def files_of_dead_process(folder: Path) -> list[str]:
    """Return the files that a process was reading when it died, and those just before, or []."""
    try:
        content = (folder / NAME).read_bytes()
    except OSError:
        return []
    files = []
    for start in range(0, len(content) - 2, SLOT_SIZE):
        (size,) = struct.unpack("<H", content[start : start + 2])
        files.append(os.fsdecode(content[start + 2 : start + 2 + size]))
    return list(dict.fromkeys(file for file in files if file))


def find_deadly(model: str | os.PathLike[str], files: Sequence[str]) -> dict[str, str]:
    """Read files in other processes, and find those that kill the process.

    Args:
        model: the folder of the model, whose task determines how files are read.
        files: paths.

    Returns:
        The reason for each file that does.
    """
    deadly: dict[str, str] = {}
    remaining = list(files)
    while remaining:
        done = subprocess.run(
            [sys.executable, "-m", "retinue.pipeline.prediction.read_alone"],
            input=json.dumps({"model": os.fspath(model), "files": remaining}).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        survived = done.stdout.count(b"\n")
        if done.returncode >= 0 or survived >= len(remaining):
            break
        cause = signal.Signals(-done.returncode).name
        deadly[remaining[survived]] = (
            f"{KILLED_BY_FILE}: the decoder dies of it ({cause}); remove the file, or save it again in another format"
        )
        del remaining[: survived + 1]
    return deadly
