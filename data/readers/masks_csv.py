"""A table of images and masks: a CSV with the columns `file` and `mask`, and optionally `split` and `group`."""

import os

import numpy as np

from retinue.data.dataset import Dataset
from retinue.data.readers.mask_classes import classes_of
from retinue.data.readers.mask_folders import mask_dataset
from retinue.data.readers.table import (
    BrokenLine,
    Row,
    Table,
    read_header,
    refuse_broken_lines,
    refuse_empty_table,
    refuse_missing_files,
    resolve_path,
)


def is_masks_csv(path: str) -> bool:
    """Return whether the header of a table names `file` and `mask`."""
    header, _ = read_header(path)
    return {"file", "mask"} <= set(header)


def read_masks_csv(path: str | os.PathLike[str]) -> Dataset:
    """Read a CSV of images and masks into a `Dataset` for segmentation, in the order of its lines.

    The file with the class names (see `mask_classes.classes_of`) is looked for in the folder of the table.

    Args:
        path: The table; see `data.readers.table` for how it may be written.

    Returns:
        The dataset, with the columns `mask` and `values`.

    Raises:
        RetinueError: The table or the class names can't be understood. The message names the line.
    """
    path = os.fspath(path)
    table = Table(path, ("file", "mask"), ("split", "group"), non_empty=("file", "mask"))
    rows: dict[str, Row] = {}
    repeated: list[BrokenLine] = []
    for row in table:
        first = rows.setdefault(row["file"], row)
        if first is not row:
            reason = f"{row['file']} is already listed in line {first.line}"
            repeated.append(BrokenLine(row.line, "repeated file", reason, "remove one of the lines"))
    refuse_broken_lines(path, table.broken_lines + repeated)
    refuse_empty_table(path, rows)
    files = [resolve_path(path, row["file"]) for row in rows.values()]
    masks = [resolve_path(path, row["mask"]) for row in rows.values()]
    refuse_missing_files(path, files)
    findings = list(table.findings)
    classes, values = classes_of(path, [os.path.dirname(path) or "."], masks, findings)
    groups = [row["group"] for row in rows.values()]
    return mask_dataset(
        path,
        "masks csv",
        files,
        masks,
        [row["split"] for row in rows.values()],
        classes,
        values,
        findings,
        np.array(groups, dtype=object) if any(groups) else None,
    )
