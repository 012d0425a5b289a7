"""Finding the images that an annotation file names, wherever they lie in a source."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from retinue.data.readers.file_tree import FileTree, split_in_path
from retinue.data.storage.file_names import looks_like_image

ABOUT_AS_MANY = 0.9  # a folder with this fraction of the images of the best one holds about as many
USUAL_FOLDERS = ("images", "image", "img", "imgs", "jpegimages", "data")

_NUMBER = re.compile("[0-9]+")
_ADDRESS = re.compile("[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class _Location(NamedTuple):
    """Where a file with the name of an image lies.

    Attributes:
        folder: Its folder, relative to the root of the tree.
        name: Its name, which may differ in upper and lower case.
    """

    folder: str
    name: str


class ImageFinder:
    """Finds images by the names that annotation files give them.

    These names are relative to a folder that nobody names, or paths of another machine, or addresses. So an image is
    found by its own name, and of several files with this name, it is the one whose path agrees most.
    """

    def __init__(self, tree: FileTree) -> None:
        """Index the images of a tree by their names."""
        self._tree = tree
        self._locations: dict[str, list[_Location]] = {}
        for folder, names in tree.names.items():
            for name in names:
                if looks_like_image(name):
                    self._locations.setdefault(name.lower(), []).append(_Location(folder, name))

    def find_stems(self, names: Sequence[str], near: str, split: str = "") -> list[str | None]:
        """Return what `find` returns for images that have other suffixes than their names, or names without suffix.

        A name that two images of a folder have is not found, since one of them may be a mask of the other.
        """
        finder = ImageFinder(self._tree)
        finder._locations = {}
        count: Counter[tuple[str, str]] = Counter()
        for location in (location for locations in self._locations.values() for location in locations):
            stem = os.path.splitext(location.name)[0].lower()
            finder._locations.setdefault(stem, []).append(location)
            count[location.folder, stem] += 1
        for stem, locations in finder._locations.items():
            finder._locations[stem] = [location for location in locations if count[location.folder, stem] == 1]
        return finder.find(
            [os.path.splitext(name)[0] if looks_like_image(name) else name for name in names], near, split
        )

    def find(self, names: Sequence[str], near: str, split: str = "") -> list[str | None]:
        """Return the path of each image, None for one that is not there.

        Of several files with the name of an image, it is the one whose folders agree with those of the name; then one
        in a folder with most of the images, of the same split, that is nearest to the annotations.

        Args:
            names: The names that the annotation file gives the images, with "/" between folders.
            near: The folder of the annotation file, relative to the root of the tree.
            split: The split of the annotation file, "" for none.
        """
        if names and os.path.isabs(names[0]) and os.path.isfile(names[0]):
            return [name if os.path.isfile(name) else None for name in names]
        candidates = [self._candidates(name) for name in names]
        counts = Counter(location.folder for locations in candidates for location in locations)
        ranks: dict[tuple[str, int], tuple[bool, bool, int, bool, str]] = {}

        def rank(folder: str, most: int) -> tuple[bool, bool, int, bool, str]:
            if (folder, most) not in ranks:
                ranks[folder, most] = (
                    counts[folder] >= ABOUT_AS_MANY * most,
                    split_in_path(folder) == split,
                    -_distance(near, folder),
                    os.path.basename(folder).lower() in USUAL_FOLDERS,
                    folder,
                )
            return ranks[folder, most]

        found: list[_Location | None] = []
        remainders: list[tuple[str, ...] | None] = []
        for name, locations in zip(names, candidates, strict=True):
            folders = _folders_of(name)
            best = locations[0] if locations else None
            if len(locations) > 1:
                most = max(counts[location.folder] for location in locations)
                best = max(locations, key=lambda one: (_agreement(folders, one.folder), *rank(one.folder, most)))
            if best and _is_beside(folders, best.folder):
                best = None
            found.append(best)
            remainders.append(best and tuple(folders[: len(folders) - _agreement(folders, best.folder)]))
        is_right = _agreeing(names, remainders)
        return [
            self._tree.path(*location) if location and right else None
            for location, right in zip(found, is_right, strict=True)
        ]

    def _candidates(self, name: str) -> Sequence[_Location]:
        """Return the files of this name; those in the same case, if there are any."""
        base = name.rpartition("/")[2]
        locations = self._locations.get(base.lower())
        if locations is None and "%" in base:
            base = unquote(base)
            locations = self._locations.get(base.lower())
        if not locations or (len(locations) == 1):
            return locations or ()
        return [location for location in locations if location.name == base] or locations


def plain_name(name: str) -> str:
    """Return the name of an image with "/" between folders, and without the query of an address."""
    name = name.replace("\\", "/")
    return name.partition("?")[0] if _ADDRESS.match(name) else name


def _agreeing(names: Sequence[str], remainders: Sequence[tuple[str, ...] | None]) -> list[bool]:
    """Return whether each file that was found is the image that was meant, and not one of the same name.

    The folders of a name that are not folders of the file are the same for all images, since they lead to the folder
    that the names were once relative to. They differ where all images were moved into other folders; then an image is
    the one that was meant if no other image has its name. Where the folders of some names are there, none was moved.

    Args:
        names: The names of the images.
        remainders: The outer folders of each name that are not those of the file; None where there is no file.
    """
    in_place = Counter(
        remainder
        for name, remainder in zip(names, remainders, strict=True)
        if remainder is not None and len(remainder) < len(_folders_of(name))
    )
    if in_place:
        usual = in_place.most_common(1)[0][0]
        return [remainder == usual for remainder in remainders]
    same_name = Counter(name.rpartition("/")[2] for name in set(names))
    return [same_name[name.rpartition("/")[2]] == 1 for name in names]


def _is_beside(folders: Sequence[str], folder: str) -> bool:
    """Return whether the folders of a name are none of the file, but of other images of the same data set.

    These are folders with another number (batch_1 and batch_3) or of another split.
    """
    if not folders or _agreement(folders, folder):
        return False
    inner, other = folders[-1].lower(), os.path.basename(folder).lower()
    split, other_split = split_in_path(inner), split_in_path(other)
    return _NUMBER.sub("0", inner) == _NUMBER.sub("0", other) or bool(split and other_split and split != other_split)


def _folders_of(name: str) -> list[str]:
    """Return the folders of the name of an image, the outermost first."""
    return [] if "/" not in name else [part for part in name.split("/")[:-1] if part not in ("", os.curdir)]


def _agreement(folders: Sequence[str], folder: str) -> int:
    """Return how many of the innermost folders of a name are those of a folder, too."""
    return 0 if not folders else len(os.path.commonprefix([_reversed(folders), _reversed(folder.split(os.sep))]))


def _reversed(parts: Iterable[str]) -> list[str]:
    return list(parts)[::-1]


def _distance(near: str, folder: str) -> int:
    """Return the number of steps up and down from one folder to another."""
    parts, others = (path.split(os.sep) if path else [] for path in (near, folder))
    common = len(os.path.commonprefix([parts, others]))
    return len(parts) + len(others) - 2 * common
