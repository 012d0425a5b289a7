"""Lists of images as text: a line for each image, with its name and what the list tells about it.

The name may be a path of any machine, with or without suffix. It is the first value of the line, or the second or last
one, as in `1 001.Albatross/a.jpg`. Values are separated by tabs, commas, semicolons or blanks.
"""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from retinue.configs.errors import RetinueError
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.folders import files_in, folders_in
from retinue.data.readers.text_file import first_lines, read_text
from retinue.data.storage.file_names import IMAGE_SUFFIXES, UNSUPPORTED_IMAGE_SUFFIXES

LIST_SUFFIXES = (".txt", ".lst", ".list", ".csv", ".tsv")
UNREAD_SUFFIXES = (".mat", ".npy", ".npz", ".pkl", ".json")  # of files that may be lists, but are not read
LIST_FOLDERS = ("meta", "metadata", "lists", "splits", "labels", "annotations", "imagesets", "info")
MAX_TEXTS = 100  # a folder with more of them holds a file for each image
MAX_HEADER = 2  # lines above the images: their number, and the names of the values
MIN_FOUND = 0.5  # of the lines must name images
MAX_SAMPLE = 200  # lines that are looked at to find out where the names are

_SUFFIXES = IMAGE_SUFFIXES + UNSUPPORTED_IMAGE_SUFFIXES
_SUFFIX = "|".join(map(re.escape, _SUFFIXES))
_NAME_WITH_SUFFIX = re.compile(rf"\"?([^\t,;]*?(?:{_SUFFIX}))\"?(?=[\s,;]|$)[\s,;]*(.*)", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s*[\t,;]\s*")
_Form = Callable[[str], tuple[str, tuple[str, ...]]]  # from a line to the name of an image and its values


class ImagesByName:
    """Images that are found by the names that lists give them, as far as the ends of their paths agree."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Index the paths of images, which can be opened."""
        self._by_name: dict[str, list[str]] = {}
        for path in paths:
            self._by_name.setdefault(path.rpartition(os.sep)[2].lower(), []).append(path)

    def find(self, name: str) -> str | None:
        """Return the path of the image of a name, or None if there is none, or several that it could be."""
        found = self.find_all(name)
        return found[0] if len(found) == 1 else None

    def find_all(self, name: str) -> list[str]:
        """Return the paths of the images that a name can mean."""
        name = name.strip().strip('"').replace("\\", "/").lower()
        folder, _, base = name.rpartition("/")
        found = self._by_name.get(base)
        if found is None:
            stem, suffix = os.path.splitext(base)
            found = self._by_stem.get(stem if suffix in _SUFFIXES else base, [])
        if len(found) < 2 or not folder:
            return found
        depths = [_common_depth(path.lower(), folder) for path in found]
        return [path for path, depth in zip(found, depths, strict=True) if depth == max(depths)]

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        by_stem: dict[str, list[str]] = {}
        for base, paths in self._by_name.items():
            by_stem.setdefault(os.path.splitext(base)[0], []).extend(paths)
        return by_stem


def _common_depth(path: str, folder: str) -> int:
    """Return how many folders at the end of a path of an image and at the end of a folder are equal."""
    depth = 0
    for one, other in zip(path.split(os.sep)[-2::-1], folder.split("/")[::-1], strict=False):
        if one != other:
            break
        depth += 1
    return depth


@dataclass(frozen=True)
class ImageList:
    """A list of images.

    Attributes:
        path: The file.
        header: The names of the values behind the name of the image, as far as a line above the images has them.
        values: The values of each image, by its path.
        num_missing: The number of lines whose image is not there.
        contradicted: An image that is listed twice with different values, or "".
    """

    path: str
    header: tuple[str, ...]
    values: dict[str, tuple[str, ...]]
    num_missing: int = 0
    contradicted: str = ""

    @property
    def width(self) -> int:
        """The number of values of each image, or 0 if it is not the same for all."""
        widths = {len(values) for values in self.values.values()}
        return widths.pop() if len(widths) == 1 else 0

    def column(self, index: int) -> list[str]:
        """Return one value of every image."""
        return [values[index] for values in self.values.values()]


def list_paths(tree: FileTree) -> list[str]:
    """Return the files of a source that may be lists of images: texts and tables that are not one for each image."""
    stems = {stem for names in tree.images.values() for stem in names}
    found: list[str] = []
    for folder, names in tree.names.items():
        lists = [
            name
            for name in names
            if name.lower().endswith(LIST_SUFFIXES + UNREAD_SUFFIXES) and os.path.splitext(name)[0] not in stems
        ]
        if len(lists) <= MAX_TEXTS:
            found += tree.paths(folder, lists)
    return found


def list_paths_beside(folder: str) -> list[str]:
    """Return the texts and tables beside a folder of images, and in a folder of lists beside it."""
    above = os.path.normpath(os.path.join(folder, os.pardir))
    try:
        inner = [name for name in folders_in(above) if name.lower() in LIST_FOLDERS]
        folders = [above, *(os.path.join(above, name) for name in inner)]
        names = [(parent, name) for parent in folders for name in files_in(parent)]
    except (RetinueError, OSError):  # a folder beside the data that can't be read has nothing to do with it
        return []
    return [os.path.normpath(os.path.join(*file)) for file in names if file[1].lower().endswith(LIST_SUFFIXES)]


def read_image_list(path: str, images: ImagesByName) -> ImageList | None:
    """Return a list of images, or None if most lines of the file don't name images that are there.

    Args:
        path: A text file, of which a part is read first to see what it is.
        images: The images of the source.
    """
    form = _form_of(first_lines(path, 65_536)[: MAX_SAMPLE + MAX_HEADER], images)
    if form is None:
        return None
    try:
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    except RetinueError:
        return None
    start, header = _read_header(lines, form, images)
    values: dict[str, tuple[str, ...]] = {}
    num_missing, contradicted = 0, ""
    for line in lines[start:]:
        name, others = form(line)
        image = images.find(name) if name else None
        if image is None:
            num_missing += 1
        elif values.setdefault(image, others) != others:
            contradicted = contradicted or image
    if len(values) < MIN_FOUND * (len(values) + num_missing):
        return None
    return ImageList(path, header, values, num_missing, contradicted)


def _form_of(lines: Sequence[str], images: ImagesByName) -> _Form | None:
    """Return the form of which most lines name images, or None."""
    best, most = None, 0
    num_lines = max(1, len(lines) - MAX_HEADER) if len(lines) > 2 * MAX_HEADER else len(lines)
    for form in (_first, _second, _suffixed, _last, _whole):
        count = sum(images.find(form(line)[0]) is not None for line in lines)
        if count > most:
            best, most = form, count
        if most >= num_lines:
            break
    return best if most >= MIN_FOUND * num_lines else None


def _read_header(lines: Sequence[str], form: _Form, images: ImagesByName) -> tuple[int, tuple[str, ...]]:
    """Return the number of lines above the images, and the names of the values behind the image, as far as known."""
    start = next((index for index, line in enumerate(lines) if not line.startswith("#")), 0)
    first = next((index for index, line in enumerate(lines) if images.find(form(line)[0]) is not None), start)
    if first > start + MAX_HEADER:  # these are lines of images that are missing
        return start, ()
    width = len(form(lines[first])[1])
    names = tuple(_split(lines[first - 1].lstrip("#"))) if first else ()
    if len(names) == width + 1 and form in (_suffixed, _first, _whole):
        names = names[1:]
    has_names = len(names) == width and not all(name.lstrip("-").isdecimal() for name in names)
    return first, names if has_names else ()


def _split(text: str) -> list[str]:
    """Return the values of a line."""
    text = text.strip()
    parts = _SEPARATOR.split(text) if _SEPARATOR.search(text) else text.split()
    return [part.strip().strip('"') for part in parts]


def _suffixed(line: str) -> tuple[str, tuple[str, ...]]:
    """Return a name that ends with the suffix of an image and may contain blanks, and the values behind it."""
    match = _NAME_WITH_SUFFIX.fullmatch(line)
    return (match[1], tuple(_split(match[2])) if match[2] else ()) if match else ("", ())


def _first(line: str) -> tuple[str, tuple[str, ...]]:
    parts = _split(line)
    return parts[0], tuple(parts[1:])


def _second(line: str) -> tuple[str, tuple[str, ...]]:
    parts = _split(line)
    return (parts[1], (parts[0], *parts[2:])) if len(parts) > 1 else ("", ())


def _last(line: str) -> tuple[str, tuple[str, ...]]:
    parts = _split(line)
    return (parts[-1], tuple(parts[:-1])) if len(parts) > 1 else ("", ())


def _whole(line: str) -> tuple[str, tuple[str, ...]]:
    return line, ()
