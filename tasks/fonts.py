"""Fonts for class names: DejaVu Sans, and installed fonts for the scripts that it lacks."""

import functools
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import Any

# (family, path) of fonts that were chosen for other scripts. Searching all installed fonts can take seconds, so each
# script is searched for once.
_fallback_fonts: list[tuple[str, str]] = []


@functools.lru_cache(maxsize=1)
def _dejavu() -> tuple[str, str, frozenset[str]]:
    """Return the family, the path and the characters of the font that comes with matplotlib."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    path = str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
    return "DejaVu Sans", path, frozenset(map(chr, FT2Font(path).get_charmap()))


def printable(text: str) -> str:
    """Put a text on one line.

    Bytes of a file name that are not UTF-8 become escapes, since no font can show them.
    """
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())


def drawable(text: str, one_font: bool = False) -> str:
    """Put a text on one line and replace each symbol that no installed font has by its name, such as "[cat face]".

    Letters that no font has stay, and are drawn as boxes.

    Args:
        text: any text.
        one_font: whether `font_file(text)` must have the symbols, for programs that draw a text with a single font.
            Otherwise any of `font_families(text)` may have them.
    """
    text = printable(text)
    missing = frozenset(text) - _dejavu()[2]
    if missing and one_font:
        missing = _missing_characters(font_file(text), frozenset(text))
    elif missing:
        missing = _find_fallbacks(missing)[1]
    return "".join(_symbol_name(character) if character in missing else character for character in text)


def _symbol_name(character: str) -> str:
    """Return a symbol's name in brackets, or a letter as it is."""
    if unicodedata.category(character)[0] in "SC":  # C: the newest emoji, which Python does not know yet
        return f"[{unicodedata.name(character, '').lower() or f'U+{ord(character):X}'}]"
    return character


def font_families(text: str) -> list[str]:
    """List installed font families that together have the characters of a text. DejaVu Sans is the first."""
    return [family for family, _ in _fonts(text)]


def font_file(text: str) -> str:
    """Return the path of the font that has most of a text's characters. DejaVu Sans is preferred if it has all."""
    from matplotlib.ft2font import FT2Font

    fonts = _fonts(text)
    if len(fonts) == 1:
        return fonts[0][1]
    return max((path for _, path in fonts), key=lambda path: _coverage(FT2Font(path), text))


def _fonts(text: str) -> list[tuple[str, str]]:
    """List (family, path) of the fonts that a text needs."""
    family, path, characters = _dejavu()
    fonts = [(family, path)]
    missing = frozenset(text) - characters
    return fonts + list(_find_fallbacks(missing)[0]) if missing else fonts


@functools.lru_cache(maxsize=4096)
def _find_fallbacks(missing: frozenset[str]) -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    """Find fonts for characters: repeatedly the installed font that has most of them, until no font has more.

    Returns:
        (family, path) of each font, and the characters that no font has.
    """
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font

    chosen = []
    # "Last Resort" has a box for every character and no letter. The glyphs of color fonts are not outlines.
    unusable = ("Last Resort", "Color")
    installed = [
        (font.name, font.fname) for font in fontManager.ttflist if not any(word in font.name for word in unusable)
    ]
    for candidates in (list(_fallback_fonts), installed):
        while missing and candidates:
            covered, family, path = max(
                ((_coverage(FT2Font(path), missing), family, path) for family, path in candidates),
                key=lambda candidate: candidate[0],
            )
            if not covered:
                break
            missing = _missing_characters(path, missing)
            chosen.append((family, path))
            if (family, path) not in _fallback_fonts:
                _fallback_fonts.append((family, path))
    return tuple(chosen), missing


def _missing_characters(path: str, characters: frozenset[str]) -> frozenset[str]:
    """Return those characters that a font lacks."""
    from matplotlib.ft2font import FT2Font

    font = FT2Font(path)
    return frozenset(character for character in characters if not font.get_char_index(ord(character)))


def _coverage(font: Any, text: Collection[str]) -> int:
    """Count the characters that a font has."""
    return sum(1 for character in text if font.get_char_index(ord(character)))
