"""The files of a source, listed once: what every reader looks at to find out whether it can read the source."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property

from retinue.data.finding import Finding
from retinue.data.readers.folders import files_in, folders_in, result_findings
from retinue.data.storage.file_names import (
    SPLIT_COMPANIONS,
    SPLIT_NAMES,
    VIDEO_SUFFIXES,
    looks_like_image,
    looks_like_video,
    split_of_name,
    splits_of_names,
)

# Words in the names of folders that only hold annotations, besides those that begin with "annot".
ANNOTATION_WORDS = (
    *("anno", "annos", "ann", "anns", "label", "labels", "json", "jsons", "xml", "xmls", "gt"),
    *("instances", "boxes", "bbox", "bboxes", "groundtruth", "truth"),
)
# Words that may stand beside them. A folder that has only these, or other words, is a data set of its own.
WORDS_BESIDE = (*SPLIT_NAMES, *SPLIT_COMPANIONS, "trainval", "ground", "coco", "voc", "pascal", "default")
DEPTH_AROUND = 3  # of folders below the one that holds a folder of annotations

_WORD = re.compile(r"[^\W\d_]+")


class FileTree:
    """The names of all files below a folder.

    Hidden files, the metadata files of operating systems and what repositories contain besides data are left out, and
    so are folders that retinue wrote. Links to folders are followed, but never in a circle.

    Folders are named relative to the root, with "" for the root itself.

    Attributes:
        root: The folder, as the user named it.
        names: The sorted file names of each folder, in sorted order of the folders.
        findings: A finding for each folder that retinue wrote.
    """

    def __init__(self, root: str, depth: int | None = None) -> None:
        """List the files below `root`.

        Args:
            root: The folder.
            depth: How many levels of folders below `root` are listed. None lists all.

        Raises:
            RetinueError: A folder can't be read.
        """
        self.root = root
        self.names: dict[str, list[str]] = {}
        self.findings: list[Finding] = []
        self._splits_in: dict[str, dict[str, str]] = {}  # by folder: of the folders in it
        self._list("", (), depth)

    def path(self, folder: str, name: str = "") -> str:
        """Return the path of a file or a folder of this tree, which can be opened."""
        return os.path.normpath(os.path.join(self.root, folder, name))

    def paths(self, folder: str, names: Iterable[str]) -> list[str]:
        """Return what `path` returns for each of the names of files in a folder."""
        path = self.path(folder)
        prefix = "" if path == os.curdir else os.path.join(path, "")
        return [prefix + name for name in names]

    def files(self, suffixes: str | tuple[str, ...], folder: str = "") -> Iterator[tuple[str, str]]:
        """Yield the folder and the name of every file with one of these suffixes, which are in lower case.

        Args:
            suffixes: One suffix or several, as for `str.endswith`.
            folder: The folder below which they are.
        """
        for inner, names in self.names.items():
            if is_below(inner, folder):
                yield from ((inner, name) for name in names if name.lower().endswith(suffixes))

    @cached_property
    def images(self) -> dict[str, dict[str, str]]:
        """The images of each folder that has some: the file name by its stem, which is the name without its suffix.

        Of several images with one stem, the first in sorted order is here.
        """
        folders = {}
        for folder, names in self.names.items():
            stems: dict[str, str] = {}
            for name in names:
                if looks_like_image(name):
                    stems.setdefault(os.path.splitext(name)[0], name)
            if stems:
                folders[folder] = stems
        return folders

    @cached_property
    def image_paths(self) -> frozenset[str]:
        """The paths of all images, as `path` returns them."""
        return frozenset(
            path for folder, names in self.names.items() for path in self.paths(folder, filter(looks_like_image, names))
        )

    @cached_property
    def has_videos(self) -> bool:
        """Whether there is a video file."""
        return any(looks_like_video(self.path(folder, name)) for folder, name in self.files(VIDEO_SUFFIXES))

    def subfolders(self, folder: str) -> list[str]:
        """Return the folders directly in `folder`."""
        return self._subfolders.get(folder, [])

    def split_of(self, folder: str) -> str:
        """Return the split that a folder or one above it is named after, "" for none; the innermost one decides."""
        while folder:
            above, name = os.path.split(folder)
            if above not in self._splits_in:
                self._splits_in[above] = splits_of_names(map(os.path.basename, self.subfolders(above)))
            if split := self._splits_in[above].get(name, "") or split_of_name(name):
                return split
            folder = above
        return ""

    def images_below(self, folder: str) -> int:
        """Return the number of images in a folder and below it."""
        return sum(len(stems) for inner, stems in self.images.items() if is_below(inner, folder))

    def find_image_folder(self, folder: str, stems: Collection[str], excluded: Collection[str] = ()) -> str | None:
        """Return the folder with the images that belong to the annotation files of `folder`, or None.

        It is the folder with the most images of these stems. Of several with equally many, it is one of the same split,
        then the one whose path has the most folder names in common, then the nearest.

        Args:
            folder: The folder of the annotation files, one per image.
            stems: Their names without suffixes.
            excluded: Folders that don't hold images, but for example masks.
        """
        counts: Counter[str] = Counter()
        for stem in stems:
            counts.update(self._folders_of_stem.get(stem, ()))
        candidates = [inner for inner in counts if inner not in excluded]
        if not candidates:
            return None
        parts, split = folder.split(os.sep), self.split_of(folder)

        def key(inner: str) -> tuple[int, bool, int, int, str]:
            others = inner.split(os.sep)
            common = len(set(parts) & set(others))
            return counts[inner], self.split_of(inner) == split, common, -abs(len(parts) - len(others)), inner

        return max(candidates, key=key)

    @cached_property
    def _subfolders(self) -> dict[str, list[str]]:
        folders: dict[str, list[str]] = {}
        for folder in filter(None, self.names):
            folders.setdefault(os.path.dirname(folder), []).append(folder)
        return folders

    @cached_property
    def _folders_of_stem(self) -> dict[str, list[str]]:
        folders: dict[str, list[str]] = {}
        for folder, stems in self.images.items():
            for stem in stems:
                folders.setdefault(stem, []).append(folder)
        return folders

    def _list(self, folder: str, above: tuple[str, ...], depth: int | None) -> None:
        path = os.path.join(self.root, folder)
        real_path = os.path.realpath(path)
        if real_path in above:
            return
        self.names[folder] = files_in(path)
        self.findings += result_findings(path)
        if depth == 0:
            return
        for name in folders_in(path):
            self._list(os.path.join(folder, name), (*above, real_path), None if depth is None else depth - 1)


def tree_around(folder: str, depth: int = DEPTH_AROUND) -> FileTree | None:
    """Return the tree of the folder above a folder of annotations, whose images are not below it.

    Any other folder has none, also one that is named after its objects (`cars_voc`): what lies beside it may be other
    data, with images of the same names.

    Args:
        folder: The folder of the annotations.
        depth: How many levels of folders are listed, since the folder above may hold much else.
    """
    words = _WORD.findall(os.path.basename(os.path.abspath(folder)).lower())
    others = [word for word in words if word not in ANNOTATION_WORDS and not word.startswith("annot")]
    if len(others) == len(words) or not all(word in WORDS_BESIDE or split_of_name(word) for word in others):
        return None
    return FileTree(os.path.normpath(os.path.join(folder, os.pardir)), depth)


def is_below(folder: str, above: str) -> bool:
    """Return whether a folder is `above` or below it; both are relative to the root of a `FileTree`."""
    return not above or folder == above or folder.startswith(above + os.sep)


def split_in_path(folder: str) -> str:
    """Return the split that a folder of a path is named after, "" for none; the innermost one decides.

    Where there is a `FileTree`, its `split_of` also knows the names of the folders beside it.
    """
    return next((split for part in reversed(folder.split(os.sep)) if (split := split_of_name(part))), "")


def common_folder(folders: Iterable[str]) -> str:
    """Return the innermost folder that holds all of these folders, each relative to the root of a `FileTree`."""
    parts = [folder.split(os.sep) if folder else [] for folder in folders]
    common = []
    for names in zip(*parts, strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return os.sep.join(common)
