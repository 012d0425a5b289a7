"""Errors that a user can cause or fix. The command line prints them in one line and never with a traceback."""


class RetinueError(Exception):
    """The job failed for a reason that the user can act on.

    The message names the file, the item, the cause and the cure.

    Attributes:
        exit_code: Exit code of the command that ends with this error.
    """

    exit_code = 1


class UsageError(RetinueError):
    """A command, an option or a configuration key is wrong. The job was not started."""

    exit_code = 2


class PreemptedError(RetinueError):
    """The job ended early, and neither the data nor the user is the cause. It continues with `--resume`.

    The exit code is the one that Kubeflow's TFJob (its restartPolicy ExitCode) interprets as "restart the job".
    """

    exit_code = 138


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that names the cause.

    Lines in which OpenVINO only names a position in its source files are skipped.

    Args:
        error: Any exception, for example one of TensorFlow or OpenVINO with a text of many lines.

    Returns:
        The line without surrounding whitespace, or the name of the error's class if it has no text.
    """
    lines = (line for line in _lines(str(error)) if not line.startswith(("Exception from", "Check '")))
    return next(lines, type(error).__name__)


def last_line(error: BaseException | str) -> str:
    """Return the last line of an error's text or of a process's output, where a traceback names the cause.

    Args:
        error: An exception, for example one of Ray, or the standard error of a process.

    Returns:
        The line without surrounding whitespace. If there is none, the name of the error's class, or "no message".
    """
    lines = _lines(str(error))
    if lines:
        return lines[-1]
    return "no message" if isinstance(error, str) else type(error).__name__


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
