"""Changes to what the whole process shares, such as an environment variable, for a while and with several threads."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator


class ForAWhile:
    """A context that several threads may be in at once: the first makes a change, and the last takes it back.

    Args:
        change: Returns a context manager that makes the change and takes it back.
    """

    def __init__(self, change: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self._change, self._lock = change, threading.Lock()
        self._inside, self._undo = 0, contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._undo.enter_context(self._change())
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._undo.close()


@contextlib.contextmanager
def environment_variable(name: str, value: str) -> Iterator[None]:
    """Give an environment variable this value within the context."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
