"""Clips that are stored as folders of numbered frames: how they differ from other folders of images."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

MIN_FRAMES = 3  # of a folder
MOST = 0.8  # of the folders below the classes hold frames, and of the images are in them
FRAME_DIGITS = 5  # of numbers with zeros before them, as tools that unpack videos write them

_NUMBER = re.compile(r"\d+")
_FRAME_WORD = re.compile(r"(?<![a-z])frames?(?![a-z])")
_CLIP_WORD = re.compile(r"(?<![a-z])(?:videos?|vids?|clips?|seqs?|sequences?)(?![a-z])|^v_|g\d+_c\d+$")


@dataclass(frozen=True)
class FrameFolders:
    """Folders of frames below class folders.

    Attributes:
        folders: The folders, relative to the root of the tree.
        mixed: Whether they also hold other images with the same numbers, such as optical flow.
        certain: Whether their names tell that they are clips. Otherwise they may be anything with numbered images, such
            as the images of patients.
    """

    folders: tuple[str, ...]
    certain: bool
    mixed: bool = False


def find_frame_folders(images: Mapping[str, Sequence[str]], classes: Collection[str]) -> FrameFolders | None:
    """Return the folders of frames below class folders, or None if the images are not such frames.

    Args:
        images: The file names of the images of each folder.
        classes: The class folders.
    """
    parents, count = set(classes), 0
    stems: dict[str, list[str]] = {}  # of the images of each folder below a class folder
    for folder, names in images.items():
        is_inside = any(above in parents for above in _folders_above(folder))
        if is_inside or folder in parents:
            count += len(names)
        if is_inside:
            stems[folder] = [os.path.splitext(name)[0] for name in names]
    kinds = {folder: _kinds_of_frames(names) for folder, names in stems.items()}
    clips = [folder for folder, names in stems.items() if kinds[folder]]
    filled = {above for folder in clips for above in _folders_above(folder) if above in parents}
    enough = len(clips) >= MOST * len(stems) and sum(len(stems[folder]) for folder in clips) >= MOST * count
    if not clips or not enough or len(clips) < 2 * len(filled):
        return None
    certain = all(_is_named_clip(folder, stems[folder]) for folder in clips)
    mixed = any(kinds[folder] > 1 for folder in clips)
    return FrameFolders(tuple(clips), certain, mixed) if certain or not mixed else None


def _kinds_of_frames(stems: Sequence[str]) -> int:
    """Return how many kinds of frames a folder holds, 0 if it holds something else."""
    kinds: dict[str, list[str]] = {}
    for stem in stems:
        kinds.setdefault(_NUMBER.sub("#", stem), []).append(stem)
    same = {len(names) for names in kinds.values()}
    return len(kinds) if max(same) - min(same) <= 1 and all(map(are_frames, kinds.values())) else 0


def are_frames(stems: Sequence[str]) -> bool:
    """Return whether the names of the images of a folder are equal but for one running number.

    Args:
        stems: The names without suffixes.
    """
    if len(stems) < MIN_FRAMES or len({_NUMBER.sub("#", stem) for stem in stems}) > 1:
        return False
    columns = [set(column) for column in zip(*(_NUMBER.findall(stem) for stem in stems), strict=True)]
    changing = [column for column in columns if len(column) > 1]
    if len(changing) != 1:
        return False
    numbers = sorted(map(int, changing[0]))
    steps = {second - first for first, second in zip(numbers, numbers[1:], strict=False)}
    return len(steps) == 1 or numbers[-1] - numbers[0] < 2 * len(numbers)


def _is_named_clip(folder: str, stems: Sequence[str]) -> bool:
    """Return whether the name of a folder, or those of its images, tell that it is a clip."""
    if _CLIP_WORD.search(os.path.basename(folder).lower()) or _FRAME_WORD.search(stems[0].lower()):
        return True
    number = _NUMBER.findall(min(stems))[-1]
    return len(number) >= FRAME_DIGITS and number[0] == "0"


def _folders_above(folder: str) -> list[str]:
    parts = folder.split(os.sep)
    return [os.sep.join(parts[:count]) for count in range(len(parts))]
