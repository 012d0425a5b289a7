"""Files with labels beside or in folders of images: they say that the folders are no classes."""

import os
import re
import shlex

from retinue.data.readers.class_folders.layout import ClassLayout, filled_classes, layout_path
from retinue.data.readers.clips.frame_folders import are_frames
from retinue.data.readers.file_tree import FileTree, is_below

ANNOTATION_SUFFIXES = (".xml", ".txt", ".json")  # of files that annotate the image of the same name
DATA_SET_SUFFIXES = (".csv", ".json", ".xml", ".yaml", ".yml")  # of files that annotate the images of a folder
LIST_SUFFIXES = (".csv", ".tsv", ".txt", ".lst")
PEEK_BYTES = 65_536  # of a list are read to see what it lists
MIN_LISTED = 3  # folders that a list must name

_SEPARATOR = re.compile(r"[;,\t ]+")


def problem_with_annotations(tree: FileTree, layout: ClassLayout) -> str:
    """Return why files of annotations say that the folders are no classes, or ""."""
    path = layout_path(tree, layout)
    annotated = {os.path.splitext(name)[0] for _, name in tree.files(ANNOTATION_SUFFIXES)}
    stems = [stem for folder in layout.images if annotated for stem in tree.images[folder]]
    num_annotated = sum(stem in annotated for stem in stems)
    if num_annotated * 2 > len(stems):
        return (
            f"{path}: {num_annotated:,} of {len(stems):,} images have a file of the same name "
            f"({' or '.join(ANNOTATION_SUFFIXES)}), which seem to be annotations that are not understood; if the "
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


def problem_with_listed_clips(tree: FileTree, layout: ClassLayout) -> str:
    """Return why the folders are clips, since they hold frames and a list gives several of them one label, or ""."""
    folders = [folder for folder in filled_classes(layout) if folder in layout.images]
    if not folders or not all(_holds_frames(layout.images[folder]) for folder in folders):
        return ""
    names = {os.path.basename(folder) for folder in folders}
    for folder, name in tree.files(LIST_SUFFIXES):
        label_of = _labels_in_list(tree.path(folder, name), names)
        labels = set(label_of.values())
        if len(label_of) * 2 < len(names) or not MIN_LISTED <= len(label_of) > len(labels):
            continue
        first = min(label_of)
        target = os.path.join(tree.root, label_of[first] or "LABEL", first)
        return (
            f"{layout_path(tree, layout)}: its folders hold numbered frames, and {tree.path(folder, name)} gives "
            f"several of them the same label, so they seem to be clips instead of classes; move the folder of each "
            f"clip into a folder that is named after its label (as in {target}), and check that folder with --task "
            "video"
        )
    return ""


def _holds_frames(names: list[str]) -> bool:
    return are_frames([os.path.splitext(name)[0] for name in names])


def _labels_in_list(path: str, names: set[str]) -> dict[str, str]:
    """Return what a list says behind each of the names at the beginning of its lines, for those that it has."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(PEEK_BYTES).splitlines()
    except OSError:
        return {}
    label_of = {}
    for line in lines:
        first, *rest = _SEPARATOR.split(line.strip(), maxsplit=1)
        if first in names:
            label_of[first] = rest[0].strip() if rest else ""
    return label_of
