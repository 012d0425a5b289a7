"""Pairs of an image folder and a mask folder, also in train, val and test, and Pascal VOC's SegmentationClass."""

import os
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import INVALID, WARNING, Finding
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.mask_classes import classes_of
from retinue.data.readers.split_lists import read_split_lists
from retinue.data.storage.file_names import IMAGE_SUFFIXES, SPLIT_NAMES, looks_like_image

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "photos", "JPEGImages")
MASK_FOLDERS = (
    *("masks", "mask", "SegmentationClass", "SegmentationClassPNG"),
    *("annotations", "labels", "segmentation", "gt"),
)
MASK_ENDINGS = ("_mask", "_masks", "_gt", "_label", "_labels", "_seg", "_L", "-mask")

FolderPair = tuple[str, str, str]  # image folder, mask folder, split


def explain(tree: FileTree) -> list[Explanation]:
    """Return what pairs of images and masks explain of a source."""
    pairs = mask_folders(tree.root)
    if not pairs:
        return []
    labels = ", ".join(pair[1] for pair in pairs)

    def read(options: ReadOptions) -> Dataset:
        return read_mask_folders(tree.root)

    return [Explanation("mask folders", ("segmentation",), tree.root, tree.image_paths, labels, read, repeats=("voc",))]


def mask_folders(folder: str) -> list[FolderPair]:
    """Return the pairs of an image folder and a mask folder in `folder`; empty when it holds no such pair.

    It looks for images/ and masks/ (or the other usual names) in the folder itself, in its split folders
    (train/images), or with the split folders inside them (images/train). The years of a VOCdevkit are each a pair.
    """
    pair = _find_pair(folder)
    if pair:
        inner_pairs = [
            (os.path.join(pair[0], name), os.path.join(pair[1], name), split)
            for name, split in _split_folders(pair[0])
            if os.path.isdir(os.path.join(pair[1], name))
        ]
        return _with_images(inner_pairs) or _with_images([(*pair, "")])
    pairs: list[FolderPair] = []
    for name, split in _split_folders(folder):
        pair = _find_pair(os.path.join(folder, name))
        if pair:
            pairs.append((*pair, split))
    if pairs:
        return _with_images(pairs)
    for name in sorted(os.listdir(folder)):
        inner = os.path.join(folder, name)
        if name == "VOCdevkit" and os.path.isdir(inner):
            return mask_folders(inner)
        if os.path.isdir(os.path.join(inner, "SegmentationClass")) and (pair := _find_pair(inner)):
            pairs.append((*pair, ""))
    return _with_images(pairs)


def read_mask_folders(source: str | os.PathLike[str]) -> Dataset:
    """Read pairs of folders into a `Dataset` for segmentation.

    A mask has the name of its image, another suffix, and optionally an ending such as `_mask`. The lists of
    `ImageSets/Segmentation` (train, val, test, trainval), if any, give the splits. For the classes see
    `mask_classes.classes_of`. Images without a mask and masks without an image are findings.

    Args:
        source: A folder as `mask_folders` describes it.

    Returns:
        The dataset, with the columns `mask` and `values`.

    Raises:
        RetinueError: No image has a mask.
    """
    source = os.fspath(source)
    findings: list[Finding] = []
    files: list[str] = []
    masks: list[str] = []
    splits: list[str] = []
    pairs = mask_folders(source)
    for pair in pairs:
        for file, mask, split in _read_pair(pair, findings):
            files.append(file)
            masks.append(mask)
            splits.append(split)
    if not files:
        expected = f"{pairs[0][0]} and {pairs[0][1]}" if pairs else f"{IMAGE_FOLDERS[0]}/ and {MASK_FOLDERS[0]}/"
        raise RetinueError(f"{source}: no image has a mask of its name; looked in {expected}")
    is_voc = all(os.path.basename(folder).startswith("SegmentationClass") for _, folder, _ in pairs)
    folders = [source, *dict.fromkeys(os.path.dirname(path) for pair in pairs for path in pair[:2])]
    folders += [folder for _, folder, _ in pairs]
    classes, values = classes_of(source, folders, masks, findings, is_voc)
    return mask_dataset(source, "voc" if is_voc else "mask folders", files, masks, splits, classes, values, findings)


def mask_dataset(
    source: str,
    source_format: str,
    files: Sequence[str] | np.ndarray,
    masks: Iterable[str | os.PathLike[str]],
    splits: ArrayLike,
    classes: Sequence[str],
    values: ArrayLike,
    findings: Iterable[Finding],
    groups: np.ndarray | None = None,
) -> Dataset:
    """Build a `Dataset` for segmentation.

    Args:
        source: Where it was read from.
        source_format: The name of the format, for messages and reports.
        files: Path of each image, `[n]`.
        masks: Path of each mask, `[n]`.
        splits: "train", "val", "test" or "" of each image, `[n]`.
        classes: The class names.
        values: int `[k]`, the pixel value of each class, then those that mean void.
        findings: What the reader noticed.
        groups: str objects `[n]`, the group of each image; images of one group stay in one split.
    """
    values = np.asarray(values, np.int64)
    return Dataset(
        task="segmentation",
        files=np.array(files, dtype=object),
        classes=tuple(classes),
        class_ids=tuple(int(value) for value in values[: len(classes)]),
        columns={
            "mask": np.array([str(mask) for mask in masks], dtype=object),
            "values": np.tile(values, (len(files), 1)),
        },
        splits=np.array(splits, dtype=object),
        groups=groups,
        source=source,
        format=source_format,
        findings=tuple(findings),
    )


def _read_pair(pair: FolderPair, findings: list[Finding]) -> list[tuple[str, str, str]]:
    """Return the image, the mask and the split of each image of a pair of folders that has a mask."""
    image_folder, mask_folder, split = pair
    split_of = read_split_lists(os.path.join(os.path.dirname(image_folder), "ImageSets", "Segmentation"))
    mask_of: dict[str, str] = {}
    for name in sorted(os.listdir(mask_folder)):
        if name.lower().endswith(IMAGE_SUFFIXES):
            mask_of.setdefault(os.path.splitext(name)[0], os.path.join(mask_folder, name))
    rows, used = [], set()
    for name in sorted(os.listdir(image_folder)):
        stem = os.path.splitext(name)[0]
        if not looks_like_image(name) or (split_of and stem not in split_of):
            continue
        file = os.path.join(image_folder, name)
        mask_stem = next((stem + ending for ending in ("", *MASK_ENDINGS) if stem + ending in mask_of), None)
        if mask_stem is None:
            reason = f"there is no mask {stem}.png in {mask_folder}"
            findings.append(Finding(INVALID, "no mask", file, "", reason, "skipped; add it, or remove the image"))
            continue
        if mask_stem in used:
            reason = f"the mask {mask_of[mask_stem]} already belongs to another image of the same name"
            findings.append(Finding(WARNING, "two images, one mask", file, "", reason, "skipped; rename one"))
            continue
        used.add(mask_stem)
        rows.append((file, mask_of[mask_stem], split or split_of.get(stem, "")))
    for stem in [] if split_of else sorted(set(mask_of) - used):
        findings.append(
            Finding(WARNING, "no image", mask_of[stem], "", f"there is no image for it in {image_folder}", "ignored")
        )
    missing = sorted(set(split_of) - {os.path.splitext(name)[0] for name in os.listdir(image_folder)})
    if missing:
        reason = f"{len(missing):,} listed images are not there, the first is {missing[0]}"
        findings.append(Finding(WARNING, "listed, not there", image_folder, "", reason, "ignored"))
    return rows


def _find_pair(folder: str) -> tuple[str, str] | None:
    """Return the image folder and the mask folder in `folder`, or None."""
    paths = {name.lower(): os.path.join(folder, name) for name in sorted(os.listdir(folder), reverse=True)}
    paths = {name: path for name, path in paths.items() if os.path.isdir(path)}
    images = [paths[name.lower()] for name in IMAGE_FOLDERS if name.lower() in paths]
    masks = [paths[name.lower()] for name in MASK_FOLDERS if name.lower() in paths]
    return (images[0], masks[0]) if images and masks else None


def _with_images(pairs: Sequence[FolderPair]) -> list[FolderPair]:
    """Return the pairs whose mask folder holds images; a folder labels of YOLO, for example, holds text files."""
    return [pair for pair in pairs if any(name.lower().endswith(IMAGE_SUFFIXES) for name in os.listdir(pair[1]))]


def _split_folders(folder: str) -> list[tuple[str, str]]:
    """Return the name and the split of each folder in `folder` that is named after a split."""
    return [
        (name, SPLIT_NAMES[name.lower()])
        for name in sorted(os.listdir(folder))
        if name.lower() in SPLIT_NAMES and os.path.isdir(os.path.join(folder, name))
    ]
