"""Text files that people and tools write: their encoding, and their lines."""

import codecs
import os

from retinue.configs.errors import RetinueError

UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # with which Windows begins "Unicode" files


def read_text(path: str) -> str:
    """Read a text file in UTF-8, with or without a byte order mark, or in UTF-16 with one.

    Raises:
        RetinueError: The file can't be read, or has another encoding. The message names the line and the column.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise RetinueError(f"{path}: this file can't be read ({error.strerror})") from None
    try:
        return decode_text(content)
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise RetinueError(
            f"{path} line {line}, column {column}: there is a character that is not UTF-8; save the file as UTF-8"
        ) from None


def decode_text(content: bytes) -> str:
    """Decode the bytes of a text file as `read_text` does.

    Raises:
        UnicodeDecodeError: They have another encoding.
    """
    return content.decode("utf-16" if content.startswith(UTF_16_MARKS) else "utf-8-sig")


def is_filled(path: str) -> bool:
    """Return whether a file can be reached and holds more than a byte order mark."""
    try:
        return os.path.getsize(path) > len(codecs.BOM_UTF8)
    except OSError:
        return False


def first_lines(path: str, size: int = 4096) -> list[str]:
    """Return the lines at the beginning of a text file that are not empty, without surrounding spaces.

    Args:
        path: The file.
        size: The number of bytes that are read. A line that they cut off is not returned unless it is the only one.

    Returns:
        The lines; none where the file can't be read or is no text.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(size)
        text = decode_text(content)
    except UnicodeDecodeError as error:
        if len(content) < size or error.start < size - 4:  # else a character is cut off at the end
            return []
        text = decode_text(content[: error.start])
    except OSError:
        return []
    if "\0" in text:
        return []
    lines = text.splitlines()
    if len(content) == size and len(lines) > 1:
        lines.pop()
    return [line.strip() for line in lines if line.strip()]
