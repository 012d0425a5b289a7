"""Run a competitor in a separate process, so that none starts with what another left in memory."""

import json
import os
import subprocess
import sys

ORIGINAL_ENVIRONMENT = dict(os.environ)  # before `import retinue` changes oneDNN's defaults, which others must keep


def run_competitor(name, command, **environment):
    """Run a command and return the JSON of the last line that it prints.

    If the command fails, this process exits with its output.

    Args:
        name: Name of the competitor, for the error message.
        command: The command and its arguments.
        **environment: Further environment variables.
    """
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=ORIGINAL_ENVIRONMENT | quiet | environment)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
