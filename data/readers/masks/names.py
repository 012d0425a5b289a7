"""What the names of masks say: which words mark a mask or an image, and which image a mask belongs to."""

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

# Words in the names of files and folders that hold masks, and of those that hold images, in lower case.
MASK_WORDS = (
    *("mask", "masks", "gt", "gts", "groundtruth", "truth", "label", "labels", "annotation", "annotations", "annot"),
    *("ann", "anns", "seg", "segs", "segmentation", "segmentations", "segmented", "labelids", "labeltrainids"),
    *("trainids", "gtfine", "gtcoarse", "target", "targets", "matte", "mattes", "trimap", "trimaps", "roi", "rois"),
    *("segmentationclass", "segmentationclasspng", "segmentationclassraw", "annotated", "labeled", "semantic", "l"),
)
# Masks that tell objects apart, or that are drawn for people: another kind of mask is preferred to these.
OTHER_KIND_WORDS = (
    *("instance", "instances", "instanceid", "instanceids", "instancetrainids", "object", "objects", "color", "colors"),
    *("segmentationobject", "segmentationobjectpng", "visualization", "visualizations", "viz", "vis", "overlay"),
    *("overlays", "segmentationclassvisualization", "segmentationobjectvisualization", "parts", "panoptic", "edge"),
    *("edges", "boundary", "boundaries", "contour", "contours"),
)
IMAGE_WORDS = (
    *("image", "images", "img", "imgs", "leftimg8bit", "jpegimages", "sat", "rgb", "input", "inputs", "photo"),
    *("photos", "raw", "original", "originals", "orig"),
)
# Of several kinds of masks of one image, the first of these, by a word of the name or the innermost folder. The last
# ones are the first annotator's masks of vessels in DRIVE, HRF and CHASE-DB1, beside a second one's and fields of view.
PREFERRED_KINDS = ("labeltrainids", "labelids", "1st_manual", "manual1", "1stho")

# Words within file names, with the separators around them; at the end of a name, L marks a mask in CamVid.
_NAME_WORDS = sorted({*MASK_WORDS, *OTHER_KIND_WORDS, *IMAGE_WORDS} - {"l", "ann", "raw"}, key=len, reverse=True)
_WORDS = re.compile(rf"[ _.-]*(?<![^\W\d_])(?:{'|'.join(_NAME_WORDS)})(?![^\W\d_])[ _.-]*|[_-](?-i:L)$", re.IGNORECASE)
_ANY_WORD = re.compile(f"{'|'.join(_NAME_WORDS)}|[_-]L$|[.](?:jpe?g|png|bmp|tiff?)$", re.IGNORECASE | re.MULTILINE)
_MASK_WORD = re.compile(
    rf"(?<![^\W\d_])(?:{'|'.join(sorted({*MASK_WORDS, *OTHER_KIND_WORDS}, key=len, reverse=True))})(?![^\W\d_])"
)
_GAP = "\0"  # stands where a word was removed from a name
_IMAGE_SUFFIX = re.compile(r"\.(jpe?g|png|bmp|tiff?)$", re.IGNORECASE)
_NUMBER = re.compile(r"[ _.-]?\d{1,4}$")
_FOLDER_WORD = re.compile(r"[^\W_]+")


class NameParts(NamedTuple):
    """The parts of the name of an image or a mask.

    Attributes:
        key: The name without suffix and without the words, in lower case; an image and its mask have the same one. It
            is "" for a name that only consists of words.
        words: The words, in lower case.
    """

    key: str
    words: tuple[str, ...]


def split_name(stem: str, own_words: re.Pattern[str] | None = None) -> NameParts:
    """Split the name of a file into its key and its words.

    Args:
        stem: The name without suffix. The suffix of an image that is left in it, as in "a.jpg.png", is removed.
        own_words: Another text that marks the masks of a source, see `own_word_pattern`.
    """
    stem = _IMAGE_SUFFIX.sub("", stem)
    words = [word.strip(" _.-").lower() for word in _WORDS.findall(stem)]
    rest = _WORDS.sub(_GAP, stem) if words else stem
    if own_words and (match := own_words.search(rest)):
        words.append(match.group().lower())
        rest = own_words.sub(_GAP, rest)
    if not words:
        return NameParts(stem.lower(), ())
    return NameParts(re.sub(f"{_GAP}+", "_", rest.strip(_GAP)).lower(), tuple(words))


def have_words(stems: Iterable[str]) -> bool:
    """Return whether any of the names of a folder may have a word or a suffix that `split_name` removes."""
    text = "\n".join(stems)
    return bool(_ANY_WORD.search(text))


def have_mask_words(names: Iterable[str]) -> bool:
    """Return whether a word in any of the names, which are in lower case, marks a mask."""
    return bool(_MASK_WORD.search("\n".join(names)))


def without_number(key: str) -> str:
    """Return a key without the number at its end, as "benign_1" is the second mask of "benign"."""
    return _NUMBER.sub("", key)


def own_word_pattern(affixes: Iterable[tuple[str, bool]]) -> re.Pattern[str]:
    """Return the pattern of the texts that stand beside the names of images in the names of their masks.

    Args:
        affixes: Each text, and whether it stands behind (true) or before the name.
    """
    return re.compile("|".join(re.escape(text) + "$" if at_end else "^" + re.escape(text) for text, at_end in affixes))


def names_mask(folder: str, words: tuple[str, ...] = ()) -> bool:
    """Return whether the words of a file, or else the innermost telling folder of a path, name masks."""
    return _names(folder, words) == "mask"


def names_image(folder: str, words: tuple[str, ...] = ()) -> bool:
    """Return whether the words of a file, or else the innermost telling folder of a path, name images."""
    return _names(folder, words) == "image"


def is_other_kind(folder: str, words: tuple[str, ...]) -> bool:
    """Return whether masks tell objects apart or are drawings, by their words or their innermost folder."""
    folder_words = _folder_words(os.path.basename(folder))
    return any(word in OTHER_KIND_WORDS for word in (*words, *folder_words))


def is_colored_mask(folder: str, words: tuple[str, ...]) -> bool:
    """Return whether the words of a file or of its innermost folder name masks in colors, as GT_color."""
    names = {*words, *_folder_words(os.path.basename(folder))}
    return bool(names & set(MASK_WORDS)) and names & set(OTHER_KIND_WORDS) <= {"color", "colors"}


def preference_of_name(folder: str, words: tuple[str, ...]) -> int:
    """Return the index of a kind of masks in `PREFERRED_KINDS`, or their number for another kind."""
    names = {os.path.basename(folder).lower(), *(word.strip(" _.-") for word in words)}
    return next((index for index, kind in enumerate(PREFERRED_KINDS) if kind in names), len(PREFERRED_KINDS))


def _names(folder: str, words: tuple[str, ...]) -> str:
    """Return "mask", "image" or "". A word for images in the name of a mask, as in masks/photo 1.png, tells nothing."""
    if any(word in MASK_WORDS or word in OTHER_KIND_WORDS for word in words):
        return "mask"
    for part in (*map(_folder_words, reversed(folder.split(os.sep))), words):
        if any(word in MASK_WORDS or word in OTHER_KIND_WORDS for word in part):
            return "mask"
        if any(word in IMAGE_WORDS for word in part):
            return "image"
        if part == ("y",):
            return "mask"
        if part == ("x",):
            return "image"
    return ""


def _folder_words(name: str) -> tuple[str, ...]:
    """Return the words of the name of a folder; "trainannot" ends with one."""
    words = []
    for word in _FOLDER_WORD.findall(name.lower()):
        words.append(word)
        words += [known for known in ("annot", "mask", "masks", "label", "labels", "gt") if word.endswith(known)]
    return tuple(words)
