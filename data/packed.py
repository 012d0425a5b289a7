"""The one way in which data files are opened, whether they lie loose or in a pack (see pack_index.py).

A file in a pack is named as if the pack's index were a folder, `photos-packed/pack.index/cats/a.jpg`: no loose file can
have such a name. Only the bytes that are the file are read. Packs may lie at an address, `gs://bucket/photos-packed`,
which TensorFlow then reads; nothing else here needs it.
"""

import errno
import functools
import os
import re

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.machine import free_memory
from retinue.configs.quiet import import_tensorflow
from retinue.data.pack_index import AGAIN, INDEX, index_path, parse_index

MARKER = "packing"  # the file that says that a folder is a pack in the making
MARK = f"/{INDEX}/"
IN_GRAPH = f"(?s).*/{re.escape(INDEX)}/.*"  # what the names of packed files match, for tf.strings
ADDRESS = re.compile(r"[a-z0-9]+://")
MEMORY_SHARE = 0.25  # of what is free; so much a pack at an address may take


def is_packed(name):
    """Whether a name is that of a file in a pack."""
    return MARK in os.fspath(name)


def is_pack(folder):
    """Whether a folder, or an address, holds a pack."""
    path = index_path(os.fspath(folder))
    return _tensorflow().io.gfile.exists(path) if is_address(path) else os.path.isfile(path)


def refuse_unfinished(folder):
    """Raise UsageError for a folder in which a pack was begun and not finished."""
    if os.path.isfile(os.path.join(folder, MARKER)) and not is_pack(folder):
        raise UsageError(f"{folder}: this pack is not finished; the same `retinue pack` command again goes on with it")


def is_address(name):
    """Whether a name is an address, such as `gs://bucket/photos`."""
    return bool(ADDRESS.match(os.fspath(name)))


def absolute(name):
    """`os.path.abspath`, which leaves addresses alone."""
    return name if is_address(name) else os.path.abspath(name)


def read_bytes(name):
    """The bytes of a file, loose or packed. Raises OSError, with the reason in words as its `strerror`."""
    if not is_packed(name):
        with open(name, "rb") as opened:
            return opened.read()
    pack, inner = _find(name)
    return pack.read(inner, name)


def exists(name):
    """Whether there is such a file or folder, loose or packed."""
    if not is_packed(name):
        return os.path.exists(name)
    try:
        pack, inner = _find(name)
    except OSError:
        return False
    return inner in pack.row_of or inner in pack.index.folders


def is_file(name):
    """Whether there is such a file, loose or packed."""
    return exists(name) and not is_folder(name) if is_packed(name) else os.path.isfile(name)


def is_folder(name):
    """Whether there is such a folder (of a clip's frames), loose or packed."""
    if not is_packed(name):
        return os.path.isdir(name)
    pack, inner = _find(name)
    return inner in pack.index.folders


def names_in(folder):
    """What is in a folder, loose or packed: names without the folder's."""
    if not is_packed(folder):
        return os.listdir(folder)
    pack, inner = _find(folder)
    return [os.path.basename(file) for file in pack.index.folders[inner]]


def size(name):
    """Bytes of a file, loose or packed. Raises OSError."""
    if not is_packed(name):
        return os.path.getsize(name)
    pack, inner = _find(name)
    return int(pack.index.places.length[pack.row(inner, name)])


def expected_id(name):
    """The content id that a packed file had when it was packed; None for a loose file. Raises OSError."""
    if not is_packed(name):
        return None
    pack, inner = _find(name)
    return pack.index.places.ids[pack.row(inner, name)]


def stamp(name):
    """What changes when a file may have changed, packed or loose: a tuple. Raises OSError."""
    path = os.fspath(name).split(MARK)[0] + f"/{INDEX}" if is_packed(name) else name
    if is_address(path):
        return (path,)
    status = os.stat(path)
    return os.path.abspath(name), status.st_mtime_ns, status.st_size


def place(name):
    """Where a packed file lies, in words: "record 3 of shard-00001.tfrecord". Raises OSError."""
    pack, inner = _find(name)
    return pack.place(pack.row(inner, name))


def open_pack(folder):
    """The `Pack` at a folder or an address. Raises UsageError where there is none, RetinueError for a damaged index."""
    folder = os.fspath(folder)
    try:
        return _open(folder)
    except FileNotFoundError:
        raise UsageError(f"{folder}: holds no pack ({INDEX} is missing); `retinue pack` makes one") from None
    except OSError as error:
        raise RetinueError(f"{index_path(folder)}: can't be read ({error.strerror or error})") from None


class Pack:
    """An open pack. folder: str; index: `PackIndex`; row_of: {name: row of `index.places`}."""

    def __init__(self, folder):
        self.folder = folder
        self.index = parse_index(_read_whole(index_path(folder)), index_path(folder))
        self.row_of = {name: row for row, name in enumerate(self.index.places.names)}
        self._kept = None
        if is_address(folder) and self.bytes <= MEMORY_SHARE * free_memory():
            self._kept = {}  # row -> bytes

    @property
    def bytes(self):
        """Of all files in it."""
        return int(self.index.places.length.sum())

    @property
    def keeps(self):
        """Whether files that have been read are kept in memory."""
        return self._kept is not None

    def row(self, inner, name):
        """The row of `index.places` of the file `inner`. name: for messages. Raises FileNotFoundError."""
        row = self.row_of.get(inner)
        if row is None:
            raise FileNotFoundError(errno.ENOENT, "no such file in the pack", name)
        return row

    def place(self, row):
        """Where the file in a row of `index.places` lies, in words."""
        places = self.index.places
        return f"record {places.record[row]} of {self.index.shards[places.shard[row]]['name']}"

    def read(self, inner, name):
        """The bytes of a file. Raises OSError."""
        row = self.row(inner, name)
        if self._kept is not None and row in self._kept:
            return self._kept[row]
        places = self.index.places
        shard = self.index.shards[places.shard[row]]["name"]
        offset, length = int(places.offset[row]), int(places.length[row])
        try:
            content = _read_range(os.path.join(self.folder, shard), offset, length)
        except OSError as error:
            reason = f"its shard {shard} can't be read: {error.strerror or error}; {AGAIN}"
            raise OSError(error.errno, reason, name) from None
        if len(content) != length:
            raise OSError(errno.EIO, f"its shard {shard} ends before it; {AGAIN}", name)
        if self._kept is not None:
            self._kept[row] = content
        return content


def _find(name):
    """(the `Pack` of a packed file, its name in it). Raises OSError."""
    folder, _, inner = os.fspath(name).partition(MARK)
    return _open(folder), inner


def _open(folder):
    if is_address(folder):
        return _opened(folder, None, None)
    status = os.stat(index_path(folder))
    return _opened(folder, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=8)
def _opened(folder, _modified, _size):
    return Pack(folder)


def _read_whole(path):
    if not is_address(path):
        with open(path, "rb") as opened:
            return opened.read()
    return _read_range(path, 0, -1)


def _read_range(path, offset, length):
    """`length` bytes from `offset` on, fewer where the file ends; a length of -1 is all. Raises OSError."""
    if not is_address(path):
        opened = os.open(path, os.O_RDONLY)  # one a read: a pack may have more shards than a process may open files
        try:
            content = os.pread(opened, length, offset)
            while len(content) < length and (more := os.pread(opened, length - len(content), offset + len(content))):
                content += more
            return content
        finally:
            os.close(opened)
    tf = _tensorflow()
    try:
        with tf.io.gfile.GFile(path, "rb") as opened:
            opened.seek(offset)
            return opened.read(length)
    except tf.errors.NotFoundError:
        raise FileNotFoundError(errno.ENOENT, "there is no such file", path) from None
    except tf.errors.OutOfRangeError:
        return b""
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, error.message.splitlines()[0], path) from None


def _tensorflow():
    import_tensorflow()  # without its greetings
    import tensorflow as tf

    return tf
