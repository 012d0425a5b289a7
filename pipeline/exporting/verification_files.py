"""The files that an export is verified with."""

import itertools
import os
from collections.abc import Sequence
from typing import Any

from retinue.configs.errors import UsageError
from retinue.pipeline.runs import run_records
from retinue.pipeline.runs.run import Model
from retinue.pipeline.runs.split_file import split_path

NUM_FILES = 8
SPLITS = ("val", "test", "train")  # where they come from; the later ones fill up


def verification_records(model: Model, files: Sequence[str | os.PathLike[str]] | None) -> list[dict[str, Any]]:
    """Choose the records that an export is verified with.

    Args:
        model: the run.
        files: paths of images or clips; None for at most 8 files that the run was made with.

    Returns:
        A dict for each record, with `file`, and for clips `start` and `end` in seconds.

    Raises:
        UsageError: a given file can't be read, or none of the run's files exists any more.
    """
    noun = model.task.record_noun
    if files is not None:
        records = [run_records.whole_file(file) for file in files]
        for record in records:
            if problem := run_records.find_problem(model, record):
                raise UsageError(
                    f"--verify-images {record['file']}: can't be used to verify the export: {problem[1]}; {problem[2]}"
                )
    else:
        listed = (record for split in SPLITS for record in run_records.listed_records(model, split))
        usable = (record for record in listed if not run_records.find_problem(model, record))
        records = list(itertools.islice(usable, NUM_FILES))
        path = split_path(model.folder)
        if not records and path.is_file():
            raise UsageError(
                f"{path}: none of its {noun}s exists any more to verify the export with; give some with --verify-images"
            )
    if not records:
        raise UsageError(
            f"{model.folder}: there is no {noun} to verify the export with; give some with --verify-images"
        )
    return records
