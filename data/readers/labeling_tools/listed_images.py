"""Finding the image files that annotations name: beside them, in another folder, or under an address of elsewhere."""

import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, unquote, urlsplit

from retinue.data.readers.file_tree import FileTree, split_in_path
from retinue.data.storage.file_names import SPLIT_COMPANIONS, looks_like_image, split_of_name

MAX_NEARBY_FOLDERS = 1000
IMAGE_FOLDERS = ("jpegimages", "jpegs", "frames", "raw", "original", "upload", "uploads")  # besides SPLIT_COMPANIONS
UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the name of an uploaded file


class ListedImageFinder:
    """The image files of a source by their names.

    Attributes:
        root: The folder that holds them all.
        paths: Their paths.
    """

    def __init__(self, root: str, names: Mapping[str, Sequence[str]]) -> None:
        """Index the images.

        Args:
            root: The folder that holds them all.
            names: The file names in each folder, by the path of the folder.
        """
        self.root = root
        self.paths: set[str] = set()
        self._splits: dict[str, str] = {}  # by the folder
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for folder, files in names.items():
            for name in filter(looks_like_image, files):
                path = os.path.normpath(os.path.join(folder, name))
                self.paths.add(path)
                self._by_name.setdefault(_key(name), []).append(path)
                self._by_stem.setdefault(_key(os.path.splitext(name)[0]), []).append(path)

    @classmethod
    def of_tree(cls, tree: FileTree) -> "ListedImageFinder":
        """Index the images of a source."""
        return cls(tree.root, {tree.path(folder): names for folder, names in tree.names.items()})

    @classmethod
    def near(cls, folder: str) -> "ListedImageFinder":
        """Index the images beside a folder: in the folder above it, and in the folders of images or of splits there.

        Other folders there are other data, whose images may well have the same names.
        """
        above = os.path.normpath(os.path.join(folder, os.pardir))
        names: dict[str, list[str]] = {}
        waiting = [above]
        for path in waiting:
            try:
                with os.scandir(path) as entries:
                    listed = sorted((entry.name, entry.is_dir()) for entry in entries if entry.name[0] != ".")
            except OSError:
                continue
            names[path] = [name for name, is_folder in listed if not is_folder]
            inner = [name for name, is_folder in listed if is_folder and (path != above or _may_hold_images(name))]
            waiting += [os.path.join(path, name) for name in inner[: MAX_NEARBY_FOLDERS - len(waiting)]]
        return cls(above, names)

    def find_all(
        self, folder: str, listed: Sequence[Sequence[str]], splits: Sequence[str], stems: bool = False
    ) -> list[str | None]:
        """Find the files of all images of a file of annotations.

        Of several files with a name it is the one that has the most folder names of a listed path in common; then the
        one in a folder of the image's split; then the one in the folder that holds most of the images.

        Args:
            folder: The path of the folder of the annotations.
            listed: For each image, its name, path or address as it is listed, then other names that it may have.
            splits: The split of each image, or "".
            stems: Whether a name that only differs in its suffix is the image's, too.

        Returns:
            The path of each image, or None where there is no such file.
        """
        candidates = [
            self._candidates(folder, names, split, stems) for names, split in zip(listed, splits, strict=True)
        ]
        votes = Counter(os.path.dirname(path) for paths, _ in candidates for path in paths)
        return [
            max(paths, key=lambda path: self._key_of(path, parts, split, folder, votes)) if paths else None
            for (paths, parts), split in zip(candidates, splits, strict=True)
        ]

    def _candidates(self, folder: str, names: Sequence[str], split: str, stems: bool) -> tuple[list[str], list[str]]:
        """Return the paths that a list of names may mean, and the parts of the path as it is listed.

        An image in the folder of another split than the listed path or the annotations name is never meant.
        """
        listed = [(name, parts) for name in names if (parts := path_parts(name))]
        for name, parts in listed:
            if os.path.isabs(name) and os.path.isfile(name):
                return [os.path.normpath(name)], parts
            direct = os.path.normpath(os.path.join(folder, *parts))
            if direct in self.paths or (os.pardir in parts and os.path.isfile(direct)):
                return [direct], parts
        for _, parts in listed:
            last = parts[-1]
            paths = self._by_name.get(_key(last), [])
            if not paths and (stems or not looks_like_image(last)):
                paths = self._by_stem.get(_key(os.path.splitext(last)[0] if looks_like_image(last) else last), [])
            if not paths and UPLOAD_PREFIX.match(last):
                paths = self._by_name.get(_key(UPLOAD_PREFIX.sub("", last)), [])
            wanted = split or split_in_path(os.sep.join(parts[:-1])) or self._split_of(folder)
            paths = [path for path in paths if not wanted or self._split_of(os.path.dirname(path)) in ("", wanted)]
            if paths:
                return paths, parts
        return [], []

    def _split_of(self, folder: str) -> str:
        """Return the split that a folder of the path of `folder` below the root is named after, or ""."""
        if folder not in self._splits:
            self._splits[folder] = split_in_path(os.path.relpath(folder or os.curdir, self.root))
        return self._splits[folder]

    def _key_of(
        self, path: str, parts: Sequence[str], split: str, folder: str, votes: Mapping[str, int]
    ) -> tuple[int, bool, bool, int, int, str]:
        others = path.split(os.sep)
        common = 0
        for part, other in zip(reversed(parts[:-1]), reversed(others[:-1]), strict=False):
            if _key(part) != _key(other):
                break
            common += 1
        inner = os.path.dirname(path)
        wanted = split or self._split_of(folder)
        is_of_split = not wanted or self._split_of(inner) == wanted
        return common, is_of_split, others[-1] == parts[-1], votes[inner], -len(others), path


def path_parts(listed: str) -> list[str]:
    """Return the folders and the file name of a path or an address as annotations list it.

    It may be a path of Windows, an address such as s3://bucket/a.jpg or https://host/a.jpg?width=3, or Label Studio's
    `/data/local-files/?d=folder/a.jpg`.
    """
    if listed.startswith("data:"):  # the image itself
        return []
    path = listed.replace("\\", "/")
    if "://" in path or path.startswith("/data/"):
        address = urlsplit(path)
        local = parse_qs(address.query).get("d")
        path = local[0] if local else unquote(address.path)
    is_absolute = path.startswith("/")
    parts = [part for part in posixpath.normpath(path).split("/") if part not in ("", ".")] if path else []
    if not is_absolute and parts and ":" in parts[0]:  # the drive of a path of Windows
        parts = parts[1:]
    return parts


def _may_hold_images(folder: str) -> bool:
    """Return whether a folder's name is a split or one of the usual words, as in "images" or "JPEGImages"."""
    words = re.findall("[a-z]+", folder.lower())
    usual = [word for word in words if word in SPLIT_COMPANIONS or word in IMAGE_FOLDERS]
    return bool(split_of_name(folder)) or (bool(words) and len(usual) == len(words))


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
