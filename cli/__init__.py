"""The command line: parse a command, call one function of the pipeline, print its result.

Only commands that need TensorFlow import it, and only when they run.
"""

from retinue.cli.main import commands, main

__all__ = ["commands", "main"]
