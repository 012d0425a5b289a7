"""Names of files: the order in which they are listed, and the path at which the results of a file are written."""

import os
import re
from pathlib import PurePath

NUMBER = re.compile(r"\d+")
PARENT_FOLDER, ROOT_FOLDER = "_parent", "_root"
# The parts of a path that can't be parts of an output path, with what stands for them.
SUBSTITUTES = {"..": PARENT_FOLDER, ".": "_current", "": "_empty"}
RESERVED = re.compile(rf"_+({ROOT_FOLDER[1:]}|parent|current|empty)")


def natural_sort_key(name: str) -> str:
    """Return a key that sorts names with numbers by the values of the numbers, so that img9 precedes img10."""
    return NUMBER.sub(lambda digits: digits.group().lstrip("0").zfill(20), name)


def output_path(file: str | os.PathLike[str], suffix: str) -> PurePath:
    """Return the path, relative to a folder of results, at which something about a file is written.

    It is the path of the file with `suffix` appended: "/a/b.jpg" with ".png" becomes "_root/a/b.jpg.png". The root
    becomes "_root", and ".." becomes "_parent". A folder that really has such a name gets one more underscore. Two
    different files therefore never have the same output path.

    Args:
        file: the path of a file, or an address such as "s3://bucket/images/1.jpg".
        suffix: what to append to the name.
    """
    scheme, separator, rest = os.fspath(file).partition("://")
    if separator:
        parts = [f"{scheme}:", *(_escape(SUBSTITUTES.get(part), part) for part in rest.split("/"))]
    else:
        path = PurePath(file)
        parts = [ROOT_FOLDER if part == path.anchor else _escape(SUBSTITUTES.get(part), part) for part in path.parts]
        if parts[0].endswith(":"):  # it is not the scheme of an address
            parts[0] = f"_{parts[0]}"
    parts[-1] += suffix
    return PurePath(*parts)


def _escape(substitute: str | None, part: str) -> str:
    if substitute is not None:
        return substitute
    return f"_{part}" if RESERVED.fullmatch(part) else part
