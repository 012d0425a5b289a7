"""Archives that nobody unpacked: where images are missing, they may be in one."""

from retinue.data.readers.file_tree import FileTree

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".rar", ".7z")
MAX_NAMED = 3


def unpack_first(tree: FileTree) -> str:
    """Return which archives of a source to unpack, as in "unpack data.zip first"; "" if there are none."""
    names = [name for _, name in tree.files(SUFFIXES)]
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"unpack {', '.join(names[:MAX_NAMED])}{more} first" if names else ""
