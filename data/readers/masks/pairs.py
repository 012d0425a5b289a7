"""Which images of a source have masks: pairs that are matched by name and content."""

import functools
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from retinue.data.finding import Finding
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.masks.groups import Group, GroupLooks, group_images, groups_by_key
from retinue.data.readers.masks.instance_folders import find_instance_folders
from retinue.data.readers.masks.kinds import (
    are_classes,
    chosen_kind_finding,
    class_names_of,
    equally_suited,
    kind_of,
    kinds_of,
    preference,
    problem_of_kinds,
)
from retinue.data.readers.masks.names import is_other_kind
from retinue.data.readers.masks.other_images import choose_images, images_of_equal_names, without_copies

MOST_IMAGES = 0.9  # masks that no name calls so belong to several folders of images, if so many of these have one


@dataclass(frozen=True)
class MaskPair:
    """An image and its masks.

    Attributes:
        image: The path of the image.
        masks: The paths of its masks. Several are masks of its objects.
        split: The split that a folder names, or "".
        labels: The class of each mask, counted from 1, where there is a mask for each class; else empty.
    """

    image: str
    masks: tuple[str, ...]
    split: str
    labels: tuple[int, ...] = ()


@dataclass
class MaskPairs:
    """The pairs of images and masks of a source.

    Attributes:
        pairs: The pairs, in the order of the images' paths.
        mask_folders: The folders of the masks, relative to the root of the tree.
        mask_paths: The paths of all files that are masks, also of those that are not used.
        drawings: The paths of images of the same names that people look at, such as masks drawn over images.
        other_images: The paths of images that have the names of masks, and are not read with them: copies in another
            format, or other kinds of images.
        class_names: The classes of the masks, where each class has a folder of masks; else empty.
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
    other_images: list[str] = field(default_factory=list)
    class_names: list[str] = field(default_factory=list)
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
    return _pairs_of_groups(tree, groups, images_of, looks) if images_of else _masks_alone(tree, groups, looks)


def _pairs_of_instances(tree: FileTree, masks_of: dict[str, tuple[str, ...]]) -> MaskPairs:
    found = MaskPairs()
    for image, masks in sorted(masks_of.items()):
        found.pairs.append(MaskPair(image, masks, tree.split_of(os.path.relpath(os.path.dirname(image), tree.root))))
        found.mask_paths.update(masks)
    parents = {os.path.dirname(masks[0]) for masks in masks_of.values()}
    found.mask_folders = sorted(os.path.relpath(parent, tree.root) for parent in parents)
    found.labels = [f"{os.path.basename(found.mask_folders[0])}/*, one mask for each object"]
    return found


def _masks_alone(tree: FileTree, groups: Sequence[Group], looks: GroupLooks) -> MaskPairs:
    """Return the problem of masks, by their names and pixels, of which none has an image; nothing if there are none."""
    found = MaskPairs()
    masks = [group for group in groups if group.names_mask and looks.looks_like_masks(group)]
    if masks:
        found.mask_paths = {path for mask in masks for path in _paths(tree, mask)}
        found.labels = sorted({mask.pattern for mask in masks})
        found.problem = (
            f"{tree.root}: {len(found.mask_paths):,} files look like masks, such as {min(found.mask_paths)}, but no "
            "image has the name of one; give each mask the name of its image, or list the pairs in a CSV with the "
            "columns file,mask"
        )
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
    same_split = mask.split == image.split
    common = len(set(parts) & set(others))
    named = not image.names_mask, same_split, image.names_image
    return count, *named, common, -abs(len(parts) - len(others)), image.folder, image.suffix


def _pairs_of_groups(
    tree: FileTree, groups: Sequence[Group], images_of: dict[Group, list[Group]], looks: GroupLooks
) -> MaskPairs:
    found = MaskPairs()
    masks_of: dict[Group, list[Group]] = {}
    for mask, images in images_of.items():
        for image in images:
            masks_of.setdefault(image, []).append(mask)
        found.mask_paths.update(_paths(tree, mask))
    copies, found.findings, found.problem = without_copies(tree, list(masks_of))
    for copy in copies:
        del masks_of[copy]
    used, without_image = set[Group](), dict[Group, set[str]]()
    for image, masks in sorted(masks_of.items(), key=lambda item: (item[0].folder, item[0].suffix)):
        masks = sorted(masks, key=lambda mask: preference(mask, looks))
        others = images_of_equal_names(image, masks[0], groups, {*images_of, *masks_of, *copies})
        findings, more_copies, problem = choose_images(tree, image, masks[0], others)
        found.findings += findings
        found.problem = found.problem or problem
        copies += more_copies
        if masks[0].names_mask or len(masks[0].names.keys() & image.names.keys()) >= MOST_IMAGES * len(image.names):
            named = [(other, name) for other in others for key in image.names for name in other.names.get(key, ())]
            found.other_images += [tree.path(other.folder, name) for other, name in named]
        kinds = kinds_of(masks, image)
        equal = equally_suited(kinds, looks)
        if len(equal) > 1 and are_classes(tree, equal, looks):
            used.update(mask for mask in masks if any(kind_of(mask) == kind_of(kind) for kind in equal))
            _add_class_masks(tree, found, image, masks, equal)
            if len(kinds) > len(equal):
                found.findings.append(chosen_kind_finding(tree, image, equal, kinds))
            continue
        if len(equal) > 1:
            found.problem = found.problem or problem_of_kinds(tree, equal)
        elif len(kinds) > 1:
            found.findings.append(chosen_kind_finding(tree, image, kinds[:1], kinds))
        rejected = {kind_of(kind) for kind in kinds[1:]}
        chosen = [mask for mask in masks if kind_of(mask) not in rejected]
        used.update(chosen)
        _add_pairs(tree, found, image, chosen)
        for mask in chosen:
            without_image[mask] = without_image.get(mask, set(mask.names)) - set(image.names)
    if found.class_names and any(not pair.labels for pair in found.pairs):
        found.problem = found.problem or _problem_of_some_class_masks(tree, found)
    found.other_images += [path for copy in copies for path in _paths(tree, copy)]
    for mask, keys in without_image.items():
        found.unpaired_masks += [tree.path(mask.folder, name) for key in keys for name in mask.names[key]]
    rest = [group for group in groups if group not in masks_of and group not in copies]
    _add_unpaired(tree, found, rest, masks_of, used)
    found.pairs.sort(key=lambda pair: pair.image)
    found.mask_folders = list(dict.fromkeys(mask.folder for mask in sorted(used, key=lambda mask: mask.folder)))
    found.labels = sorted({mask.pattern for mask in used})
    found.unpaired_masks.sort()
    found.unpaired_images.sort()
    return found


def _add_class_masks(
    tree: FileTree, found: MaskPairs, image: Group, masks: Sequence[Group], kinds: Sequence[Group]
) -> None:
    """Add the pairs of images whose masks lie in a folder for each class.

    Args:
        tree: The files of the source.
        found: Receives the pairs, and the images without a mask.
        image: The images.
        masks: Their masks.
        kinds: The first group of the masks of each class.
    """
    split = image.split or kinds[0].split
    name_of = dict(zip(map(kind_of, kinds), class_names_of(kinds), strict=True))
    found.class_names += [name for name in sorted(name_of.values()) if name not in found.class_names]
    for key, names in image.names.items():
        labels, paths = list[int](), list[str]()
        for mask in masks:
            if key in mask.names and kind_of(mask) in name_of:
                labels += [found.class_names.index(name_of[kind_of(mask)]) + 1] * len(mask.names[key])
                paths += [tree.path(mask.folder, name) for name in mask.names[key]]
        if paths:
            found.pairs.append(MaskPair(tree.path(image.folder, names[0]), tuple(paths), split, tuple(labels)))
        found.unpaired_images += [tree.path(image.folder, name) for name in names[bool(paths) :]]


def _problem_of_some_class_masks(tree: FileTree, found: MaskPairs) -> str:
    plain = next(pair for pair in found.pairs if not pair.labels)
    return (
        f"{tree.root}: some images have a folder of masks for each class ({', '.join(found.class_names)}), and others "
        f"have one mask, such as {plain.masks[0]}; give one of the two"
    )


def _add_pairs(tree: FileTree, found: MaskPairs, image: Group, masks: Sequence[Group]) -> None:
    """Add the pairs of one group of images.

    Args:
        tree: The files of the source.
        found: Receives the pairs, and the images without a mask.
        image: The images.
        masks: Their masks, which differ in the suffix at most.
    """
    split = image.split or masks[0].split
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
    image_kinds, mask_kinds = set(map(kind_of, images)), set(map(kind_of, masks))
    for group in groups:
        paths = _paths(tree, group)
        if not found.mask_paths.issuperset(paths) and is_other_kind(group.folder, group.words):
            keys = {key for image in images for key in group.names.keys() & image.names.keys()}
            found.drawings += [tree.path(group.folder, name) for key in keys for name in group.names[key]]
            continue
        if found.mask_paths.issuperset(paths):
            continue
        if kind_of(group) in image_kinds - mask_kinds:
            found.unpaired_images += paths
        elif kind_of(group) in mask_kinds - image_kinds:
            found.unpaired_masks += paths
            found.mask_paths.update(paths)


def _paths(tree: FileTree, group: Group) -> list[str]:
    return [tree.path(group.folder, name) for names in group.names.values() for name in names]
