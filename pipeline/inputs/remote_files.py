"""Files in object stores, which fsspec finds and downloads, at addresses such as s3://bucket/images/1.jpg."""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from retinue.configs.errors import UsageError
from retinue.data.storage.scratch import scratch_folder
from retinue.pipeline.inputs.path_names import natural_sort_key

if TYPE_CHECKING:
    from retinue.data.decoding.pixel_range import PixelRange

MAX_EXTENSION = 8  # characters; a longer end of a name is not the extension of a format


def is_remote(path: str) -> bool:
    """Return whether a path is the address of a file that is not in a file system of this machine."""
    return "://" in path


def require_existing(source: str) -> None:
    """Check that something exists at an address. Patterns are not looked up.

    Raises:
        UsageError: nothing exists there, or the store can't be asked.
    """
    try:
        store, path = _open_store(source)
        if "*" in path or store.exists(path):
            return
    except Exception as error:  # each store has its own errors
        raise UsageError(f"{source}: the address can't be looked up ({_one_line(error)})") from None
    raise UsageError(f"{source}: no such file or folder")


def find_remote_files(source: str, matches: Callable[[str], bool]) -> Iterator[str]:
    """Yield the addresses of a file, of the files below a folder, or of those that match a pattern with * or **.

    The order is that of `sources.find_files`.

    Args:
        source: the address. If its name matches, it is taken for a file without asking the store.
        matches: function from a name to whether to take it from a folder or by a pattern.

    Raises:
        UsageError: the store can't be read, or the package for it is not installed.
    """
    try:
        if "*" not in source and matches(urlsplit(source.split("::")[0]).path):
            yield source
            return
        store, path = _open_store(source)
        names: Iterator[str]
        if "*" in path:
            depth = path[: path.index("*")].count("/")  # hidden names are skipped, unless they are part of the pattern
            found = sorted(store.glob(path), key=_sort_key)
            names = (name for name in found if matches(name) and not _is_hidden(name, depth))
        elif store.isdir(path):
            names = _files_below(store, path, matches)
        else:
            yield source
            return
        containers = source.split("::")[1:]  # of a chain such as zip://*.jpg::s3://bucket/images.zip
        for name in names:
            yield "::".join([store.unstrip_protocol(name), *containers])
    except Exception as error:
        raise UsageError(f"{source}: the address can't be listed ({_one_line(error)})") from None


def fetch(address: str, folder: str | os.PathLike[str]) -> tuple[str, None] | tuple[None, str]:
    """Copy the file at an address into a folder.

    Args:
        address: the address.
        folder: the folder.

    Returns:
        (the path of the copy, None), or (None, the reason why there is none).
    """
    extension = os.path.splitext(urlsplit(address.split("::")[0]).path)[1]
    local = os.path.join(folder, "file" + (extension if len(extension) <= MAX_EXTENSION else ""))
    try:
        store, name = _open_store(address)
        store.get_file(name, local)
    except Exception as error:  # each store has its own errors
        return None, f"can't be fetched: {_one_line(error)}"
    return local, None


def read_image_bytes(file: str, pixel_range: "PixelRange | None") -> bytes:
    """Return the bytes of an image file at a path or an address, as `read_encoded_bytes` returns them.

    Args:
        file: the path or the address.
        pixel_range: data.pixel_range of the model.

    Raises:
        OSError: the file can't be read.
    """
    # This import needs TensorFlow, which the search for files does without.
    from retinue.data.decoding.decode import read_encoded_bytes

    if not is_remote(file):
        return read_encoded_bytes(file, pixel_range)
    with scratch_folder() as folder:
        local, reason = fetch(file, folder)
        if local is None:
            raise OSError(reason)
        return read_encoded_bytes(local, pixel_range)


def _files_below(store: Any, folder: str, matches: Callable[[str], bool]) -> Iterator[str]:
    """Yield the files at any depth, without hidden ones. Each folder is listed once."""
    entries = [entry for entry in store.ls(folder, detail=True) if not _name(entry).startswith(".")]
    for entry in sorted(entries, key=lambda entry: _sort_key(_name(entry))):
        if entry["name"].rstrip("/") == folder.rstrip("/"):  # some stores list a folder in itself
            continue
        if entry["type"] == "directory":
            yield from _files_below(store, entry["name"], matches)
        elif matches(_name(entry)):
            yield entry["name"]


def _name(entry: dict[str, Any]) -> str:
    return entry["name"].rstrip("/").rsplit("/", 1)[-1]


def _is_hidden(name: str, depth: int) -> bool:
    """Return whether a part of a name, from the part with the index `depth` on, is hidden."""
    return any(part.startswith(".") for part in name.split("/")[depth:])


def _sort_key(name: str) -> tuple[str, str]:
    return natural_sort_key(name), name


def _open_store(address: str) -> tuple[Any, str]:
    """Return fsspec's file system of an address, and the path in it."""
    import fsspec

    return fsspec.core.url_to_fs(address)


def _one_line(error: Exception) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, ImportError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
