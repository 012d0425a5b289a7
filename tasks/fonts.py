"""Fonts for the names that users give their classes: DejaVu Sans, and an installed font for the scripts it lacks."""

import functools
from pathlib import Path

# Fonts found for other scripts; searching all that are installed can take seconds, so it is done once a script.
_found = []


@functools.lru_cache(maxsize=1)
def _dejavu():
    """(family, path, its characters) of the font that comes with matplotlib."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    path = str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
    return "DejaVu Sans", path, frozenset(map(chr, FT2Font(path).get_charmap()))


def printable(text):
    """`text` on one line; bytes of a file name that are not UTF-8 become escapes, since no font can show them."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())


def font_families(text):
    """Names of installed font families that together have the characters of `text`, DejaVu Sans first."""
    return [family for family, _ in _fonts(text)]


def font_file(text):
    """Path of the one font that has most of the characters of `text`; DejaVu Sans if it has all of them."""
    from matplotlib.ft2font import FT2Font

    fonts = _fonts(text)
    if len(fonts) == 1:
        return fonts[0][1]
    return max((path for _, path in fonts), key=lambda path: _coverage(FT2Font(path), text))


def _fonts(text):
    family, path, characters = _dejavu()
    fonts = [(family, path)]
    missing = frozenset(text) - characters
    return fonts + list(_fallbacks(missing)) if missing else fonts


@functools.lru_cache(maxsize=4096)
def _fallbacks(missing):
    """(family, path) of fonts for the characters `missing`: the best of all installed ones, until no font has more."""
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font

    chosen = []
    # The "Last Resort" font has a box for every character there is, and no letter.
    installed = [(entry.name, entry.fname) for entry in fontManager.ttflist if "Last Resort" not in entry.name]
    for candidates in (list(_found), installed):
        while missing and candidates:
            covered, family, path = max(
                ((_coverage(FT2Font(path), missing), family, path) for family, path in candidates),
                key=lambda found: found[0],
            )
            if not covered:
                break
            font = FT2Font(path)
            missing = frozenset(character for character in missing if not font.get_char_index(ord(character)))
            chosen.append((family, path))
            if (family, path) not in _found:
                _found.append((family, path))
    return tuple(chosen)


def _coverage(font, text):
    return sum(1 for character in text if font.get_char_index(ord(character)))
