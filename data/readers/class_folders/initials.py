"""Folders that only sort the class folders by their first letter, as those of SUN397 and Places do: a/abbey, b/bar."""

import os

from retinue.data.readers.class_folders.layout import ClassLayout, layout_path
from retinue.data.readers.file_tree import FileTree


def problem_with_initials(tree: FileTree, layout: ClassLayout) -> str:
    """Return why folders are no classes, but the first letters of the folders in them, or ""."""
    folders = [folder for folder in layout.classes if layout.below[folder]]
    if len(folders) < 2 or any(len(os.path.basename(folder)) > 1 or folder in layout.images for folder in folders):
        return ""
    inner = {folder: [os.path.basename(name) for name in tree.subfolders(folder)] for folder in folders}
    if not all(_begins_with(name, os.path.basename(folder)) for folder, names in inner.items() for name in names):
        return ""
    first = folders[0]
    example = os.path.join(os.path.basename(first), inner[first][0])
    path = layout_path(tree, layout)
    return (
        f"{path}: its folders seem to be the first letters of the classes in them, as in {example}; move the folders "
        "of the classes one level up, or list the images in a CSV with the columns file,label"
    )


def _begins_with(name: str, letter: str) -> bool:
    """Return whether the name of a folder is a word with this first letter."""
    return name[:3].isalpha() and name[0].lower() == letter.lower()
