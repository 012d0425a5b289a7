"""Which images of a source have masks: pairs that are matched by name and content."""

import functools
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from retinue.data.finding import NOTE, Finding
from retinue.data.readers.file_tree import FileTree, split_in_path
from retinue.data.readers.masks.groups import Group, GroupLooks, group_images, groups_by_key
from retinue.data.readers.masks.instance_folders import find_instance_folders
from retinue.data.readers.masks.names import PREFERRED_KINDS, is_other_kind


@dataclass(frozen=True)
class MaskPair:
    """An image and its masks.

    Attributes:
        image: The path of the image.
        masks: The paths of its masks. Several are masks of its objects.
        split: The split that a folder names, or "".
    """

    image: str
    masks: tuple[str, ...]
    split: str


@dataclass
class MaskPairs:
    """The pairs of images and masks of a source.

    Attributes:
        pairs: The pairs, in the order of the images' paths.
        mask_folders: The folders of the masks, relative to the root of the tree.
        mask_paths: The paths of all files that are masks, also of those that are not used.
        drawings: The paths of images of the same names that people look at, such as masks drawn over images.
        labels: The masks, for messages, such as "masks/*.png".
        unpaired_images: The paths of the images without a mask in folders in which others have one.
        unpaired_masks: The paths of the masks without an image.
        findings: What was assumed.
        problem: Why the pairs can't be read, with the cure; "" if they can be.
    """

    pairs: list[MaskPair] = field(default_factory=list)
    mask_folders: list[str] = field(default_factory=list)
    mask_paths: set[str] = field(default_factory=set)
    drawings: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    unpaired_images: list[str] = field(default_factory=list)
    unpaired_masks: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    problem: str = ""


@functools.lru_cache(maxsize=1)
def find_mask_pairs(tree: FileTree) -> MaskPairs:
    """Return the pairs of images and masks of a source. The result for the last tree is kept."""
    instances = find_instance_folders(tree)
    if instances:
        return _pairs_of_instances(tree, instances)
    groups = group_images(tree)
    looks = GroupLooks(tree)
    images_of = _match(groups, looks)
    return _pairs_of_groups(tree, groups, images_of, looks) if images_of else MaskPairs()


def _pairs_of_instances(tree: FileTree, masks_of: dict[str, tuple[str, ...]]) -> MaskPairs:
    found = MaskPairs()
    for image, masks in sorted(masks_of.items()):
        found.pairs.append(MaskPair(image, masks, split_in_path(os.path.relpath(os.path.dirname(image), tree.root))))
        found.mask_paths.update(masks)
    parents = {os.path.dirname(masks[0]) for masks in masks_of.values()}
    found.mask_folders = sorted(os.path.relpath(parent, tree.root) for parent in parents)
    found.labels = [f"{os.path.basename(found.mask_folders[0])}/*, one mask for each object"]
    return found


def _match(groups: Sequence[Group], looks: GroupLooks) -> dict[Group, list[Group]]:
    """Return the groups of masks with the groups of their images."""
    owners = groups_by_key(groups)
    images_of: dict[Group, list[Group]] = {}
    for mask in groups:
        if not looks.could_be_masks(mask):
            continue
        rest = set(mask.names)
        tried = {mask}
        while rest:
            counts = Counter(owner for key in rest for owner in owners[key] if owner not in tried)
            best = max(counts, key=lambda group: _closeness(mask, group, counts[group]), default=None)
            if best is None:
                break
            tried.add(best)
            if counts[best] * 2 >= min(len(mask.names), len(best.names)) and looks.is_mask_of(mask, best):
                images_of.setdefault(mask, []).append(best)
                rest -= set(best.names)
            elif len(tried) > 8:  # of many folders with the same names, none looks like the images
                break
    masks = set(images_of)
    chosen = {mask: [image for image in images if image not in masks] for mask, images in images_of.items()}
    return {mask: images for mask, images in chosen.items() if images}


def _closeness(mask: Group, image: Group, count: int) -> tuple[object, ...]:
    """Return how likely a group holds the images of masks: the greater, the likelier."""
    parts, others = mask.folder.split(os.sep), image.folder.split(os.sep)
    same_split = split_in_path(mask.folder) == split_in_path(image.folder)
    common = len(set(parts) & set(others))
    return count, not image.names_mask, same_split, common, -abs(len(parts) - len(others)), image.folder, image.suffix


def _pairs_of_groups(
    tree: FileTree, groups: Sequence[Group], images_of: dict[Group, list[Group]], looks: GroupLooks
) -> MaskPairs:
    found = MaskPairs()
    masks_of: dict[Group, list[Group]] = {}
    for mask, images in images_of.items():
        for image in images:
            masks_of.setdefault(image, []).append(mask)
        found.mask_paths.update(_paths(tree, mask))
    used, without_image = set[Group](), dict[Group, set[str]]()
    for image, masks in sorted(masks_of.items(), key=lambda item: (item[0].folder, item[0].suffix)):
        masks = sorted(masks, key=lambda mask: _preference(mask, looks))
        kinds = _kinds_of(masks, image)
        if len(kinds) > 1:
            if not found.problem:
                found.problem = _tie(tree, kinds[0], kinds[1], looks)
            found.findings.append(_chosen_kind(tree, image, kinds))
        chosen = [mask for mask in masks if _kind(mask) == _kind(kinds[0])]
        used.update(chosen)
        _add_pairs(tree, found, image, chosen)
        for mask in chosen:
            without_image[mask] = without_image.get(mask, set(mask.names)) - set(image.names)
    for mask, keys in without_image.items():
        found.unpaired_masks += [tree.path(mask.folder, name) for key in keys for name in mask.names[key]]
    _add_unpaired(tree, found, [group for group in groups if group not in masks_of], masks_of, used)
    found.pairs.sort(key=lambda pair: pair.image)
    found.mask_folders = list(dict.fromkeys(mask.folder for mask in sorted(used, key=lambda mask: mask.folder)))
    found.labels = sorted({_label(mask) for mask in used})
    found.unpaired_masks.sort()
    found.unpaired_images.sort()
    return found


def _add_pairs(tree: FileTree, found: MaskPairs, image: Group, masks: Sequence[Group]) -> None:
    """Add the pairs of one group of images.

    Args:
        tree: The files of the source.
        found: Receives the pairs, and the images without a mask.
        image: The images.
        masks: Their masks, which differ in the suffix at most.
    """
    split = split_in_path(image.folder) or split_in_path(masks[0].folder)
    for key, names in image.names.items():
        mask = next((mask for mask in masks if key in mask.names), None)
        if mask is None:
            found.unpaired_images += [tree.path(image.folder, name) for name in names]
            continue
        mask_names = mask.names[key] if mask.numbered else mask.names[key][:1]
        paths = tuple(tree.path(mask.folder, name) for name in mask_names)
        found.pairs.append(MaskPair(tree.path(image.folder, names[0]), paths, split))
        found.unpaired_images += [tree.path(image.folder, name) for name in names[1:]]


def _add_unpaired(
    tree: FileTree, found: MaskPairs, groups: Sequence[Group], images: Collection[Group], masks: Collection[Group]
) -> None:
    """Add what lies among images or masks, with names of the same kind, and belongs to none: files of other suffixes.

    Args:
        tree: The files of the source.
        found: Receives the images without a mask, and the masks without an image.
        groups: The groups that are not images with masks.
        images: The groups of images that have masks.
        masks: The groups of masks that are read.
    """
    image_kinds, mask_kinds = set(map(_kind, images)), set(map(_kind, masks))
    for group in groups:
        paths = _paths(tree, group)
        if not found.mask_paths.issuperset(paths) and is_other_kind(group.folder, group.words):
            keys = {key for image in images for key in group.names.keys() & image.names.keys()}
            found.drawings += [tree.path(group.folder, name) for key in keys for name in group.names[key]]
            continue
        if found.mask_paths.issuperset(paths):
            continue
        if _kind(group) in image_kinds - mask_kinds:
            found.unpaired_images += paths
        elif _kind(group) in mask_kinds - image_kinds:
            found.unpaired_masks += paths
            found.mask_paths.update(paths)


def _kind(mask: Group) -> tuple[str, tuple[str, ...]]:
    return mask.folder, mask.words


def _kinds_of(masks: Sequence[Group], image: Group) -> list[Group]:
    """Return the first group of each kind of mask that images have, without those for other images."""
    kinds: dict[tuple[str, tuple[str, ...]], Group] = {}
    keys: set[str] = set()
    for mask in masks:
        shared = set(mask.names) & set(image.names)
        if _kind(mask) in kinds or not kinds or len(shared & keys) * 2 > len(shared):
            kinds.setdefault(_kind(mask), mask)
        keys |= shared
    return list(kinds.values())


def _preference(mask: Group, looks: GroupLooks) -> tuple[object, ...]:
    """Return a key that sorts the masks of one image by how well they suit the training of classes."""
    look = looks.of(mask)
    named = next((index for index, word in enumerate(PREFERRED_KINDS) if word in mask.words), len(PREFERRED_KINDS))
    return named, is_other_kind(mask.folder, mask.words), -(look.kind if look else 0), mask.folder, mask.words


def _tie(tree: FileTree, first: Group, second: Group, looks: GroupLooks) -> str:
    """Return the problem of two kinds of masks that suit equally, or ""."""
    if _preference(first, looks)[:3] != _preference(second, looks)[:3]:
        return ""
    if all(_is_voc_class_folder(mask.folder) for mask in (first, second)):
        return ""
    return (
        f"{tree.root}: its images have two kinds of masks, {_label(first)} and {_label(second)}; move one of them out "
        "of this folder, or list the pairs in a CSV with the columns file,mask"
    )


def _is_voc_class_folder(folder: str) -> bool:
    return os.path.basename(folder).startswith("SegmentationClass")


def _chosen_kind(tree: FileTree, image: Group, kinds: Sequence[Group]) -> Finding:
    others = ", ".join(_label(mask) for mask in kinds[1:4])
    reason = f"its images have several masks: {_label(kinds[0])} is read, and {others} not"
    folder = tree.path(image.folder)
    return Finding(NOTE, "several kinds of masks", folder, "", reason, "remove the first to read another")


def _label(mask: Group) -> str:
    """Return the masks of a group, such as "masks/*.png" or "*_mask.png"."""
    key, names = next(iter(mask.names.items()))
    before, found, behind = os.path.splitext(names[0])[0].lower().partition(key)
    pattern = f"{before}*{behind}" if found and mask.words else "*"
    return os.path.join(mask.folder, pattern + mask.suffix)


def _paths(tree: FileTree, group: Group) -> list[str]:
    return [tree.path(group.folder, name) for names in group.names.values() for name in names]
