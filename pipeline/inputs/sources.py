"""The files that a prediction runs over: files, folders, patterns and lists, as a stream of paths in a stable order."""

import codecs
import fnmatch
import hashlib
import io
import logging
import os
import re

import numpy as np

from retinue.configs.errors import UsageError
from retinue.data.storage.file_names import looks_like_image, looks_like_video
from retinue.pipeline.inputs import remote_files
from retinue.pipeline.inputs.path_names import natural
from retinue.pipeline.inputs.remote_files import is_remote

logger = logging.getLogger(__name__)

WILDCARDS = re.compile(r"[*?[]")
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # Windows writes such lists
RECENT = 4096  # paths that `Paths` holds as Python integers before it packs them


def find_files(sources, shard=None, skip=None, clips=False, remote=False):
    r"""Yield the paths (str) that `sources` name, each once, one after the other, without holding them all.

    sources: paths, each of them
      a file: always taken, whatever its name;
      a folder: the images at any depth below it (by extension), hidden files and folders passed over;
      a pattern with * ? [...] or **: matching images, and the images below matching folders; a name that is there
      as it is written is taken as that name;
      @list.txt: a file, folder or pattern a line, as seen from the current folder (not from the list's). Empty lines
      and lines with # first are skipped, spaces around a path and a byte order mark too, and `\` is read as `/` where
      only that is there. What is not there is yielded, so that its failure is recorded. It may be a pipe.
    Paths come without needless parts: `./a.jpg` and `b/../a.jpg` are both `a.jpg`. Relative ones stay relative.
    Order: as given; within a folder by name, numbers by their value, so that img9 comes before img10.
    shard: (number, count) from `parse_shard`, keeps the files whose path hashes to it. The shards are disjoint and
    complete, and a file stays in its shard when others come or go.
    skip: a folder that is not looked into (where the results go).
    clips: look for videos instead of images, and take a folder in which there are images, but no videos, for a clip
    whose frames they are.
    remote: sources and lines of lists may be addresses, as s3://bucket/photos, of what `remote_files` can look into.
    Raises UsageError for a source that does not exist, at once, for a list that can't be read, and when no source has
    a file, at the end.
    """
    sources = [os.fspath(source) for source in sources]
    for source in sources:
        if remote and is_remote(source) and not source.startswith("@"):
            remote_files.refuse_missing(source)
        else:
            _refuse_missing(source)
    look = Look(None if skip is None else os.path.realpath(skip), clips, remote)
    return _kept(sources, shard, look)


class Look:
    """What is looked for below folders. skip: the real path of a folder that is not looked into, or None; remote:
    whether addresses are looked up."""

    def __init__(self, skip, clips, remote=False):
        self.skip, self.clips, self.remote = skip, clips, remote
        self.noun, self.wants = ("clips", looks_like_video) if clips else ("images", looks_like_image)


def parse_shard(text):
    """ "2/8" -> (2, 8), the second of eight shards; None for None. Raises UsageError."""
    if text is None:
        return None
    matched = re.fullmatch(r"(\d+)/(\d+)", text)
    number, count = (int(part) for part in matched.groups()) if matched else (0, 0)
    if not 1 <= number <= count:
        raise UsageError(f"--shard {text}: write it as I/N with I from 1 to N, for instance --shard 1/4")
    return number, count


def path_hash(path):
    """A 64-bit integer that stands for a path: the same on every machine, and in every run."""
    name = path.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


class Paths:
    """A set of paths that takes 8 bytes a path, by their hashes. hashes: uint64 array of what is in it at first."""

    def __init__(self, hashes=()):
        self._sorted, self._recent = np.sort(np.asarray(hashes, np.uint64)), set()

    def __contains__(self, path):
        mark = path_hash(path)
        if mark in self._recent:
            return True
        place = np.searchsorted(self._sorted, np.uint64(mark))
        return bool(place < len(self._sorted) and self._sorted[place] == mark)

    def add(self, path):
        self._recent.add(path_hash(path))
        if len(self._recent) >= max(RECENT, len(self._sorted) // 8):
            recent = np.fromiter(self._recent, np.uint64, len(self._recent))
            self._sorted, self._recent = np.union1d(self._sorted, recent), set()


def _refuse_missing(source):
    if source.startswith("@"):
        if not os.path.exists(source[1:]) or os.path.isdir(source[1:]):
            raise UsageError(f"{source}: there is no list {source[1:]}")
    elif not os.path.lexists(source) and not WILDCARDS.search(source):
        hint = "; files at an address are for --engine ray" if is_remote(source) else ""
        raise UsageError(f"{source}: no such file or folder{hint}")


def _kept(sources, shard, look):
    empty, seen = [], Paths()
    for source in sources:
        path = None
        for path in map(_tidy, _expand(source, look)):
            if look.clips and path == _tidy(source) and os.path.isdir(path):
                logger.info(f"{path}: has pictures and no videos, so it is taken for one clip, whose frames they are")
            if (shard is None or path_hash(path) % shard[1] == shard[0] - 1) and path not in seen:
                seen.add(path)
                yield path
        if path is None:
            empty.append(source)
    if len(empty) == len(sources):
        named = ", ".join(sources)
        kinds = ".mp4, .avi, ..." if look.clips else ".jpg, .png, ..."
        raise UsageError(f"{named}: no {look.noun} found; in folders, files are taken by extension ({kinds})")
    for source in empty:
        logger.warning(f"{source}: no {look.noun} found")


def _tidy(path):
    """The path without needless parts, unless a link before a ".." makes that another file."""
    if is_remote(path):
        return path
    tidy = os.path.normpath(path)
    if tidy != path and ".." in path and os.path.realpath(tidy) != os.path.realpath(path):
        return path
    return tidy


def _expand(source, look):
    if source.startswith("@"):
        for path in _listed(source[1:]):
            found = None
            for found in _expand_path(path, look):
                yield found
            if found is None and not os.path.lexists(path):
                yield path
    else:
        yield from _expand_path(source, look)


def _expand_path(path, look):
    if look.remote and is_remote(path):
        yield from remote_files.find_remote(path, look.wants)
    elif os.path.isdir(path):
        yield from _files_below(path, look)
    elif os.path.lexists(path):
        yield path
    elif WILDCARDS.search(path):
        yield from _matching(path, look)


def _listed(name):
    """The paths in a list, each as it is there: as written, or repaired."""
    try:
        with open(name, "rb") as opened:
            encoding = "utf-16" if opened.peek(2)[:2] in UTF16_MARKS else "utf-8-sig"
            for line in io.TextIOWrapper(opened, encoding, errors="surrogateescape"):
                path = line.strip()
                if path and not path.startswith("#"):
                    spellings = (line.rstrip("\r\n"), path, path.replace("\\", "/"))
                    yield next((spelling for spelling in spellings if os.path.lexists(spelling)), path)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"@{name}: can't be read ({getattr(error, 'strerror', None) or error})") from None


def _files_below(folder, look, above=()):
    """What is looked for, at any depth. A folder that can't be listed is yielded, so that its failure is recorded."""
    real = os.path.realpath(folder)
    if real == look.skip or real in above:  # `above`: links may lead round in a circle
        return
    names = _names(folder)
    if names is None:
        yield folder
        return
    if look.clips and any(map(looks_like_image, names)) and not any(map(looks_like_video, names)):
        yield folder
        return
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from _files_below(path, look, (*above, real))
        elif look.wants(name):
            yield path


def _matching(pattern, look):
    """Files that match, and those below matching folders (but for `**`, which reaches them by itself)."""
    drive, rest = os.path.splitdrive(pattern)
    root = drive + os.sep if rest.startswith(os.sep) else drive
    parts = [part for part in rest.split(os.sep) if part]
    for path in _descend(root, parts, look.skip):
        if not os.path.isdir(path):
            if look.wants(path):
                yield path
        elif "**" not in parts:
            yield from _files_below(path, look)


def _descend(folder, parts, skip):
    """Paths below `folder` whose components match `parts`; "**" stands for any number of folders."""
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        if os.path.realpath(folder or ".") == skip:
            return
        yield from _descend(folder, rest or ["*"], skip)
        for name in _names(folder) or ():
            path = os.path.join(folder, name)
            if os.path.isdir(path) and not os.path.islink(path):
                yield from _descend(path, parts, skip)
    elif WILDCARDS.search(part) and not os.path.lexists(os.path.join(folder, part)):
        for name in _names(folder, hidden=part.startswith(".")) or ():
            if fnmatch.fnmatchcase(name, part):
                yield from _descend(os.path.join(folder, name), rest, skip)
    elif os.path.lexists(os.path.join(folder, part)):
        yield from _descend(os.path.join(folder, part), rest, skip)


def _names(folder, hidden=False):
    """The names in a folder in natural order, None where it can't be listed."""
    try:
        names = [name for name in os.listdir(folder or ".") if hidden or not name.startswith(".")]
    except OSError:
        return None
    names.sort()
    names.sort(key=natural)
    return names
