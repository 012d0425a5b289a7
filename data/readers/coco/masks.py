"""COCO's polygons and run lengths as masks: rasterized once, into the user's cache."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import cache_folder
from retinue.data.dataset import Dataset
from retinue.data.decoding.image_file import image_size
from retinue.data.decoding.mask_file import MAX_CLASSES, voc_palette, write_mask
from retinue.data.finding import INVALID, WARNING, Finding
from retinue.data.readers.coco.boxes import CocoData, CocoRows, coco_dataset, read_coco_files
from retinue.data.readers.coco.layout import CocoLayout
from retinue.data.readers.coco.shapes import decode_shape, polygon_box
from retinue.data.readers.coco.text import read_text
from retinue.data.readers.masks.folders import mask_dataset
from retinue.data.storage.atomic_files import atomic_path, atomic_write
from retinue.data.void_label import VOID

logger = logging.getLogger(__name__)

BACKGROUND = "background"
INDEX_FILE = "masks.json"  # written last, so that a folder with it is complete
VERSION = b"3"  # of the rules by which masks are drawn
MAX_PIXELS = 1 << 30  # of a mask; a larger size in the annotations is a mistake


@dataclass
class MaskReport:
    """What could not be drawn into masks.

    Attributes:
        num_shapes: The number of shapes that were drawn.
        num_without_shape: The number of annotations that have no shape.
        broken: The row, the annotation id and the reason of each annotation whose shape can't be understood.
    """

    num_shapes: int = 0
    num_without_shape: int = 0
    broken: list[tuple[int, Any, str]] = field(default_factory=list)


def read_coco_masks(layout: CocoLayout) -> Dataset:
    """Read the COCO files of a source into a `Dataset` for segmentation.

    Classes are `background` and the categories. The objects of each image are painted over one another: first the
    crowds, then from the largest to the smallest. Where an object has no shape, nobody knows which pixels are its own:
    its box is void, except where other objects are. The masks are written as PNG into `~/.cache/retinue/masks`
    ($RETINUE_CACHE), once.

    Args:
        layout: The files.

    Returns:
        The dataset, with the columns `mask` and `values`.

    Raises:
        RetinueError: As in `read_coco_files`; there are too many categories, no annotation has a shape, or the cache
            can't be written.
    """
    source, data = layout.source, read_coco_files(layout)
    boxes = coco_dataset(data, _no_objects())
    if len(boxes.classes) + 1 > MAX_CLASSES:
        raise RetinueError(
            f"{source}: it has {len(boxes.classes)} categories, but at most {MAX_CLASSES - 1} fit into a mask; "
            "merge or remove some"
        )
    folder = cache_folder("masks") / _content_hash([entry.file.path for entry in data.files])
    masks = [folder / f"{row:07d}.png" for row in range(len(boxes))]
    index_path = folder / INDEX_FILE
    if not index_path.exists():
        logger.info(f"{source}: writing {len(boxes):,} masks to {folder}, once")
        try:
            report = _write_masks(data, boxes, masks)
            index = {"source": source, "without_shape": report.num_without_shape, "broken": report.broken}
            atomic_write(index_path, json.dumps(index))
        except OSError as error:
            raise RetinueError(
                f"{folder}: this folder can't be written ({error.strerror}); free some space there"
            ) from error
    index = json.loads(index_path.read_text(encoding="utf-8"))
    findings = list(boxes.findings)
    for row, annotation, reason in index["broken"]:
        item = f"annotation {annotation}"
        action = "its box is void in the mask; draw it again"
        findings.append(Finding(INVALID, "broken shape", boxes.files[row], item, f"{item}: {reason}", action))
    if index["without_shape"]:
        reason = f"{index['without_shape']:,} annotations have no polygon and no run lengths, only a box"
        findings.append(Finding(WARNING, "no shape", source, "", reason, "their boxes are void in the masks"))
    classes = (BACKGROUND, *boxes.classes)
    return mask_dataset(source, "coco", boxes.files, masks, boxes.splits, classes, np.arange(len(classes)), findings)


def paint(
    annotations: Iterable[tuple[int, Mapping[str, Any]]], height: int, width: int
) -> tuple[np.ndarray, MaskReport]:
    """Paint the objects of an image into one mask.

    Args:
        annotations: The class id and COCO's annotation of each object of one image.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        The mask, uint8 `[height, width]` of class ids, 0 where there is no object and `VOID` where there is one without
        a shape; and what could not be drawn, all of row 0.
    """
    mask, report, shapes = np.zeros((height, width), np.uint8), MaskReport(), []
    for label, entry in annotations:
        try:
            shape = decode_shape(entry.get("segmentation"), height, width)
        except ValueError as error:
            report.broken.append((0, entry.get("id"), str(error)))
            shape = None
        else:
            report.num_without_shape += shape is None
        if shape is None:
            mask[_box_slices(entry)] = VOID
        else:
            shapes.append((not entry.get("iscrowd"), -int(shape.sum()), label, shape))
    for *_, label, shape in sorted(shapes, key=lambda entry: entry[:2]):
        mask[shape] = label
    report.num_shapes = len(shapes)
    return mask, report


def _box_slices(entry: Mapping[str, Any]) -> tuple[slice, slice]:
    """Return the pixels of the box of an annotation, which are none if it has no box that can be understood."""
    try:
        x, y, width, height = map(float, entry.get("bbox") or polygon_box(entry.get("segmentation")))
        x1, y1, x2, y2 = (max(round(side), 0) for side in (x, y, x + width, y + height))
    except (TypeError, ValueError, OverflowError):
        return slice(0), slice(0)
    return slice(y1, y2), slice(x1, x2)


def _write_masks(data: CocoData, boxes: Dataset, masks: Sequence[Path]) -> MaskReport:
    """Write every mask.

    Args:
        data: The parsed files.
        boxes: The dataset of their images.
        masks: The path of the mask of each image of `boxes`.
    """
    palette, total = voc_palette(), MaskReport()
    for entry in data.files:
        text, decode = read_text(entry.file.path), json.JSONDecoder().raw_decode
        for image, annotations in enumerate(_annotations_by_image(entry)):
            row = int(entry.rows[image])
            if row < 0:
                continue
            height, width = entry.file.sizes[image].tolist()
            if not 0 < height * width <= MAX_PIXELS:
                try:
                    width, height = image_size(boxes.files[row])
                except (OSError, ValueError):  # the check reports that the image can't be read
                    continue
            objects = (
                (int(entry.labels[index]) + 1, decode(text, entry.file.positions[index])[0]) for index in annotations
            )
            mask, report = paint(objects, height, width)
            total.num_shapes += report.num_shapes
            total.num_without_shape += report.num_without_shape
            total.broken += [(row, annotation, reason) for _, annotation, reason in report.broken]
            with atomic_path(masks[row]) as temporary:
                write_mask(temporary, mask, palette)
    if not total.num_shapes:
        first = f"; annotation {total.broken[0][1]}: {total.broken[0][2]}" if total.broken else ""
        raise RetinueError(
            f"{data.files[0].file.path}: no annotation has a polygon or run lengths that can be used, so there is "
            f"nothing to make masks of{first}; use it for detection"
        )
    return total


def _annotations_by_image(entry: CocoRows) -> list[np.ndarray]:
    """Return the indices of the annotations of each image that have a known class, in the order of the file."""
    known = np.flatnonzero((entry.image_of >= 0) & (entry.labels >= 0))
    order = known[np.argsort(entry.image_of[known], kind="stable")]
    counts = np.bincount(entry.image_of[known], minlength=len(entry.paths))
    return np.split(order, np.cumsum(counts)[:-1])


def _no_objects() -> dict[str, np.ndarray]:
    """Return the arrays of no objects, since masks are drawn from the files."""
    return {name: np.zeros(0) for name in ("rows", "labels", "object_id")} | {"boxes": np.zeros((0, 4))}


def _content_hash(paths: Sequence[str]) -> str:
    digest = hashlib.sha256(VERSION)
    for path in paths:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
