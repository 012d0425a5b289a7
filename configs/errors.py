"""The errors that a user can cause. The command line prints them in one line and never with a traceback."""


class RetinueError(Exception):
    """The job failed for a reason the user can act on. The message names the file, the item, the cause and the cure."""

    exit_code = 1


class UsageError(RetinueError):
    """The command, an option or a configuration key is wrong; nothing was started."""

    exit_code = 2


class PreemptedError(RetinueError):
    """The job ended early by no fault of the data or the user; what was saved goes on with --resume.

    The exit code is the one that Kubeflow's TFJob takes for "start it again" (its restartPolicy ExitCode).
    """

    exit_code = 138


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that tells the cause, or the name of its class if it has no text.

    Lines that only name a place in the sources of OpenVINO are passed over.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("Exception from", "Check '"))), type(error).__name__)
