"""Temporary changes of state that the whole process shares, such as environment variables, under several threads."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator


class SharedContext:
    """A context that several threads can enter at once. The first one makes a change, and the last one undoes it.

    Args:
        change: A function that returns a context manager. It makes the change when it is entered and undoes it when it
            is left.
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
    """Set an environment variable within this context, and restore its previous state afterwards.

    Args:
        name: Name of the variable.
        value: Its value within the context.
    """
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
