"""Kinds of masks of the same images: which of them suits the training of classes, and what each seems to be."""

import os
from collections.abc import Sequence

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.decoding.mask_file import read_mask_values
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.masks.content import IDS
from retinue.data.readers.masks.groups import Group, GroupLooks, evenly
from retinue.data.readers.masks.names import is_colored_mask, is_other_kind, preference_of_name

NUM_SAMPLES = 5  # images whose masks are compared
SHOWN_KINDS = 8  # in a message
SAME_IN_ALL = 0.95  # of the pixels; masks that agree so much in all images do not show objects in them
MIN_FIELD_OF_VIEW = 0.3  # of the pixels


def kind_of(mask: Group) -> tuple[str, tuple[str, ...]]:
    """Return what all masks of one kind have in common: their folder and the words in their names."""
    return mask.folder, mask.words


def kinds_of(masks: Sequence[Group], image: Group) -> list[Group]:
    """Return the first group of each kind of mask that images have, without those for other images.

    Args:
        masks: The masks of the images, in order of preference.
        image: The images.
    """
    kinds: dict[tuple[str, tuple[str, ...]], Group] = {}
    keys: set[str] = set()
    for mask in masks:
        shared = set(mask.names) & set(image.names)
        if kind_of(mask) in kinds or not kinds or len(shared & keys) * 2 > len(shared):
            kinds.setdefault(kind_of(mask), mask)
        keys |= shared
    return list(kinds.values())


def preference(mask: Group, looks: GroupLooks) -> tuple[object, ...]:
    """Return a key that sorts the masks of one image by how well they suit the training of classes."""
    look = looks.of(mask)
    named = preference_of_name(mask.folder, mask.words)
    return named, _rank_of_name(mask), -(look.kind if look else 0), mask.folder, mask.words


def _rank_of_name(mask: Group) -> int:
    """Return how little a name says that masks show classes: masks, colored masks, no word, and other kinds."""
    if is_other_kind(mask.folder, mask.words):
        return 1 if is_colored_mask(mask.folder, mask.words) else 3
    return 0 if mask.names_mask else 2


def equally_suited(kinds: Sequence[Group], looks: GroupLooks) -> list[Group]:
    """Return the kinds that suit as well as the first one, if the first one is not VOC's."""
    first = preference(kinds[0], looks)[:3]
    equal = [mask for mask in kinds if preference(mask, looks)[:3] == first]
    return equal[:1] if all(_is_voc_class_folder(mask.folder) for mask in equal) else equal


def are_classes(tree: FileTree, kinds: Sequence[Group], looks: GroupLooks) -> bool:
    """Return whether kinds of masks show a class each: they hold two values, and no pixel is in two of them.

    Some images are looked at; `unite_masks` looks at all.
    """
    found = [looks.of(mask) for mask in kinds]
    if not all(look and look.kind == IDS and look.num_values <= 2 for look in found):
        return False
    names = class_names_of(kinds)
    if len({name.lower() for name in names}) < len(names) or not all(names):
        return False
    keys = sorted(set.intersection(*(set(mask.names) for mask in kinds)))
    has_objects = [False] * len(kinds)
    for index in evenly(len(keys), NUM_SAMPLES):
        masks = [_inside(tree, mask, keys[index]) for mask in kinds]
        shapes = {mask.shape for mask in masks if mask is not None}
        if len(shapes) != 1 or any(mask is None for mask in masks):
            return False
        stacked = np.array(masks)
        if (stacked.sum(axis=0) > 1).any():
            return False
        has_objects = [has or bool(mask.any()) for has, mask in zip(has_objects, stacked, strict=True)]
    return all(has_objects)


def class_names_of(kinds: Sequence[Group]) -> list[str]:
    """Return the classes that kinds of masks are named after: by their folders, or in one folder by their words."""
    if len({mask.folder for mask in kinds}) > 1:
        return [os.path.basename(mask.folder) for mask in kinds]
    common = set.intersection(*(set(mask.words) for mask in kinds))
    return [" ".join(word.strip(" _.-") for word in mask.words if word not in common) for mask in kinds]


def problem_of_kinds(tree: FileTree, kinds: Sequence[Group]) -> str:
    """Return the problem of kinds of masks that suit equally, with what each seems to be, and the cure."""
    texts = [_describe(tree, mask) for mask in kinds[:SHOWN_KINDS]]
    shown = ", ".join(f"{mask.pattern} ({text})" for mask, text in zip(kinds, texts, strict=False))
    more = f" and {len(kinds) - SHOWN_KINDS} more" if len(kinds) > SHOWN_KINDS else ""
    if_classes = ""
    if "in colors" not in texts:
        if_classes = (
            ". Kinds become classes only if each holds two values and no pixel is in two of them; else draw them into "
            "one mask"
        )
    return (
        f"{tree.root}: its images have {len(kinds)} kinds of masks: {shown}{more}. Read one of them: move the others "
        f"out of this folder, or list the pairs in a CSV with the columns file,mask{if_classes}"
    )


def chosen_kind_finding(tree: FileTree, image: Group, chosen: Sequence[Group], kinds: Sequence[Group]) -> Finding:
    """Return the finding of the kinds of masks of some images that are read, and of those that are not."""
    read = ", ".join(mask.pattern for mask in chosen)
    others = ", ".join([mask.pattern for mask in kinds if mask not in chosen][:3])
    reason = f"its images have several masks: {read} {'is' if len(chosen) == 1 else 'are'} read, and {others} not"
    folder = tree.path(image.folder)
    return Finding(NOTE, "several kinds of masks", folder, "", reason, "remove the first to read another")


def _describe(tree: FileTree, mask: Group) -> str:
    """Return what the masks seem to be: the part of the pixels that they mark."""
    keys = sorted(mask.names)
    masks = [_inside(tree, mask, keys[index]) for index in evenly(len(keys), NUM_SAMPLES)]
    found = [inside for inside in masks if inside is not None]
    if not found:
        return "in colors"
    text = f"marks {np.mean([inside.mean() for inside in found]):.0%} of the pixels"
    same_shape = len(found) > 1 and len({inside.shape for inside in found}) == 1
    if same_shape and found[0].mean() >= MIN_FIELD_OF_VIEW:
        agreement = min(float((inside == found[0]).mean()) for inside in found[1:])
        if agreement >= SAME_IN_ALL:
            text += ", nearly the same ones in all images, as a field of view does"
    return text


def _inside(tree: FileTree, mask: Group, key: str) -> np.ndarray | None:
    """Return where the mask of an image is not 0, bool `[height, width]`; None if it has no ids."""
    try:
        return read_mask_values(tree.path(mask.folder, mask.names[key][0])) != 0
    except RetinueError:
        return None


def _is_voc_class_folder(folder: str) -> bool:
    return os.path.basename(folder).startswith("SegmentationClass")
