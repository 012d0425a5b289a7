"""Images and masks in folders of any names, or beside each other: pairs that are matched by name and content."""

import os
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Columns, Dataset, Ragged
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.explanation import Explanation
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.masks.classes import classes_of
from retinue.data.readers.masks.known_classes import known_classes
from retinue.data.readers.masks.listed_splits import SplitLists, read_split_lists_of
from retinue.data.readers.masks.pairs import MaskPair, MaskPairs, find_mask_pairs
from retinue.data.readers.masks.union import unite_masks

SHOWN_LABELS = 3  # kinds of masks in a message


def explain(tree: FileTree) -> list[Explanation]:
    """Return what pairs of images and masks explain of a source."""
    found = find_mask_pairs(tree)
    if not found.pairs and not found.problem:
        return []
    is_voc = bool(found.pairs) and _is_voc(found)
    return [
        Explanation(
            format="voc" if is_voc else "mask folders",
            tasks=("segmentation",),
            source=tree.root,
            images=frozenset(pair.image for pair in found.pairs),
            labels=", ".join(found.labels[:SHOWN_LABELS]) + (", ..." if len(found.labels) > SHOWN_LABELS else ""),
            read=lambda options: _read(tree),
            num_annotations=sum(len(pair.masks) for pair in found.pairs),
            mask_images=frozenset((*found.mask_paths, *found.other_images)),
            repeats=("voc",) if is_voc else (),
            problem=found.problem,
        )
    ]


def read_mask_folders(source: str | os.PathLike[str]) -> Dataset:
    """Read the images and masks of a folder into a `Dataset` for segmentation.

    A mask has the name of its image, and may have words such as `_mask` in its name; see `mask_pairs`. Lists such as
    train.txt, or those of ImageSets/Segmentation, give the splits where no folder does. For the classes see
    `masks.classes.classes_of`. Images without a mask and masks without an image are findings. The masks of the objects
    of an image become one mask.

    Args:
        source: The folder.

    Returns:
        The dataset, with the columns `mask` and `values`, and where masks are of single objects `object_masks` (Ragged
        of paths).

    Raises:
        RetinueError: No image has a mask.
    """
    return _read(FileTree(os.fspath(source)))


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
    object_masks: Sequence[Sequence[str]] | None = None,
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
        object_masks: The paths of the masks of the objects of each image, `[n]` lists, if there are such masks.
    """
    values = np.asarray(values, np.int64)
    columns: Columns = {
        "mask": np.array([str(mask) for mask in masks], dtype=object),
        "values": np.tile(values, (len(files), 1)),
    }
    if object_masks is not None:
        columns["object_masks"] = Ragged.from_rows(object_masks, object)
    return Dataset(
        task="segmentation",
        files=np.array(files, dtype=object),
        classes=tuple(classes),
        class_ids=tuple(int(value) for value in values[: len(classes)]),
        columns=columns,
        splits=np.array(splits, dtype=object),
        groups=groups,
        source=source,
        format=source_format,
        findings=tuple(findings),
    )


def _read(tree: FileTree) -> Dataset:
    source = tree.root
    found = find_mask_pairs(tree)
    if found.problem:
        raise RetinueError(found.problem)
    findings = [*tree.findings, *found.findings]
    lists = read_split_lists_of(tree, {_stem(pair.image) for pair in found.pairs})
    pairs = _select_listed(source, found, lists, findings)
    if not pairs:
        raise RetinueError(f"{source}: no image has a mask of its name; looked in {', '.join(tree.images) or source}")
    findings += _unpaired_findings(tree, found, lists)
    has_objects = not found.class_names and any(len(pair.masks) > 1 for pair in pairs)
    masks, pairs = _one_mask_each(source, pairs, found.class_names, findings)
    folders = [source, *_folders_above_masks(tree, found)]
    if found.class_names:
        classes, values = ("background", *found.class_names), np.arange(len(found.class_names) + 1)
    else:
        known = None if has_objects else known_classes(source, found.mask_folders, masks[:100], lists.text)
        classes, values = classes_of(source, folders, masks, findings, known)
    rest = "train" if lists.rest_is_train else ""
    return mask_dataset(
        source,
        "voc" if _is_voc(found) else "mask folders",
        [pair.image for pair in pairs],
        masks,
        [pair.split or lists.split_of.get(_stem(pair.image), rest) for pair in pairs],
        classes,
        values,
        findings,
        object_masks=[pair.masks for pair in pairs] if has_objects else None,
    )


def _is_voc(found: MaskPairs) -> bool:
    return all(os.path.basename(folder).startswith("SegmentationClass") for folder in found.mask_folders)


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _folders_above_masks(tree: FileTree, found: MaskPairs) -> list[str]:
    """Return the folders in which a file of classes may lie: those of images and masks, and those above them."""
    folders = {""}
    for folder in (*found.mask_folders, *(os.path.relpath(os.path.dirname(p.image), tree.root) for p in found.pairs)):
        while folder not in folders and folder != os.curdir:
            folders.add(folder)
            folder = os.path.dirname(folder)
    return [tree.path(folder) for folder in sorted(folders - {""}, key=lambda name: (name.count(os.sep), name))]


def _select_listed(source: str, found: MaskPairs, lists: SplitLists, findings: list[Finding]) -> list[MaskPair]:
    """Return the pairs that the lists name, or all pairs where folders give the splits or no list is of training."""
    if not lists.split_of:
        return found.pairs
    stems = {_stem(pair.image) for pair in found.pairs} | {_stem(path) for path in found.unpaired_images}
    missing = [stem for stem in lists.split_of if stem not in stems]
    if missing:
        reason = f"{len(missing):,} listed images are not there, the first is {missing[0]}"
        findings.append(Finding(WARNING, "listed, not there", source, "", reason, "ignored"))
    if all(pair.split for pair in found.pairs):
        return found.pairs
    listed = [pair for pair in found.pairs if _stem(pair.image) in lists.split_of]
    if len(listed) < len(found.pairs):
        names = ", ".join(sorted(os.path.basename(path) for path in lists.paths))
        reason = f"{len(found.pairs) - len(listed):,} images with masks are in none of its lists ({names})"
        action = "taken as the training set, which has no list" if lists.rest_is_train else "ignored"
        findings.append(Finding(NOTE, "not listed", source, "", reason, action))
    return found.pairs if lists.rest_is_train else listed


def _unpaired_findings(tree: FileTree, found: MaskPairs, lists: SplitLists) -> list[Finding]:
    """Return the findings for images without a mask and masks without an image."""
    findings = []
    folders = ", ".join(tree.path(folder) for folder in found.mask_folders[:3])
    with_mask = {_stem(pair.image) for pair in found.pairs}
    by_lists = lists.split_of and not lists.rest_is_train and not all(pair.split for pair in found.pairs)
    for file in found.unpaired_images:
        stem = _stem(file)
        if by_lists and stem not in lists.split_of:
            continue
        if stem in with_mask:
            reason = "the mask of its name already belongs to another image of the same name"
        else:
            reason = f"there is no mask {stem}.png in {folders}"
        findings.append(Finding(INVALID, "no mask", file, "", reason, "skipped; add it, or remove the image"))
    if not by_lists:
        for file in found.unpaired_masks:
            findings.append(Finding(WARNING, "no image", file, "", "there is no image for it", "ignored"))
    known = {pair.image for pair in found.pairs} | found.mask_paths
    known |= {*found.unpaired_images, *found.drawings, *found.other_images}
    if found.drawings:
        reason = f"{len(found.drawings):,} images are drawings of masks, the first is {min(found.drawings)}"
        findings.append(Finding(NOTE, "drawings of masks", tree.root, "", reason, "ignored"))
    others: dict[str, list[str]] = {}
    for path in sorted(tree.image_paths - known):
        others.setdefault(os.path.dirname(path), []).append(path)
    for folder, paths in others.items():
        reason = f"{len(paths):,} images in a folder without masks for them"
        findings.append(Finding(WARNING, "not used", folder, "", reason, "ignored"))
    return findings


def _one_mask_each(
    source: str, pairs: Sequence[MaskPair], class_names: Sequence[str], findings: list[Finding]
) -> tuple[list[str], list[MaskPair]]:
    """Return a mask for each image, and the images that have one; the masks of objects or of classes are united."""
    if not class_names and all(len(pair.masks) == 1 for pair in pairs):
        return [pair.masks[0] for pair in pairs], list(pairs)
    labels = [pair.labels or (1,) * len(pair.masks) for pair in pairs]
    united, problems = unite_masks(source, [pair.masks for pair in pairs], labels)
    if class_names:
        reason = f"each class has a folder of masks, which do not overlap: {', '.join(class_names)}"
        num_less = sum(len(set(pair.labels)) < len(class_names) for pair in pairs)
        reason += f"; {num_less:,} images have no mask of some class" if num_less else ""
        action = "the masks of an image are united into one; what is in none of them is background"
        findings.append(Finding(NOTE, "masks of classes", source, "", reason, action))
    else:
        reason = f"{sum(len(pair.masks) for pair in pairs):,} masks of single objects in {len(pairs):,} images"
        action = "the masks of an image are united into one of background and foreground"
        findings.append(Finding(NOTE, "masks of objects", source, "", reason, action))
    for row, problem in problems.items():
        findings.append(Finding(INVALID, "broken mask", pairs[row].image, "", problem, "skipped; correct it"))
    rows = [row for row in range(len(pairs)) if row not in problems]
    return [united[row] for row in rows], [pairs[row] for row in rows]
