"""Files with labels beside or in folders of images: they say that the folders are no classes."""

import os
import re
import shlex

from retinue.data.readers.class_folders.layout import ClassLayout, filled_classes, layout_path
from retinue.data.readers.clips.frame_folders import are_frames
from retinue.data.readers.file_tree import FileTree, is_below

# Of files that annotate the image of the same name: boxes, landmarks, flow, disparities and arrays, too.
ANNOTATION_SUFFIXES = (".xml", ".txt", ".json", ".mat", ".pts", ".flo", ".pfm", ".npy")
DATA_SET_SUFFIXES = (".csv", ".json", ".xml", ".yaml", ".yml")  # of files that annotate the images of a folder
LIST_SUFFIXES = (".csv", ".tsv", ".txt", ".lst")
PEEK_BYTES = 65_536  # of a list are read to see what it lists
MIN_LISTED = 3  # folders that a list must name
MOST = 0.8  # of the folders hold frames, and this fraction of them is listed, or of the lines of a list
MAX_PEEKED = 20  # lists that are opened

_DIGIT = re.compile(r"\d")
_SEPARATOR = re.compile(r"[;,\t ]+")


def problem_with_annotations(tree: FileTree, layout: ClassLayout) -> str:
    """Return why files of annotations say that the folders are no classes, or ""."""
    path = layout_path(tree, layout)
    annotated = dict(os.path.splitext(name) for _, name in tree.files(ANNOTATION_SUFFIXES))
    stems = [stem for folder in layout.images if annotated for stem in tree.images[folder]]
    num_annotated = sum(stem in annotated for stem in stems)
    if num_annotated * 2 > len(stems):
        suffixes = " or ".join(sorted({annotated[stem] for stem in stems if stem in annotated}))
        return (
            f"{path}: {num_annotated:,} of {len(stems):,} images have a file of the same name "
            f"({suffixes}), which seem to be annotations that are not understood; if the "
            "folders are classes, move these files away, or list the images in a CSV with the columns file,label"
        )
    with_files: dict[str, str] = {}
    for folder, name in tree.files(DATA_SET_SUFFIXES):
        owner = next((known for known in layout.classes if is_below(folder, known)), None)
        if owner:
            with_files.setdefault(owner, os.path.join(folder, name))
    if len(with_files) > 1 and len(with_files) * 2 > len(layout.classes):
        first, second = list(with_files.values())[:2]
        return (
            f"{path}: its folders hold files of annotations of their own ({first}, {second}, ...), so they seem to be "
            f"several data sets instead of classes; give one of them: retinue check "
            f"{shlex.quote(tree.path(next(iter(with_files))))}"
        )
    return ""


def problem_with_clips(tree: FileTree, layout: ClassLayout) -> str:
    """Return why the folders are clips, or "".

    They are numbered and hold frames, and either their images are named frames or a list gives several of them one
    label.
    """
    folders = [folder for folder in filled_classes(layout) if folder in layout.images]
    names = {os.path.basename(folder) for folder in folders if _DIGIT.search(os.path.basename(folder))}
    if not folders or len(names) < len(folders):
        return ""
    known = set(folders)
    files = [item for item in tree.files(LIST_SUFFIXES) if item[0] not in known]
    are_named = all("frame" in layout.images[folder][0].lower() for folder in folders)
    if not (files or are_named):
        return ""
    if sum(_holds_frames(layout.images[folder]) for folder in folders) < MOST * len(folders):
        return ""
    for folder, name in files[:MAX_PEEKED]:
        label_of, num_lines = _labels_in_list(tree.path(folder, name), names)
        enough = max(MIN_LISTED, min(MOST * num_lines, MOST * len(names)))
        if len(label_of) < enough or len(set(label_of.values())) == len(label_of):
            continue
        first = min(label_of)
        target = os.path.join(tree.root, label_of[first], first)
        return (
            f"{layout_path(tree, layout)}: its folders hold numbered frames, and {tree.path(folder, name)} gives "
            f"several of them the same label, so they seem to be clips instead of classes; move the folder of each "
            f"clip into a folder that is named after its label (as in {target}), and check that folder with --task "
            "video"
        )
    if are_named:
        return (
            f"{layout_path(tree, layout)}: its folders are numbered and hold frames, so they seem to be clips instead "
            "of classes; move the folder of each clip into a folder that is named after its label, and check the "
            "folder of these with --task video"
        )
    return ""


def _holds_frames(names: list[str]) -> bool:
    return are_frames([os.path.splitext(name)[0] for name in names])


def _labels_in_list(path: str, names: set[str]) -> tuple[dict[str, str], int]:
    """Return the text behind each of the names with which a line of a list begins, and the number of lines."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(PEEK_BYTES).splitlines()
    except OSError:
        return {}, 0
    label_of = {}
    for line in lines:
        first, *rest = _SEPARATOR.split(line.strip(), maxsplit=1)
        if first in names and rest and rest[0].strip():
            label_of[first] = rest[0].strip()
    return label_of, len(lines)
