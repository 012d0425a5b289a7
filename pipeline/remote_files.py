"""Files in object stores: found and fetched by fsspec, under addresses such as s3://bucket/photos/1.jpg."""

import os

from retinue.configs.errors import UsageError


def is_remote(path):
    """Whether a path is the address of a file that is not in a file system of this machine."""
    return "://" in path


def find_remote(source, wanted):
    """Yield the addresses that one stands for: of a file, of those below a folder, or of those that match a pattern.

    wanted: function of a name -> whether it is taken from a folder or by a pattern. Raises UsageError for a store that
    can't be read, or whose package is missing.
    """
    try:
        import fsspec

        store, path = fsspec.core.url_to_fs(source)
        if "*" in path or "?" in path:
            found = store.glob(path)
        elif store.isdir(path):
            found = store.find(path)
        else:
            yield source
            return
    except Exception as error:  # each store has its own
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{source}: can't be listed ({line})") from None
    for name in sorted(found):
        if wanted(os.path.basename(name)):
            yield store.unstrip_protocol(name)


def fetched(paths, folder):
    """Copy those of `paths` that are addresses into `folder`: (where all of them are now, why one of them is not)."""
    local, reasons = list(paths), [None] * len(paths)
    for number, path in enumerate(paths):
        if is_remote(path):
            local[number] = os.path.join(folder, str(number) + os.path.splitext(path)[1])
            try:
                import fsspec

                store, name = fsspec.core.url_to_fs(path)
                store.get_file(name, local[number])
            except Exception as error:  # each store has its own
                line = (str(error).strip().splitlines() or [""])[0]
                reasons[number] = f"can't be fetched: {type(error).__name__}: {line}".rstrip(": ")
    return local, reasons
