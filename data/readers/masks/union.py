"""Several masks of one image as one: they are drawn into a single file once, in the user's cache."""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import cache_folder, usable_cores
from retinue.data.decoding.mask_file import read_mask_values, voc_palette, write_mask
from retinue.data.storage.atomic_files import atomic_path, atomic_write

logger = logging.getLogger(__name__)

INDEX_FILE = "masks.json"  # written last, so that a folder with it is complete


def unite_masks(
    source: str, masks: Sequence[Sequence[str]], labels: Sequence[Sequence[int]]
) -> tuple[list[str], dict[int, str]]:
    """Draw the masks of each image into one file, which has the label of a mask where that is not 0.

    The files are kept in `~/.cache/retinue/masks` ($RETINUE_CACHE) until one of the masks changes.

    Args:
        source: Where the masks were found, for messages.
        masks: The paths of the masks of each image, `[n]` lists.
        labels: The class of each of them, from 1 on. Masks of different classes must not have common pixels.

    Returns:
        The path of the united mask of each image, and for the images whose masks can't be united the reason, by index.

    Raises:
        RetinueError: The cache can't be written.
    """
    folder = cache_folder("masks") / _fingerprint(masks, labels)
    paths = [str(folder / f"{row:07d}.png") for row in range(len(masks))]
    index_path = folder / INDEX_FILE
    if not index_path.exists():
        logger.info(f"{source}: writing {len(masks):,} masks of all objects to {folder}, once")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor(usable_cores()) as pool:
                problems = list(pool.map(_unite, masks, labels, paths))
            broken = {row: problem for row, problem in enumerate(problems) if problem}
            atomic_write(index_path, json.dumps({"source": source, "broken": broken}))
        except OSError as error:
            raise RetinueError(
                f"{folder}: this folder can't be written ({error.strerror}); free some space there"
            ) from error
    broken = json.loads(index_path.read_text(encoding="utf-8"))["broken"]
    return paths, {int(row): problem for row, problem in broken.items()}


def _unite(masks: Sequence[str], labels: Sequence[int], path: str) -> str:
    """Write the united mask of one image; return the problem if that is not possible."""
    united: np.ndarray | None = None
    for mask, label in zip(masks, labels, strict=True):
        try:
            inside = read_mask_values(mask) != 0
        except RetinueError as error:
            return str(error)
        if united is not None and united.shape != inside.shape:
            height, width = inside.shape
            return f"{mask}: the mask has {width} x {height} pixels, but others of this image have another size"
        united = np.zeros(inside.shape, np.uint8) if united is None else united
        common = int((inside & (united != 0) & (united != label)).sum())
        if common:
            return f"{mask}: {common:,} of its pixels also belong to the mask of another class of this image"
        united[inside] = label
    if united is not None:
        with atomic_path(path) as temporary:
            write_mask(temporary, united, voc_palette())
    return ""


def _fingerprint(masks: Sequence[Sequence[str]], labels: Sequence[Sequence[int]]) -> str:
    digest = hashlib.sha256(b"2")
    for paths, classes in zip(masks, labels, strict=True):
        digest.update(repr(list(classes)).encode())
        for path in paths:
            try:
                status = os.stat(path)
            except OSError:
                continue
            digest.update(f"{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="replace"))
        digest.update(b"\0")
    return digest.hexdigest()[:16]
