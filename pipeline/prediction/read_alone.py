"""Reads files as `predict` does, and prints a line after each one: a process that may die (see in_flight.py)."""

import json
import sys

from retinue.configs.quiet import import_tensorflow

READS = 3  # of each file: memory that is corrupted may kill the process only when it is used again


def main() -> None:
    """Read the files that the standard input names as JSON: {"model": folder, "files": [path, ...]}."""
    request = json.load(sys.stdin)
    import_tensorflow()
    from retinue.pipeline.prediction.reader import ClipReader, Reader
    from retinue.pipeline.runs.run import open_model

    task = open_model(request["model"]).task
    read = ClipReader(task) if task.is_video else Reader(task)
    for file in request["files"]:
        for _ in range(READS):
            read(file)
        print(flush=True)


if __name__ == "__main__":
    main()
