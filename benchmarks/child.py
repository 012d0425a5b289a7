"""A competitor in a process of its own, so that none has what another left in memory."""

import json
import os
import subprocess
import sys

AT_THE_START = dict(os.environ)  # before retinue chooses oneDNN's layers: a peer has its own defaults


def answer(name, command, **environment):
    """What a command prints as JSON in its last line. Where it fails, this process ends with what it said.

    name: of the competitor; environment: more variables for it.
    """
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=AT_THE_START | quiet | environment)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
