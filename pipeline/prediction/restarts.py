"""Restarting a prediction whose process was killed by a crash of native code, as damaged files can cause it."""

import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from retinue.pipeline.prediction.in_flight import files_of_dead_process

logger = logging.getLogger(__name__)

CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE")
MAX_CRASHES = 3  # in a row without a new result: then no file is the cause
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


def restart_after_crashes(out: str | os.PathLike[str]) -> None:
    """Continue in a child process, which is replaced by a new one when it crashes.

    This function returns in each child. The parent only waits, forwards signals and exits as its last child does. It
    does nothing where processes can't be forked, or once threads or TensorFlow have started, which survive no fork.

    Args:
        out: the folder of the results.
    """
    if not hasattr(os, "fork") or threading.active_count() > 1 or "tensorflow" in sys.modules:
        return
    crashes, size = 0, _size_of_results(out)
    while True:
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)  # Ctrl-C reaches it through the parent alone
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
            return
        number = _wait(child)
        name = signal.Signals(number).name
        if name not in CRASHES:
            with contextlib.suppress(OSError):  # SIGKILL has no handler
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        before, size = size, _size_of_results(out)
        crashes = crashes + 1 if size == before else 1
        if crashes > MAX_CRASHES:
            files = ", ".join(files_of_dead_process(Path(out))) or "no file"
            logger.error(
                f"error: the process crashed {crashes} times in a row ({name}), although no file that it was reading "
                f"kills a process by itself; it was reading {files}"
            )
            os._exit(1)
        logger.warning(f"the process crashed ({name}), perhaps because of a damaged file; starting again to find it")


def _wait(child: int) -> int:
    """Wait for a child while signals are forwarded to it. Returns the signal that killed it, or exits as it did."""

    def forward(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    def stop(number: int, _: FrameType | None) -> None:
        os.kill(child, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)  # it returns when this process is continued
        os.kill(child, signal.SIGCONT)

    handlers = {signal.SIGINT: forward, signal.SIGTERM: forward, signal.SIGHUP: forward, signal.SIGTSTP: stop}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    _, status = os.waitpid(child, 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    if not os.WIFSIGNALED(status):
        os._exit(os.WEXITSTATUS(status))
    return os.WTERMSIG(status)


def _size_of_results(out: str | os.PathLike[str]) -> int:
    files = (Path(out) / name for name in ("predictions.jsonl", "failures.jsonl"))
    return sum(file.stat().st_size for file in files if file.is_file())
