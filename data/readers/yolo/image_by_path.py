"""Finding images by paths that were written on another machine, in another folder, or on Windows."""

import os
import re

from retinue.data.readers.file_tree import FileTree, split_in_path
from retinue.data.storage.file_names import looks_like_image

_DRIVE = re.compile(r"^[A-Za-z]:")


def path_parts(path: str) -> list[str]:
    """Return the folders and the name of a path of any machine, without a drive, "." and "..".

    Slashes and backslashes separate folders.
    """
    return [part for part in _DRIVE.sub("", path).replace("\\", "/").split("/") if part not in ("", ".", "..")]


def to_local(path: str) -> str:
    """Return a path with this machine's separators: backslashes of Windows become slashes."""
    return path.replace("\\", "/") if os.sep == "/" else path


def count_images(count: int) -> str:
    """Return the subject of a sentence about some images: "1 image is" or "7 images are"."""
    return "1 image is" if count == 1 else f"{count:,} images are"


class ImageByPath:
    """Finds the images of a tree by the ends of paths.

    A path is looked for as it is first, relative to the folder of the file that lists it. If there is no such image, it
    is the image of the tree whose path has the most names at its end in common. An image in the folder of another split
    is never meant.
    """

    def __init__(self, tree: FileTree) -> None:
        """Prepare finding the images of `tree`."""
        self._tree = tree
        self._folders_of: dict[str, list[str]] = {}
        for folder, names in tree.names.items():
            for name in names:
                if looks_like_image(name):
                    self._folders_of.setdefault(name, []).append(folder)

    def find(self, path: str, folder: str) -> str | None:
        """Return the path of an image, or None if there is none, or several are about as good.

        Args:
            path: The image, as a file in `folder` lists it.
            folder: A folder, as a path that can be opened.
        """
        parts = path_parts(path)
        if not parts:
            return None
        candidates = self._folders_of.get(parts[-1], ())
        for name in dict.fromkeys((path, to_local(path))):
            direct = os.path.normpath(os.path.join(folder, name))
            if any(direct == self._tree.path(inner, parts[-1]) for inner in candidates) or os.path.isfile(direct):
                return direct
        split = split_in_path(os.sep.join(parts[:-1]))
        lengths = {
            inner: _common_end(parts[:-1], inner.split(os.sep))
            for inner in candidates
            if not split or split_in_path(inner) in ("", split)
        }
        best = [inner for inner, length in lengths.items() if length == max(lengths.values())]
        return self._tree.path(best[0], parts[-1]) if len(best) == 1 else None


def _common_end(first: list[str], second: list[str]) -> int:
    """Return the number of equal names at the ends of two paths."""
    count = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        count += 1
    return count
