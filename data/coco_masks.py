"""COCO's polygons and run lengths as masks: rasterised once, into the user's cache."""

import hashlib
import json
import os

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import cache_folder
from retinue.data.coco import coco_files, image_place, read_coco
from retinue.data.files import atomic_path, atomic_write
from retinue.data.finding import WARNING, Finding
from retinue.data.image_file import image_size
from retinue.data.mask_file import MOST_CLASSES, voc_palette, write_ids
from retinue.data.mask_folders import mask_dataset

BACKGROUND = "background"
DONE = "masks.json"


def read_coco_masks(source, say=print):
    """Read a COCO file, or a folder with several, into a `Dataset` for segmentation.

    Classes are `background` and the categories. Each picture's objects are painted over one another, the smaller on
    top of the larger, crowds first of all. The masks are written as PNGs into `~/.cache/retinue/masks`
    ($RETINUE_CACHE), once; `say` is told. Objects that are but a box are left out, with a finding.
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
        say(f"{source}: writing {len(boxes):,} masks to {folder}, once")
        try:
            without = _write_all(boxes, files, masks)
            atomic_write(folder / DONE, json.dumps({"source": source, "without_shape": without}))
        except OSError as error:
            raise RetinueError(f"{folder}: can't be written ({error.strerror}); make room there") from error
    without = json.loads((folder / DONE).read_text(encoding="utf-8"))["without_shape"]
    findings = list(boxes.findings)
    if without:
        reason = f"{without:,} annotations have no polygon and no run lengths, only a box"
        findings.append(Finding(WARNING, "no shape", source, "", reason, "not in the masks"))
    classes = (BACKGROUND, *boxes.classes)
    return mask_dataset(source, "coco", boxes.files, masks, boxes.splits, classes, np.arange(len(classes)), findings)


def paint(annotations, height, width, label_of):
    """Objects as one mask: uint8 `[height, width]` of class ids, 0 where nothing is, and how many had no shape.

    annotations: COCO's dicts of one picture. label_of: {category_id: id}; objects of other categories are passed over.
    """
    mask, without, shapes = np.zeros((height, width), np.uint8), 0, []
    for entry in annotations:
        label = label_of.get(entry.get("category_id"))
        if label is None:
            continue
        shape = _shape(entry.get("segmentation"), height, width)
        if shape is None:
            without += 1
        else:
            shapes.append((not entry.get("iscrowd"), -int(shape.sum()), label, shape))
    for *_, label, shape in sorted(shapes, key=lambda one: one[:2]):
        mask[shape] = label
    return mask, without


def _shape(segmentation, height, width):
    """bool `[height, width]` of one annotation's polygons or run lengths, None where it has neither."""
    from pycocotools import mask as coco

    if isinstance(segmentation, dict) and "counts" in segmentation:
        coded = segmentation
        if isinstance(coded["counts"], list):
            coded = coco.frPyObjects(coded, *coded["size"])
        shape = coco.decode(coded).astype(bool)
        return shape if shape.shape == (height, width) else None
    if isinstance(segmentation, list):
        polygons = [points for points in segmentation if isinstance(points, list) and len(points) >= 6]
        if polygons:
            return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)
    return None


def _write_all(boxes, files, masks):
    """Write every mask. Returns how many annotations have no shape."""
    palette, without, any_shape = voc_palette(), 0, False
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
            mask, missing = paint(of_image.get(image["id"], ()), height, width, label_of)
            without += missing
            any_shape |= bool(mask.any())
            with atomic_path(masks[row]) as temporary:
                write_ids(temporary, mask, palette)
    if not any_shape:
        raise RetinueError(
            f"{files[0]}: no annotation has a polygon or run lengths, so there is nothing to make masks of; "
            "use it for detection"
        )
    return without


def _digest(files):
    digest = hashlib.sha256(b"1")
    for path in files:
        with open(path, "rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]
