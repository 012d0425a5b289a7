"""Files in object stores: found and fetched by fsspec, under addresses such as s3://bucket/photos/1.jpg."""

import os
from urllib.parse import urlsplit

from retinue.configs.errors import UsageError
from retinue.data.storage.scratch import scratch_folder
from retinue.pipeline.inputs.path_names import natural

LONGEST_ENDING = 8  # of a name; what is longer says nothing about the content


def is_remote(path):
    """Whether a path is the address of a file that is not in a file system of this machine."""
    return "://" in path


def refuse_missing(source):
    """Raise UsageError where nothing is at an address, or its store can't be asked; patterns are not looked up."""
    try:
        store, path = _store(source)
        if "*" in path or store.exists(path):
            return
    except Exception as error:  # each store has its own
        raise UsageError(f"{source}: can't be looked up ({_line(error)})") from None
    raise UsageError(f"{source}: no such file or folder")


def find_remote(source, wanted):
    """Yield the addresses that one stands for: of a file, of those below a folder, or of those that match a pattern
    with * or **, in the order of `sources.find_files`.

    wanted: function of a name -> whether it is taken from a folder or by a pattern. An address with such a name is
    taken for a file without asking. Raises UsageError for a store that can't be read, or whose package is missing.
    """
    try:
        if "*" not in source and wanted(urlsplit(source.split("::")[0]).path):
            yield source
            return
        store, path = _store(source)
        if "*" in path:
            fixed = path[: path.index("*")].count("/")  # what is hidden is passed over, unless it is named
            found = (name for name in sorted(store.glob(path), key=_key) if wanted(name) and not _hidden(name, fixed))
        elif store.isdir(path):
            found = _below(store, path, wanted)
        else:
            yield source
            return
        behind = source.split("::")[1:]  # of a chain, zip://*.jpg::s3://bucket/photos.zip
        for name in found:
            yield "::".join([store.unstrip_protocol(name), *behind])
    except Exception as error:
        raise UsageError(f"{source}: can't be listed ({_line(error)})") from None


def fetch(address, folder):
    """Copy the file at an address into `folder`: (its path there, None), or (None, why not)."""
    ending = os.path.splitext(urlsplit(address.split("::")[0]).path)[1]
    local = os.path.join(folder, "file" + (ending if len(ending) <= LONGEST_ENDING else ""))
    try:
        store, name = _store(address)
        store.get_file(name, local)
    except Exception as error:  # each store has its own
        return None, f"can't be fetched: {_line(error)}"
    return local, None


def picture_bytes(file):
    """The bytes of a picture's file, here or at an address, as `read_encoded_bytes` gives them. Raises OSError."""
    from retinue.data.decoding.decode import (
        read_encoded_bytes,  # imports TensorFlow, which looking for files does without
    )

    if not is_remote(file):
        return read_encoded_bytes(file)
    with scratch_folder() as folder:
        local, reason = fetch(file, folder)
        if reason:
            raise OSError(reason)
        return read_encoded_bytes(local)


def _below(store, folder, wanted):
    """The files at any depth, a listing a folder, hidden ones passed over."""
    entries = [entry for entry in store.ls(folder, detail=True) if not _name(entry).startswith(".")]
    for entry in sorted(entries, key=lambda entry: _key(_name(entry))):
        if entry["name"].rstrip("/") == folder.rstrip("/"):  # some stores list a folder in itself
            continue
        if entry["type"] == "directory":
            yield from _below(store, entry["name"], wanted)
        elif wanted(_name(entry)):
            yield entry["name"]


def _name(entry):
    return entry["name"].rstrip("/").rsplit("/", 1)[-1]


def _hidden(name, fixed):
    return any(part.startswith(".") for part in name.split("/")[fixed:])


def _key(name):
    return natural(name), name


def _store(address):
    """(fsspec's file system, the path in it)."""
    import fsspec

    return fsspec.core.url_to_fs(address)


def _line(error):
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, ImportError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
