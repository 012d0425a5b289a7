"""What the names of files and folders mean: images, videos, splits, and the order of frames."""

import os
import re
from collections.abc import Iterable

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif", ".hif", ".pgm", ".ppm", ".pbm", ".pnm"),
)
VIDEO_SUFFIXES = (
    *(".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".mpe", ".m2v", ".vob", ".wmv", ".asf", ".flv"),
    *(".f4v", ".3gp", ".3g2", ".ogv", ".ogm", ".divx", ".mxf", ".dv", ".y4m", ".ts", ".mts", ".m2ts"),
)
CODE_SUFFIXES = (".ts", ".mts")  # of an MPEG transport stream, or of a program in TypeScript
# Image formats that retinue cannot decode. Such files are listed all the same, so that the check reports them.
UNSUPPORTED_IMAGE_SUFFIXES = (
    *(".jxl", ".jp2", ".psd", ".dcm", ".dicom", ".exr", ".nii", ".nii.gz", ".czi", ".nd2"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".x3f", ".mrw"),
)

# The split that a folder's name, or a value of a table, stands for.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "validate": "val",
    "dev": "val",
    "eval": "val",
    "evaluation": "val",
    "test": "test",
    "testing": "test",
}

# Words that stand beside the split in the names of folders and files, as in training_set, seg_train and trainannot.
SPLIT_COMPANIONS = (
    *("set", "sets", "split", "data", "dataset", "subset", "images", "image", "imgs", "img", "pics", "photos"),
    *("jpeg", "jpg", "png", "labels", "label", "annotations", "annotation", "annotated", "annot", "ann", "anns"),
    *("masks", "mask", "gt", "obj", "seg", "instances", "boxes", "bbox", "files", "folder", "new", "final"),
    *("videos", "video", "clips", "clip", "frames", "sample", "samples"),
)

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+")


def looks_like_image(name: str) -> bool:
    """Return whether a file name has the ending of an image, including formats that cannot be decoded."""
    return name.lower().endswith(IMAGE_SUFFIXES + UNSUPPORTED_IMAGE_SUFFIXES)


def looks_like_video(name: str) -> bool:
    """Return whether a file has the ending of a video.

    Args:
        name: The path, or only the name if there is no file. Some endings are also those of programs in TypeScript;
            such a file is opened.
    """
    return name.lower().endswith(VIDEO_SUFFIXES) and not _is_code(name)


def _is_code(path: str) -> bool:
    """Return whether a file with the ending of a transport stream is none: its packets begin with the byte 0x47."""
    if not path.lower().endswith(CODE_SUFFIXES):
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(256)
    except OSError:
        return False
    # The packets of a camera or a Blu-ray disc (.mts) have 4 more bytes at their start.
    return not any(head[start : start + 1] == head[end : end + 1] == b"\x47" for start, end in ((0, 188), (4, 196)))


def split_of_name(name: str) -> str:
    """Return the split that the name of a folder or a file stands for, or "".

    The name is a word of `SPLIT_NAMES`, alone or with numbers and words of `SPLIT_COMPANIONS`: "train2017",
    "training_set", "obj_Train_data" and "trainannot" are train.

    Args:
        name: The name without suffix.
    """
    splits = set()
    for word in _WORD.findall(name.lower()):
        if word in SPLIT_COMPANIONS:
            continue
        stems = [word, *(word.removesuffix(companion) for companion in SPLIT_COMPANIONS)]
        split = next((SPLIT_NAMES[stem] for stem in stems if stem in SPLIT_NAMES), None)
        if split is None:
            return ""
        splits.add(split)
    return splits.pop() if len(splits) == 1 else ""


def splits_of_names(names: Iterable[str]) -> dict[str, str]:
    """Return the split of each name of folders that lie side by side, "" for none.

    Beside what `split_of_name` knows, names that are equal before the word of the split, or after it, are splits if one
    is train and another is not: "fruits_train" and "fruits_test", "train_v2" and "val_v2". Beside "fruits-test" and
    without a name of train, "fruits" is train.
    """
    split_of = {name: split_of_name(name) for name in names}
    alike: dict[tuple[str, str], dict[str, str]] = {}
    for name in (name for name, split in split_of.items() if not split):
        words = [word for word in _WORD.finditer(name.lower()) if word.group() in SPLIT_NAMES]
        if words:
            before, after = name[: words[0].start()].lower(), name[words[-1].end() :].lower()
            key = (before, "") if before else ("", after)
            alike.setdefault(key, {})[name] = SPLIT_NAMES[words[0].group()]
    for (before, _), splits in alike.items():
        whole = next((name for name in split_of if before and name.lower() == before.rstrip("-_. ")), None)
        if whole is not None and "train" not in splits.values():
            splits[whole] = "train"
        if "train" in splits.values() and len(set(splits.values())) > 1:
            split_of |= splits
    return split_of


def split_in_words(name: str) -> str:
    """Return the split that one word of a name stands for, or "": "via_basketball_train" is train.

    Other words may be anything, so this is only for the names of files that are known to hold annotations.

    Args:
        name: The name without suffix.
    """
    splits = {SPLIT_NAMES[word] for word in re.findall("[a-z]+", name.lower()) if word in SPLIT_NAMES}
    return splits.pop() if len(splits) == 1 else ""


def frame_paths(folder: str) -> list[str]:
    """List the images of a folder of frames, in the order of the numbers in their names.

    Args:
        folder: The folder. Hidden files in it are ignored.

    Returns:
        The paths of the images.
    """
    names = [name for name in os.listdir(folder) if name.lower().endswith(IMAGE_SUFFIXES) and name[0] != "."]
    names.sort(key=lambda name: (_NUMBER.sub(lambda digits: digits.group().zfill(20), name), name))
    return [os.path.join(folder, name) for name in names]
