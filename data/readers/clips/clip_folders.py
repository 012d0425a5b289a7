"""Clips in class folders: `DATA/<class>/*.mp4`, or folders of frames, optionally below train, val and test."""

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.explanation import Explanation
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.folders import (
    class_name,
    entries_in,
    files_below,
    files_in,
    folders_in,
    result_findings,
    split_folders_in,
)
from retinue.data.readers.unknown_source import describe_unlabeled
from retinue.data.storage.file_names import VIDEO_SUFFIXES, looks_like_image, looks_like_video, split_of_name

MAX_ENTRIES = 200  # of a folder are inspected: the first ones show what it holds, and there may be millions of images
MAX_DEPTH = 3  # of the folders below DATA in which a video is looked for
UCF_CLIP = re.compile(r"(.+_g\d+)_c\d+")  # the name of a clip of UCF-101 with its group


def has_videos(folder: str, depth: int = MAX_DEPTH) -> bool:
    """Return whether there is a video in `folder` or up to `depth` folders down, by the first files of each folder."""
    with os.scandir(folder) as entries:
        first = list(itertools.islice(entries, MAX_ENTRIES))
    if any(entry.name[0] != "." and looks_like_video(entry.path) for entry in first):
        return True
    inner = [entry.path for entry in first if entry.is_dir() and entry.name[0] != "."] if depth else []
    return any(has_videos(path, depth - 1) for path in sorted(inner))


def explain(tree: FileTree) -> list[Explanation]:
    """Return what clips in class folders explain of a source, if it has videos and no split files of a benchmark."""
    if not tree.has_videos:
        return []
    return [
        Explanation(
            format="clip folders",
            tasks=("video",),
            source=tree.root,
            images=tree.image_paths,
            labels=f"the names of the folders in {tree.root}",
            read=lambda options: read_clip_folders(tree.root),
            implicit=True,
        )
    ]


def read_clip_folders(folder: str | os.PathLike[str]) -> Dataset:
    """Read a folder of class folders into a `Dataset` for video; classes and clips are in sorted order.

    A clip is a video file, or a folder of images, which are its frames.

    Args:
        folder: The folder of the class folders, or of the folders of the splits.

    Returns:
        The dataset, with the columns `label`, `start` and `end`.

    Raises:
        RetinueError: There is no clip, or only one class.
    """
    folder = os.fspath(folder)
    root, findings = _unwrap(folder), list[Finding]()
    if root != folder:
        findings.append(Finding(NOTE, "folder in a folder", root, "", "the classes are one level down", "read there"))
    rows, names = list[tuple[str, str, str]](), set[str]()  # path, name of the class folder, split
    empty = set[str]()  # classes without clips
    for split, split_folder in (split_folders_in(root) or {"": ""}).items():
        parent = os.path.join(root, split_folder) if split_folder else root
        findings += result_findings(parent)
        for name in folders_in(parent):
            below = os.path.join(parent, name)
            clips = list(_clips_below(below, findings))
            if clips:
                names.add(name)
            elif not any(files_below(below, [])):
                empty.add(name)
            rows += [(clip, name, split) for clip in clips]
    if len(names) < 2:
        tree = FileTree(folder)
        stems = _stems_of_videos(tree)
        if stems:
            raise RetinueError(describe_unlabeled(tree, "video", stems, next(iter(names), "")))
    if not rows:
        raise RetinueError(
            f"{folder}: there are no clips in it; looked for {' '.join(VIDEO_SUFFIXES)} and for folders of frames in "
            "folders that are named after the classes"
        )
    classes = sorted({class_name(name) for name in names | empty})
    rows.sort()
    labels = [classes.index(class_name(name)) for _, name, _ in rows]
    files, splits = [row[0] for row in rows], [row[2] for row in rows]
    return clip_dataset(folder, "clip folders", files, labels, classes, splits, findings, _groups_of(files))


def clip_dataset(
    source: str,
    source_format: str,
    files: Sequence[str],
    labels: Sequence[int],
    classes: Sequence[str],
    splits: Sequence[str],
    findings: Iterable[Finding] = (),
    groups: Sequence[str] | None = None,
    times: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Dataset:
    """Build a `Dataset` for video.

    Args:
        source: Where it was read from.
        source_format: The name of the format, for messages and reports.
        files: Path of each clip, `[n]`.
        labels: Index of each clip's class, `[n]`.
        classes: The class names.
        splits: "train", "val", "test" or "" of each clip, `[n]`.
        findings: What the reader noticed.
        groups: The group of each clip, `[n]`; clips of one group stay in one split.
        times: Starts and ends of the clips in seconds, each `[n]`; an end of 0 is the end of the video. None for whole
            videos.
    """
    starts, ends = times or (np.zeros(len(files)), np.zeros(len(files)))
    columns = {
        "label": np.asarray(labels, np.int64),
        "start": np.asarray(starts, np.float32),
        "end": np.asarray(ends, np.float32),
    }
    return Dataset(
        task="video",
        files=np.array(files, dtype=object),
        classes=tuple(classes),
        columns=columns,
        splits=np.array(splits, dtype=object),
        groups=None if groups is None else np.array(groups, dtype=object),
        source=source,
        format=source_format,
        findings=tuple(findings),
    )


def _groups_of(files: Sequence[str]) -> list[str] | None:
    """Return the group of each clip if all have names of UCF-101, which tell the video that a clip was cut from."""
    stems = [os.path.splitext(os.path.basename(file))[0] for file in files]
    matches = [UCF_CLIP.fullmatch(stem) for stem in stems]
    groups = [match.group(1) for match in matches if match]
    return groups if len(groups) == len(files) else None


def _stems_of_videos(tree: FileTree) -> dict[str, list[str]]:
    """Return the names without suffixes of the videos of each folder that has some."""
    stems: dict[str, list[str]] = {}
    for folder, names in tree.names.items():
        videos = [name for name in names if looks_like_video(tree.path(folder, name))]
        if videos:
            stems[folder] = [os.path.splitext(name)[0] for name in videos]
    return stems


def _unwrap(root: str) -> str:
    """Return `root`, or the one folder in it that has the class folders, as an archive often unpacks."""
    while True:
        inner = [os.path.join(root, name) for name in folders_in(root)]
        if len(inner) != 1 or split_of_name(os.path.basename(inner[0])) or has_videos(root, 0):
            return root
        below = [os.path.join(inner[0], name) for name in folders_in(inner[0])]
        if len(below) < 2 or has_videos(inner[0], 0) or any(map(_has_frames, below)):
            return root
        root = inner[0]


def _has_frames(folder: str) -> bool:
    return any(looks_like_image(name) for name in files_in(folder))


def _clips_below(folder: str, findings: list[Finding]) -> Iterator[str]:
    """Yield the path of every video file and every folder of frames below `folder`."""
    for name in files_in(folder):
        file = os.path.join(folder, name)
        if looks_like_video(file):
            yield file
        elif not looks_like_image(name):
            findings.append(Finding(WARNING, "not used", file, "", "not a video", "ignored"))
    for entry in sorted(entries_in(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            if _has_frames(entry.path):
                yield entry.path
            else:
                yield from _clips_below(entry.path, findings)
