"""Images that belong together: those of one patient, object or clip, which have a folder below their class."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping

MIN_FOLDERS = 4  # below a class folder, on average: with fewer, a split by folders would be too coarse


def folders_of_groups(class_of: Mapping[str, str], are_clips: bool = False) -> dict[str, str]:
    """Return the folder of the patient, object or clip of each folder of images below a class folder.

    Args:
        class_of: The class folder of each folder of images, which may be the same folder.
        are_clips: Whether the folders hold the frames of clips. Otherwise, several folders are needed.

    Returns:
        {folder of images: folder of the group}, empty if there are too few.
    """
    below: dict[str, set[str]] = defaultdict(set)
    for folder, class_folder in class_of.items():
        if folder != class_folder:
            below[class_folder].add(folder)
    group_of: dict[str, str] = {}
    for class_folder, folders in below.items():
        group_of |= _without_common_names(folders, class_folder)
    enough = are_clips or len(set(group_of.values())) >= MIN_FOLDERS * len(set(class_of.values()))
    return group_of if enough else {}


def _without_common_names(folders: Iterable[str], class_folder: str) -> dict[str, str]:
    """Return the folder around each of the folders whose name is its own.

    The innermost folders may have names that repeat, as those of magnifications in the folder of each patient. These
    are fewer than the folders that they are in.
    """
    group_of = {folder: folder for folder in folders}
    while True:
        groups = set(group_of.values())
        parents = {os.path.dirname(group) for group in groups}
        if class_folder in parents or len({os.path.basename(group) for group in groups}) >= len(parents):
            return group_of
        group_of = {folder: os.path.dirname(group) for folder, group in group_of.items()}
