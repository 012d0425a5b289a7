"""A table of pairs: a CSV with the columns `file,mask`, and, if wanted, `split` and `group`."""

import os

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.readers.labels_csv import and_more, file_path, records
from retinue.data.readers.mask_classes import classes_of
from retinue.data.readers.mask_folders import mask_dataset
from retinue.data.storage.file_names import SPLIT_NAMES

COLUMNS = ("file", "mask", "split", "group")


def is_masks_csv(path):
    """Whether the header of a table names `file` and `mask`."""
    _, header = next(records(path), (1, []))
    return {"file", "mask"} <= {name.strip().lower() for name in header}


def read_masks_csv(path):
    """Read a CSV of pairs into a `Dataset` for segmentation, in the order of its lines.

    Paths are relative to the CSV's folder, where also the file with the class names is looked for (see
    `mask_classes.classes_of`). Raises RetinueError with the line for what can't be understood.
    """
    path = os.fspath(path)
    lines = records(path)
    _, header = next(lines, (1, []))
    lower = [name.strip().lower() for name in header]
    place = {name: lower.index(name) for name in COLUMNS if name in lower}
    folder, rows, wrong = os.path.dirname(path), {}, []
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        value = {name: cells[index].strip() if index < len(cells) else "" for name, index in place.items()}
        split = value.get("split", "").lower()
        reason = None
        if len(cells) != len(header):
            reason = f"{len(cells)} values, but the header names {len(header)} columns"
        elif not value["file"] or not value["mask"]:
            reason = f"the {'mask' if value['file'] else 'file'} is empty"
        elif split and split not in SPLIT_NAMES:
            reason = f"unknown split {value['split']!r}, not train, val or test"
        elif value["file"] in rows:
            reason = f"{value['file']} is there twice"
        if reason:
            wrong.append((line, reason))
        else:
            rows[value["file"]] = value | {"split": SPLIT_NAMES.get(split, "")}
    if wrong:
        line, reason = wrong[0]
        raise RetinueError(f"{path} line {line}: {reason}{and_more(wrong)}; correct it")
    if not rows:
        raise RetinueError(f"{path}: no lines below the header")
    files = [file_path(folder, value["file"]) for value in rows.values()]
    masks = [file_path(folder, value["mask"]) for value in rows.values()]
    if not any(os.path.exists(file) for file in files):
        raise RetinueError(
            f"{path}: none of its {len(files):,} files exists, the first would be {files[0]}; "
            "paths are relative to the folder of the CSV"
        )
    findings = []
    classes, values = classes_of(path, [folder or "."], masks, findings)
    groups = [value.get("group", "") for value in rows.values()]
    groups = np.array(groups, dtype=object) if any(groups) else None
    splits = [value["split"] for value in rows.values()]
    return mask_dataset(path, "mask csv", files, masks, splits, classes, values, findings, groups)
