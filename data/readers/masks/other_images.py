"""Several images for one mask: copies in another format, other kinds of images, and two images of one place."""

import os
from collections.abc import Collection, Sequence

import numpy as np
from PIL import Image

from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.masks.groups import FORMAT_IS_LOSSLESS, Group, evenly
from retinue.data.readers.masks.names import is_other_kind

NUM_SAMPLES = 3  # images that are compared
MAX_DIFFERENCE = 4.0  # levels of 0..255, on average; what a copy in a format with losses differs by


def images_of_equal_names(image: Group, mask: Group, groups: Sequence[Group], known: Collection[Group]) -> list[Group]:
    """Return other groups of images that have the names of most of the images of a mask, and so may belong to it.

    They are in the same split, and not farther from the mask: test/good is no image of ground_truth/broken, since
    test/broken is nearer.

    Args:
        image: The images that the masks were matched to.
        mask: The masks.
        groups: All groups.
        known: The groups of masks, and those of images with masks.
    """
    split = image.split or mask.split
    keys = image.names.keys() & mask.names.keys()
    return [
        group
        for group in groups
        if group not in known
        and group.folder != image.folder
        and not is_other_kind(group.folder, group.words)
        and group.split in (split, "")
        and len(keys & group.names.keys()) * 2 > len(keys)
        and _num_common_folders(mask, group) >= _num_common_folders(mask, image)
    ]


def _num_common_folders(first: Group, second: Group) -> int:
    """Return how many names of folders the paths of two groups have in common."""
    return len(set(first.folder.split(os.sep)) & set(second.folder.split(os.sep)))


def choose_images(
    tree: FileTree, image: Group, mask: Group, others: Sequence[Group]
) -> tuple[list[Finding], list[Group], str]:
    """Decide between groups of images that have the names of the same masks.

    Args:
        tree: The files of the source.
        image: The images that the masks were matched to.
        mask: The masks.
        others: What `images_of_equal_names` returned.

    Returns:
        What was assumed, the groups that are copies, and the problem if nothing tells which images are meant.
    """
    copies = [group for group in others if are_copies(tree, image, group)]
    findings = [copy_finding(tree, group, image) for group in copies]
    others = [group for group in others if group not in copies]
    if not others:
        return findings, copies, ""
    names = ", ".join(group.pattern for group in others)
    if image.names_image and not any(group.names_image for group in others):
        reason = f"{names} have the names of the same masks as {image.pattern}"
        action = "ignored; to train on them, move the others out of this folder"
        findings.append(Finding(WARNING, "other images of the same masks", tree.root, "", reason, action))
        return findings, copies, ""
    return (
        findings,
        copies,
        (
            f"{tree.root}: the masks {mask.pattern} belong to several images each: {image.pattern}, {names}. If one of "
            "them is the image, move the other folder out of this folder, or list the pairs in a CSV with the columns "
            "file,mask. Masks of the change between two images can't be trained on"
        ),
    )


def without_copies(tree: FileTree, images: Sequence[Group]) -> tuple[list[Group], list[Finding], str]:
    """Find the groups of images with masks that are copies of others in another format, by their names.

    Args:
        tree: The files of the source.
        images: The groups of images with masks.

    Returns:
        The copies, a finding for each, and the problem of two groups of the same names that show other things.
    """
    copies: list[Group] = []
    findings = []
    problem = ""
    ordered = sorted(images, key=lambda group: (not FORMAT_IS_LOSSLESS[group.suffix], group.suffix, group.folder))
    for index, group in enumerate(ordered):
        first = next((first for first in ordered[:index] if first not in copies and _may_be_copy(first, group)), None)
        if first is None:
            continue
        if _named_after_formats(first, group) or are_copies(tree, first, group):
            copies.append(group)
            findings.append(copy_finding(tree, group, first))
        else:
            problem = problem or (
                f"{tree.root}: {first.pattern} and {group.pattern} have the same names and masks of their own, and "
                "show other images; give the folder of one of them, or rename the files if these are two data sets"
            )
    return copies, findings, problem


def _may_be_copy(first: Group, second: Group) -> bool:
    """Return whether two groups hold images of the same names in two formats."""
    return (
        first.suffix != second.suffix
        and first.folder != second.folder
        and first.names.keys() == second.names.keys()
        and first.split == second.split
    )


def _named_after_formats(first: Group, second: Group) -> bool:
    """Return whether the folders only differ in the names of the formats, as PNG/Original and TIF/Original."""
    parts, others = first.folder.split(os.sep), second.folder.split(os.sep)
    differing = [pair for pair in zip(parts, others, strict=False) if pair[0] != pair[1]]
    if len(parts) != len(others) or len(differing) != 1:
        return False
    names = [name.lower() for name in differing[0]]
    return all(group.suffix[1:4] in name for group, name in zip((first, second), names, strict=True))


def are_copies(tree: FileTree, first: Group, second: Group) -> bool:
    """Return whether images of the same names show nearly the same pixels. Some of them are compared."""
    keys = sorted(first.names.keys() & second.names.keys())
    differences = []
    for index in evenly(len(keys), NUM_SAMPLES):
        pixels = [_pixels(tree.path(group.folder, group.names[keys[index]][0])) for group in (first, second)]
        if pixels[0] is None or pixels[1] is None or pixels[0].shape != pixels[1].shape:
            return False
        differences.append(float(np.abs(pixels[0] - pixels[1]).mean()))
    return bool(differences) and max(differences) <= MAX_DIFFERENCE


def copy_finding(tree: FileTree, copy: Group, original: Group) -> Finding:
    """Return the finding of images that are copies of others."""
    reason = f"{copy.pattern} are copies of {original.pattern}"
    return Finding(NOTE, "copies", tree.path(copy.folder), "", reason, "ignored; one of the two is read")


def _pixels(path: str) -> np.ndarray | None:
    """Return the colors of an image, int16 `[height, width, 3]`; None if it can't be decoded."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB")).astype(np.int16)
    except Exception:  # decoders raise exceptions of any class for damaged files; the check reports them
        return None
