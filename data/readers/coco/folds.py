"""Folds of cross-validation as COCO files: images that are trained on in one file and tested on in another."""

from retinue.data.readers.coco.layout import CocoLayout, find_images

MIN_COMMON = 0.5  # the fraction of a file's images that are of another split elsewhere, where the files are folds


def describe_folds(layout: CocoLayout) -> str:
    """Return why the files of a layout can't be read together if they are folds of the same images, else "".

    Then a split has several files, and the images of one of them are of another split in a file of another fold.
    """
    splits = [part.split for part in layout.parts if part.split]
    if len(splits) == len(set(splits)):
        return ""
    images = [frozenset(filter(None, find_images(layout, part, part.content.names))) for part in layout.parts]
    for part, own in zip(layout.parts, images, strict=True):
        for other, others in zip(layout.parts, images, strict=True):
            if {part.split, other.split} == {"train", "val"} and _are_common(own, others):
                return (
                    f"{layout.source}: {part.path} and {other.path} are of different folds, since their images are the "
                    "same; move the files of all folds but one out of it, and read it again"
                )
    return ""


def _are_common(images: frozenset[str], others: frozenset[str]) -> bool:
    return bool(images) and len(images & others) >= MIN_COMMON * min(len(images), len(others))
