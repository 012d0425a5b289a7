"""The files that a prediction runs over: files, folders, patterns and lists, as a stream of paths in a stable order."""

import codecs
import fnmatch
import hashlib
import io
import logging
import os
import re
from collections.abc import Iterator, Sequence

import numpy as np

from retinue.configs.errors import UsageError
from retinue.data.storage.file_names import looks_like_image, looks_like_video
from retinue.pipeline.inputs import remote_files
from retinue.pipeline.inputs.path_names import natural_sort_key
from retinue.pipeline.inputs.remote_files import is_remote

logger = logging.getLogger(__name__)

WILDCARDS = re.compile(r"[*?[]")
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # Windows writes lists with such a mark
MIN_UNPACKED = 4096  # hashes that a `PathSet` holds as Python integers before it packs them

Shard = tuple[int, int]


def find_files(
    sources: Sequence[str | os.PathLike[str]],
    shard: Shard | None = None,
    exclude: str | os.PathLike[str] | None = None,
    clips: bool = False,
    remote: bool = False,
) -> Iterator[str]:
    r"""Find the files of several sources. Each file is yielded once, and the paths are not held in memory.

    A source is one of the following:

    * a file, which is always taken, whatever its name;
    * a folder: the images at any depth below it (by extension), without hidden files and folders;
    * a pattern with `*`, `?`, `[...]` or `**`: the matching images, and the images below matching folders. If a file
      has exactly this name, it is taken instead;
    * `@list.txt`: a text file with a file, folder or pattern in each line, relative to the working directory. Empty
      lines and lines that start with `#` are skipped, spaces around a path and a byte order mark, too. `\` is read as
      `/` if only that exists. A path that does not exist is yielded, so that it is recorded as a failure. The list may
      be a pipe.

    Paths are normalized: `./a.jpg` and `b/../a.jpg` are both `a.jpg`. Relative paths stay relative. The sources keep
    their order. Files in a folder are sorted by name, and numbers by their values, so that img9 precedes img10.

    Args:
        sources: the sources.
        shard: (number, count) from `parse_shard`. Only the files whose path hashes to this shard are yielded. The
            shards are disjoint and complete, and a file stays in its shard when other files are added or removed.
        exclude: a folder that is not searched, for example that of the results.
        clips: search for videos instead of images. A folder with images but without videos is then one clip, whose
            frames are the images.
        remote: whether sources and lines of lists may be addresses, such as s3://bucket/images; see `remote_files`.

    Returns:
        An iterator over the paths.

    Raises:
        UsageError: a source does not exist (at the call), a list can't be read, or no source has a file (both during
            the iteration).
    """
    paths = [os.fspath(source) for source in sources]
    for path in paths:
        if remote and is_remote(path) and not path.startswith("@"):
            remote_files.require_existing(path)
        else:
            _require_existing(path)
    excluded = None if exclude is None else os.path.realpath(exclude)
    return _unique_files(paths, shard, FileSearch(excluded, clips, remote))


class FileSearch:
    """What is searched for.

    Args:
        excluded: the real path of a folder that is not searched, or None.
        clips: whether videos are searched for instead of images.
        remote: whether a source may be an address.

    Attributes:
        noun: "clips" or "images".
        matches: function from a name to whether it looks like what is searched for.
    """

    def __init__(self, excluded: str | None, clips: bool, remote: bool = False) -> None:
        self.excluded, self.clips, self.remote = excluded, clips, remote
        self.noun, self.matches = ("clips", looks_like_video) if clips else ("images", looks_like_image)


def parse_shard(text: str | None) -> Shard | None:
    """Return the number and the count of shards: "2/8" becomes (2, 8), and None stays None.

    Raises:
        UsageError: the text has another form.
    """
    if text is None:
        return None
    matched = re.fullmatch(r"(\d+)/(\d+)", text)
    number, count = (int(part) for part in matched.groups()) if matched else (0, 0)
    if not 1 <= number <= count:
        raise UsageError(f"--shard {text}: write it as I/N with I from 1 to N, for instance --shard 1/4")
    return number, count


def path_hash(path: str) -> int:
    """Return a 64-bit integer that identifies a path. It is the same on every machine and in every run."""
    name = path.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


class PathSet:
    """A set of paths that uses 8 bytes for each path, because it holds only their hashes.

    Args:
        hashes: uint64 `[n]`, the hashes of the first paths.
    """

    def __init__(self, hashes: np.ndarray | Sequence[int] = ()) -> None:
        self._packed = np.sort(np.asarray(hashes, np.uint64))
        self._unpacked: set[int] = set()

    def __contains__(self, path: str) -> bool:
        """Return whether the path was added."""
        key = path_hash(path)
        if key in self._unpacked:
            return True
        index = np.searchsorted(self._packed, np.uint64(key))
        return bool(index < len(self._packed) and self._packed[index] == key)

    def add(self, path: str) -> None:
        """Add a path."""
        self._unpacked.add(path_hash(path))
        if len(self._unpacked) >= max(MIN_UNPACKED, len(self._packed) // 8):
            hashes = np.fromiter(self._unpacked, np.uint64, len(self._unpacked))
            self._packed, self._unpacked = np.union1d(self._packed, hashes), set()


def _require_existing(source: str) -> None:
    if source.startswith("@"):
        if not os.path.exists(source[1:]) or os.path.isdir(source[1:]):
            raise UsageError(f"{source}: there is no list {source[1:]}; use a text file with a path in each line")
    elif not os.path.lexists(source) and not WILDCARDS.search(source):
        hint = "; files at an address need --engine ray" if is_remote(source) else ""
        raise UsageError(f"{source}: no such file or folder{hint}")


def _unique_files(sources: Sequence[str], shard: Shard | None, search: FileSearch) -> Iterator[str]:
    empty, seen = [], PathSet()
    for source in sources:
        path = None
        for path in map(_normalize, _expand(source, search)):
            if search.clips and path == _normalize(source) and os.path.isdir(path):
                logger.info(f"{path}: the folder has images and no videos, so it is read as one clip with these frames")
            if (shard is None or path_hash(path) % shard[1] == shard[0] - 1) and path not in seen:
                seen.add(path)
                yield path
        if path is None:
            empty.append(source)
    if len(empty) == len(sources):
        names = ", ".join(sources)
        extensions = ".mp4, .avi, ..." if search.clips else ".jpg, .png, ..."
        raise UsageError(f"{names}: no {search.noun} found; in folders, files are taken by extension ({extensions})")
    for source in empty:
        logger.warning(f"{source}: no {search.noun} found")


def _normalize(path: str) -> str:
    """Return the path without needless parts, unless a link before a ".." makes that another file."""
    if is_remote(path):
        return path
    normalized = os.path.normpath(path)
    if normalized != path and ".." in path and os.path.realpath(normalized) != os.path.realpath(path):
        return path
    return normalized


def _expand(source: str, search: FileSearch) -> Iterator[str]:
    if source.startswith("@"):
        for path in _read_list(source[1:]):
            found = None
            for found in _expand_path(path, search):
                yield found
            if found is None and not os.path.lexists(path):
                yield path
    else:
        yield from _expand_path(source, search)


def _expand_path(path: str, search: FileSearch) -> Iterator[str]:
    if search.remote and is_remote(path):
        yield from remote_files.find_remote_files(path, search.matches)
    elif os.path.isdir(path):
        yield from _files_below(path, search)
    elif os.path.lexists(path):
        yield path
    elif WILDCARDS.search(path):
        yield from _matching(path, search)


def _read_list(name: str) -> Iterator[str]:
    """Yield the paths of a list, each in the spelling that exists: as written, stripped, or with slashes."""
    try:
        with open(name, "rb") as opened:
            encoding = "utf-16" if opened.peek(2)[:2] in UTF16_MARKS else "utf-8-sig"
            for line in io.TextIOWrapper(opened, encoding, errors="surrogateescape"):
                path = line.strip()
                if path and not path.startswith("#"):
                    spellings = (line.rstrip("\r\n"), path, path.replace("\\", "/"))
                    yield next((spelling for spelling in spellings if os.path.lexists(spelling)), path)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"@{name}: the list can't be read ({reason}); use a UTF-8 or UTF-16 text file") from None


def _files_below(folder: str, search: FileSearch, parents: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the files at any depth. A folder that can't be listed is yielded, so that it is recorded as a failure."""
    real = os.path.realpath(folder)
    if real == search.excluded or real in parents:  # links may form a cycle
        return
    names = _list_folder(folder)
    if names is None:
        yield folder
        return
    if (
        search.clips
        and any(map(looks_like_image, names))
        and not any(looks_like_video(os.path.join(folder, name)) for name in names)
    ):
        yield folder
        return
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from _files_below(path, search, (*parents, real))
        elif search.matches(path):
            yield path


def _matching(pattern: str, search: FileSearch) -> Iterator[str]:
    """Yield the matching files, and those below matching folders (except with `**`, which finds them by itself)."""
    drive, rest = os.path.splitdrive(pattern)
    root = drive + os.sep if rest.startswith(os.sep) else drive
    parts = [part for part in rest.split(os.sep) if part]
    for path in _match_parts(root, parts, search.excluded):
        if not os.path.isdir(path):
            if search.matches(path):
                yield path
        elif "**" not in parts:
            yield from _files_below(path, search)


def _match_parts(folder: str, parts: list[str], excluded: str | None) -> Iterator[str]:
    """Yield the paths below `folder` whose components match `parts`. "**" matches any number of folders."""
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        if os.path.realpath(folder or ".") == excluded:
            return
        yield from _match_parts(folder, rest or ["*"], excluded)
        for name in _list_folder(folder) or ():
            path = os.path.join(folder, name)
            if os.path.isdir(path) and not os.path.islink(path):
                yield from _match_parts(path, parts, excluded)
    elif WILDCARDS.search(part) and not os.path.lexists(os.path.join(folder, part)):
        for name in _list_folder(folder, hidden=part.startswith(".")) or ():
            if fnmatch.fnmatchcase(name, part):
                yield from _match_parts(os.path.join(folder, name), rest, excluded)
    elif os.path.lexists(os.path.join(folder, part)):
        yield from _match_parts(os.path.join(folder, part), rest, excluded)


def _list_folder(folder: str, hidden: bool = False) -> list[str] | None:
    """Return the names in a folder in natural order, or None if it can't be listed."""
    try:
        names = [name for name in os.listdir(folder or ".") if hidden or not name.startswith(".")]
    except OSError:
        return None
    names.sort()
    names.sort(key=natural_sort_key)
    return names
