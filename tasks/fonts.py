"""Fonts for the names that users give their classes: DejaVu Sans, and an installed font for the scripts it lacks."""

import functools
import unicodedata
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


def drawable(text, one_font=False):
    """`text` on one line for a picture: a symbol that no installed font has becomes its name, as "[cat face]".

    Letters that no font has stay, and are drawn as boxes. one_font: whether the symbols must be in `font_file(text)`,
    for programs that draw a text with one font, and not in any of `font_families(text)`.
    """
    text = printable(text)
    missing = frozenset(text) - _dejavu()[2]
    if missing and one_font:
        missing = _lacking(font_file(text), frozenset(text))
    elif missing:
        missing = _fallbacks(missing)[1]
    return "".join(_in_words(character) if character in missing else character for character in text)


def _in_words(symbol):
    if unicodedata.category(symbol)[0] in "SC":  # C: the newest emoji, which Python does not know yet
        return f"[{unicodedata.name(symbol, '').lower() or f'U+{ord(symbol):X}'}]"
    return symbol


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
    return fonts + list(_fallbacks(missing)[0]) if missing else fonts


@functools.lru_cache(maxsize=4096)
def _fallbacks(missing):
    """Fonts for the characters `missing`: the best of all installed ones, until no font has more.

    Returns (tuple of (family, path), the characters that no font has).
    """
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font

    chosen = []
    # "Last Resort" has a box for every character and no letter; the glyphs of colour fonts are no outlines.
    useless = ("Last Resort", "Color")
    installed = [(font.name, font.fname) for font in fontManager.ttflist if not any(w in font.name for w in useless)]
    for candidates in (list(_found), installed):
        while missing and candidates:
            covered, family, path = max(
                ((_coverage(FT2Font(path), missing), family, path) for family, path in candidates),
                key=lambda found: found[0],
            )
            if not covered:
                break
            missing = _lacking(path, missing)
            chosen.append((family, path))
            if (family, path) not in _found:
                _found.append((family, path))
    return tuple(chosen), missing


def _lacking(path, characters):
    from matplotlib.ft2font import FT2Font

    font = FT2Font(path)
    return frozenset(character for character in characters if not font.get_char_index(ord(character)))


def _coverage(font, text):
    return sum(1 for character in text if font.get_char_index(ord(character)))
