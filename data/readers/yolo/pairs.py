"""Which text files of a tree are label files of YOLO, and of which images: by equal stems and by their content."""

import itertools
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.text_file import is_filled
from retinue.data.readers.yolo.labels import sample_label_file
from retinue.data.storage.file_names import looks_like_image

RUN_KINDS = ("detect", "segment", "pose", "obb", "track", "classify")  # the folders in Ultralytics' folder runs
OTHER_LABELS = (".xml", ".json")  # files beside images that label them in other formats
NUM_SAMPLES = 12  # label files of a folder whose first lines are looked at
MIN_SERVED = 0.5  # the part of a second folder's images for which a folder of labels must have a label file


@dataclass(frozen=True)
class FolderPair:
    """A folder of label files with a folder of images, both relative to the root of the tree.

    Attributes:
        label_folder: The folder of the text files.
        image_folder: The folder of the images.
        stems: The names without suffix that both have.
        kind: "labels", "empty", or how the lines differ from labels (see `sample_label_file`).
        rivals: Other folders with label files for the same images, when nothing tells which of them are meant.
    """

    label_folder: str
    image_folder: str
    stems: frozenset[str]
    kind: str
    rivals: tuple[str, ...] = ()


def pair_folders(tree: FileTree) -> list[FolderPair]:
    """Pair each folder of label files with the folders of its images.

    Where several folders have label files for the same images, Ultralytics' rule decides (`labels` in place of
    `images`), then the folder of the images itself; the files of the others are not paired. Without such a folder all
    of them are `rivals`.
    """
    stems_of_images = {stem for names in tree.images.values() for stem in names}
    pairs: dict[str, list[FolderPair]] = {}  # by folder of images
    for label_folder in tree.names:
        if is_prediction(label_folder):
            continue
        stems = texts_in(tree, label_folder).keys() & stems_of_images
        kind = _kind_of_folder(tree, label_folder, stems) if stems else ""
        if kind:
            for image_folder, matched in _serve(tree, label_folder, stems):
                pairs.setdefault(image_folder, []).append(FolderPair(label_folder, image_folder, matched, kind))
    return [pair for image_folder in sorted(pairs) for pair in _without_copies(pairs[image_folder])]


def text_stem(name: str) -> str | None:
    """Return the stem of the name of a text file, None for any other file."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() == ".txt" else None


def texts_in(tree: FileTree, folder: str) -> dict[str, str]:
    """Return the names of the text files in a folder by their stems."""
    return {stem: name for name in tree.names[folder] if (stem := text_stem(name)) is not None}


def images_in(tree: FileTree, folder: str) -> list[str]:
    """Return the names of the images in a folder, also those that share a stem."""
    return [name for name in tree.names[folder] if looks_like_image(name)]


def images_of_pair(tree: FileTree, pair: FolderPair) -> list[str]:
    """Return the names of the images of a pair: those with a label file, and those without any annotation.

    An image without a label file that has an XML or JSON file beside it is labeled there, and no image without objects.
    """
    beside = [name for name in tree.names[pair.image_folder] if name.lower().endswith(OTHER_LABELS)]
    others = {os.path.splitext(name)[0] for name in beside} - pair.stems
    return [name for name in images_in(tree, pair.image_folder) if os.path.splitext(name)[0] not in others]


def sample_kinds(tree: FileTree, folder: str, names: Sequence[str]) -> str:
    """Find out what the text files of a folder are, from the first lines of a few of them.

    Returns:
        What most of those that are not empty are (see `sample_label_file`); "empty" if all are.
    """
    paths = [tree.path(folder, name) for name in names]
    sampled = paths[:: max(1, len(paths) // NUM_SAMPLES)][:NUM_SAMPLES]
    kinds = [kind for path in sampled if (kind := sample_label_file(path)) != "empty"]
    if not kinds:
        filled = [path for path in paths if is_filled(path)][:NUM_SAMPLES]
        kinds = [kind for path in filled if (kind := sample_label_file(path)) != "empty"]
    if not kinds:
        return "empty"
    kind, count = Counter(kinds).most_common(1)[0]
    return kind if 2 * count >= len(kinds) else ""


def _kind_of_folder(tree: FileTree, folder: str, stems: set[str]) -> str:
    return sample_kinds(tree, folder, [name for name in tree.names[folder] if text_stem(name) in stems])


def _serve(tree: FileTree, label_folder: str, stems: set[str]) -> list[tuple[str, frozenset[str]]]:
    """Return the folders of images that label files belong to, with the common stems.

    The first is the one that `FileTree.find_image_folder` finds. The stems that it does not have can be those of a
    second folder, most of whose images they must be. Folders of different splits never belong together.
    """
    split = tree.split_of(label_folder)
    excluded = [
        folder
        for folder in tree.images
        if is_prediction(folder) or (split and tree.split_of(folder) not in ("", split))
    ]
    served: list[tuple[str, frozenset[str]]] = []
    while stems and (image_folder := tree.find_image_folder(label_folder, stems, excluded)) is not None:
        matched = frozenset(stems & tree.images[image_folder].keys())
        if not served or len(matched) >= MIN_SERVED * len(tree.images[image_folder]):
            served.append((image_folder, matched))
            stems = stems - matched
        excluded.append(image_folder)
    return served


def is_prediction(folder: str) -> bool:
    """Return whether a folder is one into which Ultralytics writes predictions, such as runs/detect/predict."""
    parts = folder.lower().split(os.sep)
    return any(part == "runs" and inner in RUN_KINDS for part, inner in itertools.pairwise(parts))


def _without_copies(pairs: list[FolderPair]) -> list[FolderPair]:
    """Return the pairs of one folder of images, without those that have other label files for the same images."""
    image_folder = pairs[0].image_folder
    parts = image_folder.split(os.sep)
    by_rule = [
        os.sep.join([*parts[:index], "labels", *parts[index + 1 :]])
        for index, part in enumerate(parts)
        if part.lower() == "images"
    ]

    def rank(pair: FolderPair) -> tuple[int, int, str]:
        likely = pair.label_folder.lower() == (by_rule[-1].lower() if by_rule else None)
        beside = pair.label_folder == image_folder
        return (0 if likely else 1 if beside else 2), -len(pair.stems), pair.label_folder

    chosen: list[FolderPair] = []
    for pair in sorted(pairs, key=rank):
        taken = frozenset().union(*(other.stems for other in chosen))
        common = len(pair.stems & taken)
        if 2 * common <= len(pair.stems):
            chosen.append(FolderPair(pair.label_folder, image_folder, pair.stems - taken, pair.kind))
        elif rank(chosen[0])[0] == 2 and pair.kind == "labels":
            first = chosen[0]
            rivals = (*first.rivals, pair.label_folder)
            chosen[0] = FolderPair(first.label_folder, image_folder, first.stems, first.kind, rivals)
    return chosen
