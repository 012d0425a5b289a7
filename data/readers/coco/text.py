"""The text of a COCO file: read, and decoded entry by entry."""

import json
import re
from collections.abc import Iterator
from typing import Any

from retinue.configs.errors import RetinueError

LISTS = ("images", "annotations")  # COCO's lists whose entries are decoded one by one

_SPACE = re.compile(r"[ \t\n\r]*")
_SEPARATOR = re.compile(r"[ \t\n\r]*([,\]]?)[ \t\n\r]*")


def read_text(path: str) -> str:
    """Read a file of JSON, without a byte order mark.

    Raises:
        RetinueError: It can't be read, or is not UTF-8.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except OSError as error:
        raise RetinueError(f"{path}: this file can't be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise RetinueError(f"{path}: this is not JSON in UTF-8 ({error}); export the annotations again") from None


def top_level_entries(text: str) -> Iterator[tuple[str, Any, int]]:
    """Decode an object of JSON piece by piece.

    Yields:
        For each entry of a list of `LISTS`: the key, the entry, and its position in the text. For any other key of the
        object: the key, the value, and its position.

    Raises:
        ValueError: The text is not an object of JSON.
        RecursionError: It is nested too deeply.
    """
    decode, skip, match_separator = json.JSONDecoder().raw_decode, _SPACE.match, _SEPARATOR.match

    def after_space(position: int) -> int:
        return skip(text, position).end()  # type: ignore[union-attr]  # the pattern matches everywhere

    def expect(position: int, characters: str) -> str:
        """Return the character at a position, which must be one of these."""
        character = text[position : position + 1]
        if not character or character not in characters:
            raise json.JSONDecodeError(f"expected {' or '.join(characters)}", text, position)
        return character

    position = after_space(0)
    expect(position, "{")
    position = after_space(position + 1)
    is_last = text[position : position + 1] == "}"
    while not is_last:
        expect(position, '"')
        key, position = decode(text, position)
        position = after_space(position)
        expect(position, ":")
        position = after_space(position + 1)
        if key in LISTS and text[position : position + 1] == "[":
            position = after_space(position + 1)
            separator = "," if text[position : position + 1] != "]" else ""
            if not separator:
                position += 1
            while separator == ",":
                entry, end = decode(text, position)
                yield key, entry, position
                after = match_separator(text, end)
                assert after  # the pattern matches everywhere
                separator, position = after.group(1), after.end()
                if not separator:
                    expect(position, ",]")
        else:
            value, end = decode(text, position)
            yield key, value, position
            position = end
        position = after_space(position)
        is_last = expect(position, ",}") == "}"
        if not is_last:
            position = after_space(position + 1)
    position = after_space(position + 1)
    if position < len(text):
        raise json.JSONDecodeError("more text after the end", text, position)
