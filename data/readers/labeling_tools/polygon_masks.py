"""Polygons and bitmaps of labeling tools as masks: drawn once, into the user's cache."""

import hashlib
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import cache_folder, usable_cores
from retinue.data.dataset import Dataset
from retinue.data.decoding.image_file import image_size
from retinue.data.decoding.mask_file import MAX_CLASSES, voc_palette, write_mask
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.coco.shapes import DISTANT, draw_polygons, is_distant
from retinue.data.readers.labeling_tools.annotated_images import (
    BACKGROUND_NAME,
    VOID_NAME,
    AnnotatedImage,
    AnnotatedObject,
)
from retinue.data.readers.masks.folders import mask_dataset
from retinue.data.storage.atomic_files import atomic_path, atomic_write
from retinue.data.void_label import VOID

logger = logging.getLogger(__name__)

BACKGROUND = "background"
INDEX_FILE = "masks.json"  # written last, so that a folder with it is complete


def read_polygon_masks(
    source: str,
    source_format: str,
    images: Sequence[AnnotatedImage],
    names: Sequence[str],
    splits: Sequence[str],
    findings: list[Finding],
) -> Dataset:
    """Build a `Dataset` for segmentation, with masks drawn from the objects of images.

    Objects are drawn in their order, later ones over earlier ones. Classes are `background` and the names; shapes named
    `__ignore__` are void. The masks are written as PNG into `~/.cache/retinue/masks` ($RETINUE_CACHE), once.

    Args:
        source: Where the images were read from.
        source_format: The name of the format.
        images: The images, whose files have been found.
        names: The class names of the objects.
        splits: The split of each image.
        findings: What was noticed so far; receives what is noticed here.

    Raises:
        RetinueError: There are too many classes, no object has an outline, or the cache can't be written.
    """
    classes = [BACKGROUND, *(name for name in names if not _is_background(name) and name != VOID_NAME)]
    if len(classes) > MAX_CLASSES:
        raise RetinueError(
            f"{source}: it has {len(classes) - 1} classes, but at most {MAX_CLASSES - 1} fit into a mask; merge or "
            "remove some"
        )
    label_of = {name: index for index, name in enumerate(classes)}
    label_of |= {name: 0 for name in names if _is_background(name)} | {VOID_NAME: VOID}
    without_outline = sum(not (entry.polygons or entry.bitmaps) for image in images for entry in image.objects)
    if without_outline:
        reason = f"{without_outline:,} shapes are open lines"
        findings.append(Finding(WARNING, "no outline", source, "", reason, "not in the masks; draw them as polygons"))
    num_void = sum(entry.name == VOID_NAME for image in images for entry in image.objects)
    if num_void:
        reason = f"{num_void:,} shapes are named {VOID_NAME}"
        findings.append(Finding(NOTE, "void", source, VOID_NAME, reason, "void: neither trained on nor scored"))
    with ThreadPoolExecutor(usable_cores()) as pool:
        sizes = list(pool.map(_mask_size, images))
    images = [_without_distant_objects(image, size, findings) for image, size in zip(images, sizes, strict=True)]
    folder = cache_folder("masks") / _content_hash(images, sizes, label_of)
    masks = [folder / f"{row:07d}.png" for row in range(len(images))]
    if not (folder / INDEX_FILE).exists():
        logger.info(f"{source}: writing {len(images):,} masks to {folder}, once")
        try:
            _write_masks(images, sizes, label_of, masks)
            atomic_write(folder / INDEX_FILE, json.dumps({"source": source}))
        except OSError as error:
            raise RetinueError(
                f"{folder}: this folder can't be written ({error.strerror}); free some space there"
            ) from error
    files = [image.file for image in images]
    return mask_dataset(source, source_format, files, masks, splits, classes, np.arange(len(classes)), findings)


def draw_mask(objects: Sequence[AnnotatedObject], height: int, width: int, label_of: dict[str, int]) -> np.ndarray:
    """Draw the objects of an image into one mask, later ones over earlier ones.

    Args:
        objects: The objects.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        label_of: {class name: class id}.

    Returns:
        uint8 `[height, width]`, 0 where there is no object.
    """
    mask = np.zeros((height, width), np.uint8)
    for entry in objects:
        label = label_of[entry.name]
        polygons = [polygon.ravel().tolist() for polygon in entry.polygons if len(polygon) >= 3]
        if polygons:
            mask[draw_polygons(polygons, height, width)] = label
        for bitmap in entry.bitmaps:
            rows, columns = bitmap.pixels.nonzero()
            rows, columns = rows + bitmap.y, columns + bitmap.x
            inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            mask[rows[inside], columns[inside]] = label
    return mask


def _write_masks(
    images: Sequence[AnnotatedImage], sizes: Sequence[tuple[int, int]], label_of: dict[str, int], masks: Sequence[Path]
) -> None:
    palette = voc_palette()
    for image, (height, width), path in zip(images, sizes, masks, strict=True):
        with atomic_path(path) as temporary:
            write_mask(temporary, draw_mask(image.objects, height, width, label_of), palette)


def _without_distant_objects(image: AnnotatedImage, size: tuple[int, int], findings: list[Finding]) -> AnnotatedImage:
    """Return an image without the objects that lie too far outside of it to be drawn. Each becomes a finding."""
    drawn = []
    for entry in image.objects:
        if any(is_distant(polygon, *size) for polygon in entry.polygons):
            item = f"object {entry.number} of {image.location}"
            action = "left out of the mask; draw it again"
            findings.append(Finding(INVALID, "broken shape", image.file, item, f"{item}: {DISTANT}", action))
        else:
            drawn.append(entry)
    return replace(image, objects=tuple(drawn))


def _mask_size(image: AnnotatedImage) -> tuple[int, int]:
    """Return height and width of an image's mask; 1, 1 where nothing tells, since the check skips the image anyway."""
    if 0 not in image.size:
        return image.size
    try:
        width, height = image_size(image.file)
    except (OSError, ValueError):
        return 1, 1
    return height, width


def _content_hash(images: Sequence[AnnotatedImage], sizes: Sequence[tuple[int, int]], label_of: dict[str, int]) -> str:
    digest = hashlib.sha256(b"1")
    for image, size in zip(images, sizes, strict=True):
        digest.update(repr(size).encode())
        for entry in image.objects:
            digest.update(repr((label_of[entry.name], [len(polygon) for polygon in entry.polygons])).encode())
            for polygon in entry.polygons:
                digest.update(polygon.tobytes())
            for bitmap in entry.bitmaps:
                digest.update(repr((bitmap.x, bitmap.y, bitmap.pixels.shape)).encode())
                digest.update(bitmap.pixels.tobytes())
    return digest.hexdigest()[:16]


def _is_background(name: str) -> bool:
    return name in (BACKGROUND, BACKGROUND_NAME)
