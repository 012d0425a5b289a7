"""Files that are damaged at random, in the ways in which files really are: bits, lengths, torn ends, moved parts."""

import random
import struct
from collections.abc import Callable

NUMBERS = (0, 1, 2, 127, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
WORDS = (
    *(b"-1", b"0", b"1e400", b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}", b'""', b"99999999999999999999"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"\n", b",", b";", b"<", b">", b"&x;", b'"', b"'", b"..", b"/", b"\\", b"*"),
    *(b": &a *a", b"!!python/object:os.system", b"[" * 2000, b'{"a":' * 2000, b"<a>" * 2000, b" " * 3000, b"9" * 5000),
)


def mutate(content: bytes, seed: int) -> bytes:
    """Damage a file.

    Args:
        content: the content of the file.
        seed: of the damage, which is the same for the same seed and content.

    Returns:
        The content with one to three kinds of damage.
    """
    drawn = random.Random(seed)
    damaged = bytearray(content)
    for _ in range(drawn.choice((1, 1, 1, 2, 3))):
        drawn.choice(MUTATIONS)(damaged, drawn)
    return bytes(damaged)


def _position(content: bytearray, drawn: random.Random) -> int:
    """Draw a position: half of them are in the first 100 bytes, where headers are."""
    return drawn.randrange(max(1, min(len(content), 100 if drawn.random() < 0.5 else len(content))))


def _flip_bits(content: bytearray, drawn: random.Random) -> None:
    for _ in range(drawn.choice((1, 1, 4, 32))):
        if content:
            content[_position(content, drawn)] ^= 1 << drawn.randrange(8)


def _write_number(content: bytearray, drawn: random.Random) -> None:
    position, order, kind = _position(content, drawn), drawn.choice("<>"), drawn.choice("HI")
    number = drawn.choice(NUMBERS) & (0xFFFF if kind == "H" else 0xFFFFFFFF)
    content[position : position + struct.calcsize(kind)] = struct.pack(order + kind, number)


def _truncate(content: bytearray, drawn: random.Random) -> None:
    del content[_position(content, drawn) :]


def _zero(content: bytearray, drawn: random.Random) -> None:
    position = _position(content, drawn)
    count = min(drawn.choice((4, 16, 64, 512)), len(content) - position)
    content[position : position + count] = bytes(count)


def _remove(content: bytearray, drawn: random.Random) -> None:
    position = _position(content, drawn)
    del content[position : position + drawn.choice((1, 2, 4, 16, 64))]


def _repeat(content: bytearray, drawn: random.Random) -> None:
    position = _position(content, drawn)
    part = content[position : position + drawn.choice((1, 4, 16, 64, 256))]
    content[position:position] = part * drawn.choice((1, 1, 3))


def _swap(content: bytearray, drawn: random.Random) -> None:
    first, second = sorted((_position(content, drawn), _position(content, drawn)))
    size = min(drawn.choice((4, 16, 64)), second - first, len(content) - second)
    one, other = content[first : first + size], content[second : second + size]
    content[first : first + size], content[second : second + size] = other, one


def _insert_word(content: bytearray, drawn: random.Random) -> None:
    position = drawn.randrange(len(content) + 1)
    content[position : position + drawn.choice((0, 0, 1, 3))] = drawn.choice(WORDS)


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip_bits, _write_number, _truncate, _zero, _remove, _repeat, _swap, _insert_word),
)
