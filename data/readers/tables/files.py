"""Where the files are that a table names: as written, or elsewhere near the table, if that is unambiguous.

A name is looked for relative to the folder of the table first. If most names are not there, they are looked for in the
whole source, or, for a single table, below its folder; and then in folders of images beside these. There the end of the
path counts: the drive, the bucket or the folders of another machine in front of it don't matter. A name without suffix
is found by the name of a file before its suffix.
"""

import bisect
import itertools
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from retinue.configs.errors import RetinueError
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.file_tree import FileTree, is_below, split_in_path
from retinue.data.readers.folders import files_in, folders_in
from retinue.data.storage.file_names import SPLIT_NAMES, looks_like_image, looks_like_video

MAX_FOLDERS = 2000  # that are listed around a single table
MAX_BEGINNINGS = 200  # names of which it is seen whether they are beginnings of names
MIN_FOUND = 0.2  # of the names must be found elsewhere, so that a file of another data set is not taken for one of this
# The names of folders beside a table in which files are looked for: "images", "JPEGImages", "train_imgs", "val2017".
IMAGE_FOLDER = re.compile(
    rf"(({'|'.join(SPLIT_NAMES)}|images?|imgs?|photos?|pics|frames?|jpe?gs?|pngs?|videos?|clips?|data|raw|set)[\W\d_]*)+",
    re.IGNORECASE,
)
ADDRESS = re.compile(r"^(?:[a-z][a-z0-9+.-]+://|[a-z]:(?=[\\/]))", re.IGNORECASE)  # "gs://" or "C:"


class FileIndex:
    """The images and videos below a folder, by their names.

    Attributes:
        root: The folder.
        names: The file names of each folder, relative to the root.
    """

    def __init__(self, root: str, names: Mapping[str, Sequence[str]]) -> None:
        """Keep the names; they are indexed when they are looked for."""
        self.root = root
        self.names = names

    @classmethod
    def of_tree(cls, tree: FileTree) -> "FileIndex":
        """Return the index of a tree."""
        return cls(tree.root, tree.names)

    @classmethod
    def below(cls, folder: str, only_images: bool = False) -> "FileIndex":
        """List a folder, the upper folders first, up to `MAX_FOLDERS` folders.

        Args:
            folder: The folder.
            only_images: Whether only those folders below it are listed that are named after images or splits.
        """
        names: dict[str, list[str]] = {}
        waiting = deque([""])
        while waiting and len(names) < MAX_FOLDERS:
            inner = waiting.popleft()
            path = os.path.join(folder, inner)
            try:
                names[inner] = files_in(path)
                below = [name for name in folders_in(path) if not only_images or IMAGE_FOLDER.fullmatch(name)]
            except (RetinueError, OSError):  # a folder beside the data that can't be read has nothing to do with it
                continue
            waiting += [os.path.join(inner, name) for name in below if not os.path.islink(os.path.join(path, name))]
        return cls(folder, names)

    def find(self, name: str) -> list[tuple[str, str]]:
        """Return the folder and the file name of each file that a name can mean, as far as the end of its path agrees.

        Args:
            name: A path with slashes, which may begin with folders that are not below the root.
        """
        *folders, base = name.lower().split("/")
        found = self._by_name.get(base, [])
        if not found and not _has_suffix(base):
            found = self._by_stem.get(base, [])
        if len(found) < 2:
            return found
        depths = [_common_depth(folder, folders) for folder, _ in found]
        return [file for file, depth in zip(found, depths, strict=True) if depth == max(depths)]

    def begun_by(self, name: str) -> list[str]:
        """Return the paths of the files whose names begin with a name, before a mark such as _ or a point."""
        base = name.lower().rpartition("/")[2]
        first = bisect.bisect_left(self._sorted, (base, "", ""))
        found = []
        for lower, folder, file in itertools.islice(self._sorted, first, None):
            if not lower.startswith(base):
                break
            if base and not lower[len(base) : len(base) + 1].isalnum():
                found.append(os.path.normpath(os.path.join(self.root, folder, file)))
        return found

    @cached_property
    def _sorted(self) -> list[tuple[str, str, str]]:
        """The name in lower case, the folder and the name of each file, in sorted order."""
        return sorted((file.lower(), folder, file) for files in self._by_name.values() for folder, file in files)

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[str, str]]]:
        return self._indexed(lambda name: name.lower())

    @cached_property
    def _by_stem(self) -> dict[str, list[tuple[str, str]]]:
        return self._indexed(lambda name: os.path.splitext(name)[0].lower())

    def _indexed(self, key: Callable[[str], str]) -> dict[str, list[tuple[str, str]]]:
        index: dict[str, list[tuple[str, str]]] = {}
        for folder, names in self.names.items():
            for name in names:
                if _has_suffix(name):
                    index.setdefault(key(name), []).append((folder, name))
        return index


@dataclass
class FoundFiles:
    """The files that a table names.

    Attributes:
        paths: The path of each name. One that is not found has the path that is written, relative to the table.
        num_found: How many of them exist.
        num_elsewhere: How many of them have the name of a file elsewhere, if these are too few to be meant.
        findings: Where they were found, unless it is where the table says.
        problem: Why they can't be found, with the cure; "" if some are.
        possible: The files that they could be, if a name could be one of several.
        are_beginnings: Whether the names are only beginnings of the names of these files.
    """

    paths: dict[str, str]
    num_found: int
    num_elsewhere: int = 0
    findings: list[Finding] = field(default_factory=list)
    problem: str = ""
    possible: frozenset[str] = frozenset()
    are_beginnings: bool = False


class FileFinder:
    """Finds the files that the tables of a source name.

    Attributes:
        index: The files of the source, or None for a single table.
    """

    def __init__(self, index: FileIndex | None = None) -> None:
        """Prepare; folders are listed when they are needed."""
        self.index = index
        self._listed: dict[str, dict[str, str]] = {}
        self._stems: dict[str, dict[str, list[str]]] = {}
        self._indices: dict[str, FileIndex] = {}

    def count(self, table: str, names: Sequence[str]) -> int:
        """Return how many of some names in a table are files that exist."""
        return self.find(table, {name: "" for name in names if name}).num_found

    def find(self, table: str, split_of: Mapping[str, str]) -> FoundFiles:
        """Find the files that a table names.

        Args:
            table: The path of the table.
            split_of: The split of each name, "" for none. Of files in two folders, the one in its split's is meant.
        """
        names, folder = list(split_of), os.path.dirname(table)
        written = {name: self._as_written(folder, name) for name in names}
        num_written = sum(found is not None for found in written.values())
        paths = {name: found or resolve_path(folder, name) for name, found in written.items()}
        if 2 * num_written >= len(names):
            return FoundFiles(paths, num_written)
        best, problem, possible = FoundFiles(paths, num_written), "", frozenset[str]()
        for index in self._searched(folder):
            found = _find_in(index, table, split_of)
            if found.problem:
                problem, possible = found.problem, found.possible
                break
            if found.num_found > max(best.num_found, MIN_FOUND * len(names)):
                best = FoundFiles({**paths, **found.paths}, found.num_found, findings=found.findings)
                break
            best.num_elsewhere = max(best.num_elsewhere, found.num_found)
        if names and not best.num_found and not problem:
            problem, possible = self._beginnings(table, names)
            best.are_beginnings = bool(possible)
        if names and not best.num_found:
            near = "none lies near the table"
            if best.num_elsewhere:
                near = f"only {best.num_elsewhere:,} lie near the table"
            best.problem = problem or (
                f"{table}: none of its {len(names):,} files exists, the first would be {paths[names[0]]}, and {near}; "
                "correct the paths, which are relative to the folder of the table, or give the folder that holds both"
            )
            best.possible = possible
        return best

    def _beginnings(self, table: str, names: Sequence[str]) -> tuple[str, frozenset[str]]:
        """Return what is wrong if most names are only beginnings of the names of files, and these files."""
        sample = names[:MAX_BEGINNINGS]
        for index in self._searched(os.path.dirname(table)):
            files_of = {name: files for name in sample if (files := index.begun_by(_portable(name)))}
            if 2 * len(files_of) <= len(sample):
                continue
            name, files = max(files_of.items(), key=lambda item: len(item[1]))
            shown = ", ".join(map(os.path.basename, files[:4]))
            if len(files) > 1:
                cure = "an image in several files is not read: merge them into one, and list these in a CSV"
            else:
                cure = "write the whole names in a CSV"
            problem = f"{table}: {name} is no file, but the beginning of {shown}; {cure} with the columns file,label"
            return problem, frozenset(file for files in files_of.values() for file in files)
        return "", frozenset()

    def _searched(self, folder: str) -> Iterator[FileIndex]:
        """Yield the places in which files are looked for, the nearest first."""
        if self.index is not None:
            yield self.index
            above = os.path.dirname(os.path.abspath(self.index.root))
        else:
            yield self._index_of(folder or ".", only_images=False)
            above = os.path.dirname(os.path.abspath(folder))
        yield self._index_of(above if os.path.isabs(folder) else os.path.relpath(above), only_images=True)

    def _index_of(self, folder: str, only_images: bool) -> FileIndex:
        if folder not in self._indices:
            self._indices[folder] = FileIndex.below(folder, only_images)
        return self._indices[folder]

    def _as_written(self, folder: str, name: str) -> str | None:
        """Return the path of the file that is where the table says, or None."""
        path = resolve_path(folder, name)
        parent, base = os.path.split(path)
        listed = self._listed.get(parent)
        if listed is None:
            listed = self._listed[parent] = {entry: entry for entry in _names_in(parent)}
        if base in listed:
            return path
        if _has_suffix(base) or not listed:
            return None
        stems = self._stems.get(parent)
        if stems is None:
            stems = self._stems[parent] = {}
            for entry in listed:
                if _has_suffix(entry):
                    stems.setdefault(os.path.splitext(entry)[0], []).append(entry)
        same = stems.get(base, [])
        return os.path.join(parent, same[0]) if len(same) == 1 else None


def is_near(table: str, files: Iterable[str]) -> bool:
    """Return whether files are looked for there when only the table is given."""
    folder = os.path.dirname(os.path.abspath(table))
    for other in {os.path.dirname(os.path.abspath(file)) for file in files}:
        if is_below(os.path.relpath(other, folder), os.pardir):
            parts = os.path.relpath(other, os.path.dirname(folder)).split(os.sep)
            if not all(part == os.curdir or IMAGE_FOLDER.fullmatch(part) for part in parts):
                return False
    return True


def resolve_path(folder: str, name: str) -> str:
    """Return the path of a file that a table names.

    Args:
        folder: The folder of the table.
        name: The file, relative to the folder of the table, or absolute. Backslashes separate folders, except in the
            name of a file that really has them.
    """
    if "\\" in name and os.sep == "/" and not os.path.exists(os.path.join(folder, name)):
        name = name.replace("\\", "/")
    return os.path.normpath(os.path.join(folder, name))


def _find_in(index: FileIndex, table: str, split_of: Mapping[str, str]) -> FoundFiles:
    """Find names in an index. Each must mean one file, or all must be in the same folder."""
    found = {name: files for name in split_of if (files := index.find(_portable(name)))}
    splits = set(split_of.values())
    split = splits.pop() if len(splits) == 1 else ""
    votes = Counter(folder for files in found.values() for folder in dict.fromkeys(folder for folder, _ in files))
    whole = [folder for folder, count in votes.items() if count == len(found)]  # folders that hold all that is found
    if len(whole) > 1:
        whole = [folder for folder in whole if split and split_in_path(folder) == split] or whole
    paths = {}
    for name, files in found.items():
        chosen = files
        if len(files) > 1 and len(whole) == 1:
            chosen = [file for file in files if file[0] == whole[0]]
        if len(chosen) > 1 and split_of[name]:
            chosen = [file for file in chosen if split_in_path(file[0]) == split_of[name]] or chosen
        if len(chosen) > 1:
            first, second = (os.path.normpath(os.path.join(index.root, *file)) for file in chosen[:2])
            problem = f"{table}: {name} could be {first} or {second}; write the folder into the column of files"
            possible = frozenset(
                os.path.normpath(os.path.join(index.root, *file)) for both in found.values() for file in both
            )
            return FoundFiles({}, 0, problem=problem, possible=possible)
        paths[name] = os.path.normpath(os.path.join(index.root, *chosen[0]))
    folders = Counter(os.path.dirname(path) for path in paths.values())
    findings = []
    if folders:
        (first, _), more = folders.most_common(1)[0], len(folders) - 1
        where = os.path.relpath(first, os.path.dirname(table) or ".")
        where += f" and {more:,} more {'folder' if more == 1 else 'folders'}" if more else ""
        count = f"{len(paths):,}" if len(paths) == len(split_of) else f"{len(paths):,} of {len(split_of):,}"
        reason = f"{count} files were found in {where}, not where it says"
        findings.append(Finding(NOTE, "files found elsewhere", table, "", reason, "read there"))
    return FoundFiles(paths, len(paths), findings=findings)


def _portable(name: str) -> str:
    """Return a path of any machine with slashes, without drive, bucket and dots at its beginning."""
    path = ADDRESS.sub("", name).replace("\\", "/")
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))


def _common_depth(folder: str, folders: Sequence[str]) -> int:
    """Return how many folders at the end of two paths are equal, ignoring case."""
    depth = 0
    for one, other in zip(reversed(folder.lower().split(os.sep)), reversed(folders), strict=False):
        if one != other:
            break
        depth += 1
    return depth


def _has_suffix(name: str) -> bool:
    return looks_like_image(name) or looks_like_video(name)


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder or ".")
    except OSError:
        return []
