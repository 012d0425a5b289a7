"""The messages of retinue on the console: a handler for its loggers, which the command line attaches, and users may.

By itself retinue prints nothing: every module logs to a logger of its own name, such as `retinue.data.check`.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator

import click


class ConsoleHandler(logging.Handler):
    """Prints each message as a line, to what the standard output is at that moment.

    Attributes:
        to_stderr: Whether the lines go to the standard error instead, since the standard output is for a program.
        print_above: A function that prints a line above the progress bar on the screen, None while there is no bar.
    """

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.setFormatter(logging.Formatter("%(name)s: %(message)s" if level <= logging.DEBUG else None))
        self.to_stderr = False
        self.print_above: Callable[[str], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # arguments that do not fit the message: logging itself reports them
            self.handleError(record)
            return
        if self.print_above:
            self.print_above(text)
        else:
            click.echo(text, err=self.to_stderr)  # an output that is closed ends the command, as for any other line


def enable_console(level: int = logging.INFO) -> None:
    """Print the messages of retinue from `level` on, as the command line does. A second call changes the level.

    The messages then no longer reach the handlers of the root logger, which would print them a second time.

    Args:
        level: Of the module `logging`. With `logging.DEBUG` each line begins with the name of its logger.
    """
    logger = logging.getLogger("retinue")
    logger.handlers = [other for other in logger.handlers if not isinstance(other, ConsoleHandler)]
    logger.addHandler(ConsoleHandler(level))
    logger.setLevel(level)
    logger.propagate = False


@contextlib.contextmanager
def console(level: int = logging.INFO) -> Iterator[None]:
    """Print the messages of retinue within this context, and leave its logger as it was."""
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
    """Within this context retinue logs errors alone, as is right for workers other than the chief."""
    logger = logging.getLogger("retinue")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def use_stderr() -> None:
    """Print messages to the standard error from now on, where they are printed at all."""
    if handler := _attached():
        handler.to_stderr = True


def shows_progress() -> bool:
    """Whether ordinary messages are printed on the console, so that a progress bar is welcome, too."""
    handler = _attached()
    return handler is not None and handler.level <= logging.INFO


def print_lines_with(print_above: Callable[[str], None] | None) -> None:
    """Have messages printed by a progress bar's own function while it is on the screen; None when it is gone."""
    if handler := _attached():
        handler.print_above = print_above


def _attached() -> ConsoleHandler | None:
    handlers = logging.getLogger("retinue").handlers
    return next((handler for handler in handlers if isinstance(handler, ConsoleHandler)), None)
