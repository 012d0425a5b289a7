"""Pairs of an image folder and a mask folder, also in train, val and test, and Pascal VOC's SegmentationClass."""

import os

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import BAD, WARNING, Finding
from retinue.data.readers.mask_classes import classes_of
from retinue.data.storage.file_names import IMAGE_SUFFIXES, SPLIT_NAMES, looks_like_image

IMAGES = ("images", "image", "imgs", "img", "photos", "JPEGImages")
MASKS = ("masks", "mask", "SegmentationClass", "SegmentationClassPNG", "annotations", "labels", "segmentation", "gt")
ENDINGS = ("_mask", "_masks", "_gt", "_label", "_labels", "_seg", "_L", "-mask")
LISTS = ("train", "val", "test", "trainval")  # trainval last: it only adds what is in none of the others


def mask_folders(folder):
    """[(images' folder, masks' folder, split)] in `folder`; empty when it holds no such pair.

    Looked for: images/ and masks/ (or the usual other names) in it, in its split folders (train/images), or with the
    split folders in them (images/train). VOCdevkit's years are each a pair.
    """
    pair = _pair(folder)
    if pair:
        inner = [
            (os.path.join(pair[0], name), os.path.join(pair[1], name), split)
            for name, split in _split_folders(pair[0])
            if os.path.isdir(os.path.join(pair[1], name))
        ]
        return _with_images(inner) or _with_images([(*pair, "")])
    found = []
    for name, split in _split_folders(folder):
        pair = _pair(os.path.join(folder, name))
        found += [(*pair, split)] if pair else []
    if found:
        return _with_images(found)
    for name in sorted(os.listdir(folder)):
        inner = os.path.join(folder, name)
        if name == "VOCdevkit" and os.path.isdir(inner):
            return mask_folders(inner)
        if os.path.isdir(os.path.join(inner, "SegmentationClass")) and _pair(inner):
            found.append((*_pair(inner), ""))
    return _with_images(found)


def read_mask_folders(source):
    """Read pairs of folders into a `Dataset` for segmentation.

    A mask has the name of its photo, another ending, and perhaps `_mask` or the like. The lists of
    `ImageSets/Segmentation` (train, val, test, trainval) give the splits where they are there. For the classes see
    `mask_classes.classes_of`. Photos without a mask are findings; so are masks without a photo.
    Raises RetinueError when no photo has a mask.
    """
    source = os.fspath(source)
    findings, files, masks, splits = [], [], [], []
    pairs = mask_folders(source)
    for images, folder, split in pairs:
        listed = _lists(images)
        mask_of = {}
        for name in sorted(os.listdir(folder)):
            if name.lower().endswith(IMAGE_SUFFIXES):
                mask_of.setdefault(os.path.splitext(name)[0], os.path.join(folder, name))
        used = set()
        for name in sorted(os.listdir(images)):
            stem = os.path.splitext(name)[0]
            if not looks_like_image(name) or (listed and stem not in listed):
                continue
            file = os.path.join(images, name)
            found = next((stem + ending for ending in ("", *ENDINGS) if stem + ending in mask_of), None)
            if found is None:
                reason = f"there is no mask {stem}.png in {folder}"
                findings.append(Finding(BAD, "no mask", file, "", reason, "left out; add it, or take the photo out"))
                continue
            if found in used:
                reason = f"the mask {mask_of[found]} belongs to another photo of the same name, too"
                findings.append(Finding(WARNING, "two photos, one mask", file, "", reason, "left out; rename one"))
                continue
            used.add(found)
            files.append(file)
            masks.append(mask_of[found])
            splits.append(split or (listed or {}).get(stem, ""))
        alone = sorted(set(mask_of) - used) if listed is None else []
        for stem in alone:
            findings.append(Finding(WARNING, "no photo", mask_of[stem], "", f"no photo in {images}", "passed over"))
        missing = sorted(set(listed or ()) - {os.path.splitext(name)[0] for name in os.listdir(images)})
        if missing:
            reason = f"{len(missing):,} listed photos are not there, the first is {missing[0]}"
            findings.append(Finding(WARNING, "listed, not there", images, "", reason, "passed over"))
    if not files:
        looked = f"{pairs[0][0]} and {pairs[0][1]}" if pairs else f"{IMAGES[0]}/ and {MASKS[0]}/"
        raise RetinueError(f"{source}: no photo has a mask of its name; looked in {looked}")
    is_voc = all(os.path.basename(folder).startswith("SegmentationClass") for _, folder, _ in pairs)
    places = [source, *dict.fromkeys(os.path.dirname(path) for pair in pairs for path in pair[:2])]
    places += [folder for _, folder, _ in pairs]
    classes, values = classes_of(source, places, masks, findings, is_voc)
    return mask_dataset(source, "voc" if is_voc else "mask folders", files, masks, splits, classes, values, findings)


def mask_dataset(source, form, files, masks, splits, classes, values, findings, groups=None):
    """A `Dataset` for segmentation. masks: a path a file; values: int `[k]`, what the pixels of all masks mean."""
    return Dataset(
        task="segmentation",
        files=files,
        classes=classes,
        class_ids=[int(value) for value in values[: len(classes)]],
        columns={
            "mask": np.array([str(mask) for mask in masks], dtype=object),
            "values": np.tile(np.asarray(values, np.int64), (len(files), 1)),
        },
        splits=np.array(splits, dtype=object),
        groups=groups,
        source=source,
        format=form,
        findings=tuple(findings),
    )


def _pair(folder):
    """(images' folder, masks' folder) in `folder`, or None."""
    have = {name.lower(): os.path.join(folder, name) for name in sorted(os.listdir(folder), reverse=True)}
    have = {name: path for name, path in have.items() if os.path.isdir(path)}
    images = [have[name.lower()] for name in IMAGES if name.lower() in have]
    masks = [have[name.lower()] for name in MASKS if name.lower() in have]
    return (images[0], masks[0]) if images and masks else None


def _with_images(pairs):
    """Those pairs whose mask folder holds pictures: YOLO's folder labels, for one, holds texts."""
    return [pair for pair in pairs if any(name.lower().endswith(IMAGE_SUFFIXES) for name in os.listdir(pair[1]))]


def _split_folders(folder):
    return [
        (name, SPLIT_NAMES[name.lower()])
        for name in sorted(os.listdir(folder))
        if name.lower() in SPLIT_NAMES and os.path.isdir(os.path.join(folder, name))
    ]


def _lists(images):
    """{name without ending: split} of the lists beside a folder of images, or None without such lists."""
    split_of = {}
    for name in LISTS:
        path = os.path.join(os.path.dirname(images), "ImageSets", "Segmentation", f"{name}.txt")
        if os.path.isfile(path):
            with open(path, encoding="utf-8-sig") as lines:
                for stem in (line.split()[0] for line in lines if line.strip()):
                    split_of.setdefault(stem, "" if name == "trainval" else name)
    return split_of or None
