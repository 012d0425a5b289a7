"""COCO's polygons and run lengths as masks: rasterised once, into the user's cache."""

import hashlib
import json
import logging
import os

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import cache_folder
from retinue.data.decoding.image_file import image_size
from retinue.data.decoding.mask_file import MOST_CLASSES, voc_palette, write_ids
from retinue.data.finding import BAD, WARNING, Finding
from retinue.data.readers.coco import coco_files, image_place, read_coco
from retinue.data.readers.mask_folders import mask_dataset
from retinue.data.storage.atomic_files import atomic_path, atomic_write

logger = logging.getLogger(__name__)

BACKGROUND = "background"
DONE = "masks.json"


def read_coco_masks(source):
    """Read a COCO file, or a folder with several, into a `Dataset` for segmentation.

    Classes are `background` and the categories. Each picture's objects are painted over one another, the smaller on
    top of the larger, crowds first of all. The masks are written as PNGs into `~/.cache/retinue/masks`
    ($RETINUE_CACHE), once. Objects that are but a box are left out, with a finding.
    Raises RetinueError as `read_coco` does, and when no annotation has a shape.
    """
    source = os.fspath(source)
    boxes = read_coco(source)
    if len(boxes.classes) + 1 > MOST_CLASSES:
        raise RetinueError(f"{source}: {len(boxes.classes)} categories, but at most {MOST_CLASSES - 1} fit into a mask")
    files = [path for path, _ in coco_files(source)] if os.path.isdir(source) else [source]
    folder = cache_folder("masks") / _digest(files)
    masks = [folder / f"{row:07d}.png" for row in range(len(boxes))]
    if not (folder / DONE).exists():
        logger.info(f"{source}: writing {len(boxes):,} masks to {folder}, once")
        try:
            without, broken = _write_all(boxes, files, masks)
            atomic_write(folder / DONE, json.dumps({"source": source, "without_shape": without, "broken": broken}))
        except OSError as error:
            raise RetinueError(f"{folder}: can't be written ({error.strerror}); make room there") from error
    done = json.loads((folder / DONE).read_text(encoding="utf-8"))
    findings, without = list(boxes.findings), done["without_shape"]
    for row, annotation, reason in done["broken"]:
        item = f"annotation {annotation}"
        findings.append(
            Finding(BAD, "broken shape", boxes.files[row], item, f"{item}: {reason}", "not in the mask; draw it again")
        )
    if without:
        reason = f"{without:,} annotations have no polygon and no run lengths, only a box"
        findings.append(Finding(WARNING, "no shape", source, "", reason, "not in the masks"))
    classes = (BACKGROUND, *boxes.classes)
    return mask_dataset(source, "coco", boxes.files, masks, boxes.splits, classes, np.arange(len(classes)), findings)


def paint(annotations, height, width, label_of):
    """Objects as one mask: uint8 `[height, width]` of class ids, 0 where nothing is; how many had no shape; and
    (annotation id, reason) of each whose shape can't be understood.

    annotations: COCO's dicts of one picture. label_of: {category_id: id}; objects of other categories are passed over.
    """
    mask, without, broken, shapes = np.zeros((height, width), np.uint8), 0, [], []
    for entry in annotations:
        label = label_of.get(entry.get("category_id"))
        if label is None:
            continue
        try:
            shape = _shape(entry.get("segmentation"), height, width)
        except (ValueError, TypeError, KeyError):  # all that pycocotools raises for what is no shape
            broken.append((entry.get("id"), "its polygon or run lengths can't be understood"))
            continue
        if shape is None:
            without += 1
        else:
            shapes.append((not entry.get("iscrowd"), -int(shape.sum()), label, shape))
    for *_, label, shape in sorted(shapes, key=lambda one: one[:2]):
        mask[shape] = label
    return mask, without, broken


def _shape(segmentation, height, width):
    """bool `[height, width]` of one annotation's polygons or run lengths, None where it has neither.

    Raises ValueError, TypeError or KeyError for what is no shape of this size.
    """
    from pycocotools import mask as coco

    if isinstance(segmentation, dict) and "counts" in segmentation:
        coded = segmentation
        if tuple(coded["size"]) != (height, width):
            raise ValueError("run lengths of another size")
        if isinstance(coded["counts"], list):
            if sum(coded["counts"]) != height * width:
                raise ValueError("run lengths that do not fill the picture")
            coded = coco.frPyObjects(coded, height, width)
        elif not isinstance(coded["counts"], (str, bytes)):
            raise TypeError("no run lengths")
        return coco.decode(coded).astype(bool)
    if isinstance(segmentation, list):
        polygons = [points for points in segmentation if isinstance(points, list) and len(points) >= 6]
        if polygons:
            if not all(np.isfinite(np.array(points, np.float64)).all() and len(points) % 2 == 0 for points in polygons):
                raise ValueError("a polygon is pairs of finite numbers")
            return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)
    return None


def _write_all(boxes, files, masks):
    """Write every mask. Returns how many annotations have no shape, and (row, annotation id, reason) of broken ones."""
    palette, without, broken, any_shape = voc_palette(), 0, [], False
    row_of = {place: row for row, place in enumerate(boxes.columns["place"])}
    place = {name: index for index, name in enumerate(boxes.classes, 1)}
    for path in files:
        with open(path, encoding="utf-8-sig") as opened:
            content = json.load(opened)
        label_of = {entry["id"]: place[entry["name"]] for entry in content["categories"] if entry["name"] in place}
        of_image = {}
        for entry in content.get("annotations", ()):
            of_image.setdefault(entry.get("image_id"), []).append(entry)
        for image in content["images"]:
            row = row_of.pop(image_place(image.get("id"), path, boxes.source), None)
            if row is None:  # it was left out, with a finding
                continue
            height, width = image.get("height"), image.get("width")
            if not height or not width:
                width, height = image_size(boxes.files[row])
            mask, missing, unclear = paint(of_image.get(image["id"], ()), height, width, label_of)
            without += missing
            broken += [(row, *told) for told in unclear]
            any_shape |= bool(mask.any())
            with atomic_path(masks[row]) as temporary:
                write_ids(temporary, mask, palette)
    if not any_shape:
        raise RetinueError(
            f"{files[0]}: no annotation has a polygon or run lengths, so there is nothing to make masks of; "
            "use it for detection"
        )
    return without, broken


def _digest(files):
    digest = hashlib.sha256(b"2")
    for path in files:
        with open(path, "rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]
