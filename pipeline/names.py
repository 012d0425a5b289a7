"""Where results of a file go: its own path, as one below a folder."""

import os


def below(file, ending):
    """The path of a file, `Path`, as one below a folder, with `ending` after it: "/a/b.jpg" is "_root/a/b.jpg.png".

    The root becomes "_root" and ".." becomes "_parent", so that no two files share a name.
    """
    parts = ["_root" if part == file.anchor else "_parent" if part == ".." else part for part in file.parts]
    return os.path.join(*parts) + ending
