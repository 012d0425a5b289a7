"""COCO's polygons and run lengths as masks: rasterized once, into the user's cache."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import cache_folder
from retinue.data.dataset import Dataset
from retinue.data.decoding.image_file import image_size
from retinue.data.decoding.mask_file import MAX_CLASSES, voc_palette, write_mask
from retinue.data.finding import INVALID, WARNING, Finding
from retinue.data.readers.coco import coco_files, image_location, read_coco
from retinue.data.readers.mask_folders import mask_dataset
from retinue.data.storage.atomic_files import atomic_path, atomic_write

logger = logging.getLogger(__name__)

BACKGROUND = "background"
INDEX_FILE = "masks.json"  # written last, so that a folder with it is complete


def read_coco_masks(source: str | os.PathLike[str]) -> Dataset:
    """Read a COCO file, or a folder with several, into a `Dataset` for segmentation.

    Classes are `background` and the categories. The objects of each image are painted over one another: first the
    crowds, then from the largest to the smallest. The masks are written as PNG into `~/.cache/retinue/masks`
    ($RETINUE_CACHE), once. Objects that only have a box are skipped, with a finding.

    Args:
        source: The JSON file, or a folder as `coco.coco_files` describes it.

    Returns:
        The dataset, with the columns `mask` and `values`.

    Raises:
        RetinueError: As in `read_coco`; there are too many categories, no annotation has a shape, or the cache can't be
            written.
    """
    source = os.fspath(source)
    boxes = read_coco(source)
    if len(boxes.classes) + 1 > MAX_CLASSES:
        raise RetinueError(
            f"{source}: it has {len(boxes.classes)} categories, but at most {MAX_CLASSES - 1} fit into a mask; "
            "merge or remove some"
        )
    paths = [path for path, _ in coco_files(source)] if os.path.isdir(source) else [source]
    folder = cache_folder("masks") / _content_hash(paths)
    masks = [folder / f"{row:07d}.png" for row in range(len(boxes))]
    index_path = folder / INDEX_FILE
    if not index_path.exists():
        logger.info(f"{source}: writing {len(boxes):,} masks to {folder}, once")
        try:
            num_without_shape, broken = _write_masks(boxes, paths, masks)
            index = {"source": source, "without_shape": num_without_shape, "broken": broken}
            atomic_write(index_path, json.dumps(index))
        except OSError as error:
            raise RetinueError(
                f"{folder}: this folder can't be written ({error.strerror}); free some space there"
            ) from error
    index = json.loads(index_path.read_text(encoding="utf-8"))
    findings = list(boxes.findings)
    for row, annotation, reason in index["broken"]:
        item = f"annotation {annotation}"
        action = "not in the mask; draw it again"
        findings.append(Finding(INVALID, "broken shape", boxes.files[row], item, f"{item}: {reason}", action))
    if index["without_shape"]:
        reason = f"{index['without_shape']:,} annotations have no polygon and no run lengths, only a box"
        findings.append(Finding(WARNING, "no shape", source, "", reason, "not in the masks"))
    classes = (BACKGROUND, *boxes.classes)
    return mask_dataset(source, "coco", boxes.files, masks, boxes.splits, classes, np.arange(len(classes)), findings)


def paint(
    annotations: Iterable[Mapping[str, Any]], height: int, width: int, label_of: Mapping[int, int]
) -> tuple[np.ndarray, int, list[tuple[Any, str]]]:
    """Paint the objects of an image into one mask.

    Args:
        annotations: COCO's annotations of one image.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        label_of: {category id: class id}. Objects of other categories are ignored.

    Returns:
        The mask, uint8 `[height, width]` of class ids, 0 where there is no object; the number of annotations without a
        shape; and the annotation id and the reason for each whose shape can't be understood.
    """
    mask, num_without_shape, broken, shapes = np.zeros((height, width), np.uint8), 0, [], []
    for entry in annotations:
        label = label_of.get(entry.get("category_id", None))
        if label is None:
            continue
        try:
            shape = _decode_shape(entry.get("segmentation"), height, width)
        except (ValueError, TypeError, KeyError):  # all that pycocotools raises for what is not a shape
            broken.append((entry.get("id"), "its polygon or run lengths can't be understood"))
            continue
        if shape is None:
            num_without_shape += 1
        else:
            shapes.append((not entry.get("iscrowd"), -int(shape.sum()), label, shape))
    for *_, label, shape in sorted(shapes, key=lambda entry: entry[:2]):
        mask[shape] = label
    return mask, num_without_shape, broken


def _decode_shape(segmentation: Any, height: int, width: int) -> np.ndarray | None:
    """Return the polygons or run lengths of one annotation as bool `[height, width]`, None where it has neither.

    Raises:
        ValueError, TypeError, KeyError: It is not a shape of this size.
    """
    from pycocotools import mask as coco

    if isinstance(segmentation, dict) and "counts" in segmentation:
        encoded = segmentation
        if tuple(encoded["size"]) != (height, width):
            raise ValueError("run lengths of another size")
        if isinstance(encoded["counts"], list):
            if sum(encoded["counts"]) != height * width:
                raise ValueError("run lengths that do not fill the image")
            encoded = coco.frPyObjects(encoded, height, width)
        elif not isinstance(encoded["counts"], (str, bytes)):
            raise TypeError("no run lengths")
        return coco.decode(encoded).astype(bool)
    if isinstance(segmentation, list):
        polygons = [points for points in segmentation if isinstance(points, list) and len(points) >= 6]
        if polygons:
            if not all(np.isfinite(np.array(points, np.float64)).all() and len(points) % 2 == 0 for points in polygons):
                raise ValueError("a polygon is pairs of finite numbers")
            return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)
    return None


def _write_masks(boxes: Dataset, paths: Sequence[str], masks: Sequence[Path]) -> tuple[int, list[tuple[int, Any, str]]]:
    """Write every mask.

    Args:
        boxes: The dataset for detection that was read from the same files.
        paths: The COCO files.
        masks: The path of the mask of each image of `boxes`.

    Returns:
        The number of annotations without a shape, and the row, the annotation id and the reason of each broken one.
    """
    palette, num_without_shape, broken, any_shape = voc_palette(), 0, [], False
    row_of = {location: row for row, location in enumerate(boxes.columns["location"])}
    index_of = {name: index for index, name in enumerate(boxes.classes, 1)}
    for path in paths:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
        label_of = {
            entry["id"]: index_of[entry["name"]] for entry in content["categories"] if entry["name"] in index_of
        }
        annotations_of: dict[Any, list[dict[str, Any]]] = {}
        for entry in content.get("annotations", ()):
            annotations_of.setdefault(entry.get("image_id"), []).append(entry)
        for image in content["images"]:
            row = row_of.pop(image_location(image.get("id"), path, boxes.source), None)
            if row is None:  # it was skipped, with a finding
                continue
            height, width = image.get("height"), image.get("width")
            if not height or not width:
                width, height = image_size(boxes.files[row])
            mask, missing, unclear = paint(annotations_of.get(image["id"], ()), height, width, label_of)
            num_without_shape += missing
            broken += [(row, annotation, reason) for annotation, reason in unclear]
            any_shape |= bool(mask.any())
            with atomic_path(masks[row]) as temporary:
                write_mask(temporary, mask, palette)
    if not any_shape:
        raise RetinueError(
            f"{paths[0]}: no annotation has a polygon or run lengths, so there is nothing to make masks of; "
            "use it for detection"
        )
    return num_without_shape, broken


def _content_hash(paths: Sequence[str]) -> str:
    digest = hashlib.sha256(b"2")
    for path in paths:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
