"""A table of images and masks, and optionally their splits and groups."""

import os

import numpy as np

from retinue.data.dataset import Dataset
from retinue.data.readers.masks.classes import classes_of
from retinue.data.readers.masks.folders import mask_dataset
from retinue.data.readers.tables.table import BrokenLine, Row, TableGroup, refuse_broken_lines

FORMAT = "masks csv"


def read_masks_csv(group: TableGroup) -> Dataset:
    """Read tables of images and masks into a `Dataset` for segmentation, in the order of their lines.

    The file with the class names (see `masks.classes.classes_of`) is looked for in the folders of the tables.

    Args:
        group: The tables; see `data.readers.tables.table` for how they may be written.

    Returns:
        The dataset, with the columns `mask` and `values`.

    Raises:
        RetinueError: The tables or the class names can't be understood. The message names the line.
    """
    rows: dict[str, Row] = {}
    masks: list[str] = []
    repeated: list[BrokenLine] = []
    unlabeled: list[Row] = []
    for table in group.tables:
        for row in table:
            if not row["mask"]:
                unlabeled.append(row)
                continue
            first = rows.setdefault(row.file, row)
            if first is row:
                masks.append(table.mask_paths[row["mask"]])
                continue
            reason = f"{row['file']} is already listed in {group.location(first)}"
            repeated.append(BrokenLine(row.table, row.line, "repeated file", reason, "remove one of the lines"))
    refuse_broken_lines(group.broken_lines + repeated)
    if unlabeled and not rows:
        cure = "write the path"
        refuse_broken_lines(
            [BrokenLine(row.table, row.line, "no mask", "the mask is empty", cure) for row in unlabeled]
        )
    group.refuse_empty(rows)
    findings = [*group.all_findings(), *group.without_annotation(unlabeled, "mask")]
    folders = list(dict.fromkeys(os.path.dirname(table.path) or "." for table in group.tables))
    classes, values = classes_of(group.source, folders, masks, findings)
    groups = [row["group"] for row in rows.values()]
    return mask_dataset(
        group.source,
        FORMAT,
        list(rows),
        masks,
        [row["split"] for row in rows.values()],
        classes,
        values,
        findings,
        np.array(groups, dtype=object) if any(groups) else None,
    )
