"""Logging to the console. The command line attaches the handler of this module, and users can attach it, too.

Without a handler retinue prints nothing. Every module logs to a logger of its own name, for example
`retinue.data.split`.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator

import click


class ConsoleHandler(logging.Handler):
    """Prints each message as a line to the current standard output.

    Args:
        level: Lowest level of the messages that are printed.

    Attributes:
        to_stderr: Whether the lines go to the standard error instead, because another program reads the standard
            output.
        print_above: A function that prints a line above the progress bar on the screen, or None if there is no bar.
    """

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.setFormatter(logging.Formatter("%(name)s: %(message)s" if level <= logging.DEBUG else None))
        self.to_stderr = False
        self.print_above: Callable[[str], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        try:
            text = self.format(record)
        except Exception:  # the arguments do not fit the message; logging reports that itself
            self.handleError(record)
            return
        if self.print_above:
            self.print_above(text)
        else:
            click.echo(text, err=self.to_stderr)  # a closed output ends the command


def enable_console(level: int = logging.INFO) -> None:
    """Print retinue's messages on the console, as the command line does. A second call changes the level.

    The messages no longer reach the handlers of the root logger, which would print them a second time.

    Args:
        level: Lowest level that is printed, a constant of the module `logging`. With `logging.DEBUG`, each line begins
            with the name of its logger.
    """
    logger = logging.getLogger("retinue")
    logger.handlers = [other for other in logger.handlers if not isinstance(other, ConsoleHandler)]
    logger.addHandler(ConsoleHandler(level))
    logger.setLevel(level)
    logger.propagate = False


@contextlib.contextmanager
def console(level: int = logging.INFO) -> Iterator[None]:
    """Print retinue's messages within this context, and restore its logger afterwards.

    Args:
        level: As for `enable_console`.
    """
    logger = logging.getLogger("retinue")
    before = logger.handlers, logger.level, logger.propagate
    enable_console(level)
    try:
        yield
    finally:
        logger.handlers, level_before, logger.propagate = before
        logger.setLevel(level_before)


@contextlib.contextmanager
def errors_only() -> Iterator[None]:
    """Log only errors within this context. Distributed workers other than the chief use it."""
    logger = logging.getLogger("retinue")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def use_stderr() -> None:
    """Print messages to the standard error from now on. Without an attached handler, this does nothing."""
    if handler := _attached():
        handler.to_stderr = True


def shows_progress() -> bool:
    """Return whether messages of level INFO are printed on the console, so that a progress bar fits in, too."""
    handler = _attached()
    return handler is not None and handler.level <= logging.INFO


def print_lines_with(print_above: Callable[[str], None] | None) -> None:
    """Print messages with a function of the progress bar while it is on the screen.

    Args:
        print_above: A function that prints a line above the bar, or None when the bar is gone.
    """
    if handler := _attached():
        handler.print_above = print_above


def _attached() -> ConsoleHandler | None:
    handlers = logging.getLogger("retinue").handlers
    return next((handler for handler in handlers if isinstance(handler, ConsoleHandler)), None)
