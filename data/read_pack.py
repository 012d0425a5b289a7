"""Reading a pack, written by `retinue pack`, into the `Dataset` that was packed."""

import dataclasses

import numpy as np

from retinue.configs.errors import UsageError
from retinue.data import packed

FOLDED = ("ucf101", "hmdb51")  # formats that have several ways to be split


def read_pack(folder, task="auto", say=print, fold=1):
    """The `Dataset` of the pack at `folder`, which may be an address (`gs://...`); the arguments are those of `read`.

    Its files are names that `data.packed` opens; its content ids are those of the packing. Raises UsageError when it
    was packed for another task or fold, or holds no pack, RetinueError when its index is damaged.
    """
    pack = packed.open_pack(folder)
    dataset = pack.index.dataset
    if task not in ("auto", dataset.task):
        raise UsageError(
            f"{folder}: was packed for {dataset.task}, not for {task}; pack the data again with --task {task}"
        )
    if dataset.format in FOLDED and pack.index.fold != fold:
        raise UsageError(
            f"{folder}: was packed with data.fold={pack.index.fold}, not {fold}; pack the data again with --set "
            f"data.fold={fold}"
        )
    if packed.is_address(folder):
        kept = "kept in memory once read" if pack.keeps else "too much for memory, so read anew in every epoch"
        say(f"{folder}: {pack.bytes / 1e6:,.0f} MB of files, {kept}")
    root = str(folder).rstrip("/") + packed.MARK
    columns = dict(dataset.columns)
    if "mask" in columns:
        columns["mask"] = np.array([root + name for name in columns["mask"]], object)
    return dataclasses.replace(
        dataset, files=[root + name for name in dataset.files], columns=columns, source=str(folder)
    )
