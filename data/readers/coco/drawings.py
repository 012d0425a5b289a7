"""Folders that hold drawings of a data set's images under the same names: visualizations, masks and depth maps."""

import os
from collections.abc import Collection

from retinue.data.finding import NOTE, Finding
from retinue.data.readers.file_tree import FileTree

DRAWING_WORDS = ("visual", "segmentation", "mask", "overlay", "depth", "instance")  # in the names of such folders


def is_drawing_folder(folder: str) -> bool:
    """Return whether the name of a folder is that of drawings of images."""
    name = os.path.basename(folder).lower()
    return any(word in name for word in DRAWING_WORDS)


def drawing_folders(tree: FileTree, stems: Collection[str], image_folders: Collection[str]) -> list[str]:
    """Return the folders that only hold drawings of some images.

    Args:
        tree: The files of a source.
        stems: The names of the images, without suffixes.
        image_folders: The folders of the images.
    """
    return [
        folder
        for folder, names in tree.images.items()
        if folder not in image_folders and is_drawing_folder(folder) and all(stem in stems for stem in names)
    ]


def drawing_findings(tree: FileTree, folders: Collection[str]) -> list[Finding]:
    """Return a finding for each of the folders of drawings, which are not read."""
    reason = "its images have the names of the annotated ones, so they seem to be drawings of them"
    return [Finding(NOTE, "folder of drawings", tree.path(folder), "", reason, "ignored") for folder in folders]
