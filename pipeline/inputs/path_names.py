"""Names of files: their order, and where the results of one go, its own path as one below a folder."""

import os
import re

NUMBER = re.compile(r"\d+")


def natural(name):
    """Key for sorting names with numbers in them by the numbers' values."""
    return NUMBER.sub(lambda digits: digits.group().lstrip("0").zfill(20), name)


def below(file, ending):
    """The path of a file, `Path`, as one below a folder, with `ending` after it: "/a/b.jpg" is "_root/a/b.jpg.png".

    The root becomes "_root" and ".." becomes "_parent", so that no two files share a name.
    """
    parts = ["_root" if part == file.anchor else "_parent" if part == ".." else part for part in file.parts]
    return os.path.join(*parts) + ending
