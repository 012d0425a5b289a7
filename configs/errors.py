"""The errors that a user can cause. The command line prints them in one line and never with a traceback."""


class RetinueError(Exception):
    """The job failed for a reason the user can act on. The message names the file, the item, the cause and the cure."""

    exit_code = 1


class UsageError(RetinueError):
    """The command, an option or a configuration key is wrong; nothing was started."""

    exit_code = 2


class GoOnError(RetinueError):
    """The job ended early by no fault of the data or the user; what was saved goes on with --resume.

    The exit code is the one that Kubeflow's TFJob takes for "start it again" (its restartPolicy ExitCode).
    """

    exit_code = 138
