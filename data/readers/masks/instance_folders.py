"""One mask for each object: a folder of masks for each image, as in the Data Science Bowl 2018."""

import os
from collections import Counter

from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.masks.content import IDS, look_at

NUM_LOOKS = 3  # images whose masks are looked at
MAX_KINDS = 20  # folders beside each other: images, masks and others, and not the folders of classes


def find_instance_folders(tree: FileTree) -> dict[str, tuple[str, ...]]:
    """Return the paths of the masks of each image, if the source has a folder of masks for each image.

    Two layouts are known: NAME/images/x.png beside NAME/masks/*.png, where the folder `images` holds a single image;
    and images/NAME.png with masks/NAME/*.png. Masks of other names are of one object each, and hold two values.

    Args:
        tree: The files of the source.

    Returns:
        {path of the image: paths of its masks}; empty for other layouts.
    """
    for masks_of in (_beside_image(tree), _named_after_image(tree)):
        if masks_of and _are_masks(masks_of):
            return masks_of
    return {}


def _beside_image(tree: FileTree) -> dict[str, tuple[str, ...]]:
    """Return the masks that lie in a folder beside the folder of their only image."""
    inner: dict[str, list[str]] = {}
    for folder in tree.images:
        if folder:
            inner.setdefault(os.path.dirname(folder), []).append(os.path.basename(folder))
    hold_several = {os.path.basename(folder) for folder, names in tree.images.items() if len(names) > 1}
    several: Counter[tuple[str, str]] = Counter()
    for parent, names in inner.items():
        if len(names) <= MAX_KINDS:
            single = [name for name in names if len(tree.images[os.path.join(parent, name)]) == 1]
            several.update(
                (image, mask) for image in single for mask in names if mask != image and mask in hold_several
            )
    if not several:
        return {}
    image_name, mask_name = max(several, key=lambda pair: several[pair])
    found = {}
    for parent in inner:
        image_folder, mask_folder = os.path.join(parent, image_name), os.path.join(parent, mask_name)
        if len(tree.images.get(image_folder, ())) == 1 and mask_folder in tree.images:
            (image,) = tree.images[image_folder].values()
            if os.path.splitext(image)[0] not in tree.images[mask_folder]:
                found[tree.path(image_folder, image)] = _masks_in(tree, mask_folder)
    return found


def _named_after_image(tree: FileTree) -> dict[str, tuple[str, ...]]:
    """Return the masks that lie in folders with the names of their images."""
    names_of_folders = {os.path.basename(folder) for folder in tree.images}
    image_of: dict[str, str] = {}
    for folder, names in tree.images.items():
        for stem in names_of_folders.intersection(names):
            image_of.setdefault(stem, tree.path(folder, names[stem]))
    found = {}
    for folder in tree.images:
        image = image_of.get(os.path.basename(folder))
        if image and not image.startswith(tree.path(folder) + os.sep):
            found[image] = _masks_in(tree, folder)
    image_folders = {os.path.relpath(os.path.dirname(image), tree.root) for image in found}
    num_images = sum(len(tree.images["" if folder == os.curdir else folder]) for folder in image_folders)
    has_most = len(found) * 2 >= num_images  # otherwise folders only have numbers, as some of the images do
    return found if has_most and len(found) * 2 >= len(tree.images) - 1 else {}


def _masks_in(tree: FileTree, folder: str) -> tuple[str, ...]:
    return tuple(tree.path(folder, name) for name in tree.images[folder].values())


def _are_masks(masks_of: dict[str, tuple[str, ...]]) -> bool:
    """Return whether some of the masks hold two values at most, and their images more."""
    images = list(masks_of)
    for image in images[:: max(1, len(images) // NUM_LOOKS)][:NUM_LOOKS]:
        mask_look, image_look = look_at(masks_of[image][0]), look_at(image)
        if not mask_look or not image_look or mask_look.kind != IDS or mask_look.num_values > 2:
            return False
        if image_look.num_values <= 2 or (mask_look.width, mask_look.height) != (image_look.width, image_look.height):
            return False
    return True
