"""Clips in class folders: `DATA/<class>/*.mp4`, or folders of frames in them, perhaps below train, val and test."""

import itertools
import os

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.class_folders import (
    class_name,
    entries_in,
    files_in,
    folders_in,
    results_in,
    split_folders_in,
)
from retinue.data.storage.file_names import SPLIT_NAMES, VIDEO_SUFFIXES, looks_like_image, looks_like_video

LOOKED_AT = 200  # entries of a folder; what it is for shows early, and photos may be millions
DEPTH = 3  # folders below DATA that are looked into for a video


def has_videos(folder, depth=DEPTH):
    """Whether there is a video file in `folder` or a few folders down, by a look at the first files of each."""
    with os.scandir(folder) as entries:
        first = list(itertools.islice(entries, LOOKED_AT))
    if any(looks_like_video(entry.name) and entry.name[0] != "." for entry in first):
        return True
    inner = [entry.path for entry in first if entry.is_dir() and entry.name[0] != "."] if depth else []
    return any(has_videos(path, depth - 1) for path in sorted(inner))


def read_clip_folders(folder):
    """Read a folder of class folders into a `Dataset` for video; classes and clips are in sorted order.

    A clip is a video file, or a folder that holds pictures, which are its frames. Raises RetinueError when there is no
    clip or no class.
    """
    folder = os.fspath(folder)
    root, findings = _unwrapped(folder), []
    if root != folder:
        findings.append(Finding(NOTE, "folder in a folder", root, "", "the classes are one level down", "read there"))
    splits = split_folders_in(root)
    rows, names = [], set()
    for split, top in (splits or {"": ""}).items():
        place = os.path.join(root, top) if top else root
        findings += results_in(place)
        for name in folders_in(place):
            names.add(name)
            rows += [(clip, name, split) for clip in _clips_below(os.path.join(place, name), findings)]
    if not rows:
        raise RetinueError(
            f"{folder}: no clips in it; looked for {' '.join(VIDEO_SUFFIXES)} and for folders of frames in folders "
            "named by class"
        )
    classes = sorted({class_name(name) for name in names})
    rows.sort()
    labels = [classes.index(class_name(name)) for _, name, _ in rows]
    return clip_dataset(
        folder, "clip folders", [row[0] for row in rows], labels, classes, [row[2] for row in rows], findings
    )


def clip_dataset(source, form, files, labels, classes, splits, findings=(), groups=None, parts=None):
    """A `Dataset` for video. parts: (starts, ends) in seconds, None for whole clips; an end of 0 is the clip's own."""
    starts, ends = parts or (np.zeros(len(files)), np.zeros(len(files)))
    columns = {
        "label": np.asarray(labels, np.int64),
        "start": np.asarray(starts, np.float32),
        "end": np.asarray(ends, np.float32),
    }
    return Dataset(
        task="video",
        files=files,
        classes=classes,
        columns=columns,
        splits=np.array(splits, dtype=object),
        groups=None if groups is None else np.array(groups, dtype=object),
        source=source,
        format=form,
        findings=tuple(findings),
    )


def _unwrapped(root):
    """`root`, or the one folder in it that has the class folders, as an archive often unpacks."""
    while True:
        inner = [os.path.join(root, name) for name in folders_in(root)]
        if len(inner) != 1 or os.path.basename(inner[0]).lower() in SPLIT_NAMES or has_videos(root, 0):
            return root
        below = [os.path.join(inner[0], name) for name in folders_in(inner[0])]
        if len(below) < 2 or has_videos(inner[0], 0) or any(map(_is_clip, below)):
            return root
        root = inner[0]


def _is_clip(folder):
    return any(looks_like_image(name) for name in files_in(folder))


def _clips_below(folder, findings):
    for name in files_in(folder):
        file = os.path.join(folder, name)
        if looks_like_video(name):
            yield file
        elif not looks_like_image(name):
            findings.append(Finding(WARNING, "not used", file, "", "not a video", "passed over"))
    for entry in sorted(entries_in(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            if _is_clip(entry.path):
                yield entry.path
            else:
                yield from _clips_below(entry.path, findings)
