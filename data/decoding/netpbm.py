"""Netpbm's images: PBM, PGM and PPM, as text and in binary, of 1, 8 and 16 bits.

Source: the pages pbm(5), pgm(5) and ppm(5) of Netpbm's documentation.
"""

import io
import re
from typing import BinaryIO, NamedTuple

import numpy as np

from retinue.data.decoding.file_problem import RESAVE, TRUNCATED, UnusableFileError
from retinue.data.decoding.pixel_range import EIGHT_BITS

NETPBM_MAGIC = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
MAX_HEADER_BYTES = 65536  # comments make a header long
WHITE, MAX_VALUE = 255, 65535
_SPACE = rb"(?:[ \t\r\n\v\f]|#[^\r\n]*[\r\n])+"  # also comments
_NUMBER = _SPACE + rb"(\d{1,9})"
_BITMAP_HEADER = re.compile(rb"P[14]" + _NUMBER + _NUMBER + rb"[ \t\r\n\v\f]")
_HEADER = re.compile(rb"P[2356]" + _NUMBER * 3 + rb"[ \t\r\n\v\f]")
_COMMENT = re.compile(rb"#[^\r\n]*")


class NetpbmHeader(NamedTuple):
    """The header of a file.

    Attributes:
        kind: 1 to 6, as in its first bytes.
        width: Width in pixels.
        height: Height in pixels.
        maximum: The value of white; 1 for PBM.
        offset: Position of the first byte of the pixels.
        has_more_images: Whether another image follows in the file, as far as a binary file tells.
    """

    kind: int
    width: int
    height: int
    maximum: int
    offset: int
    has_more_images: bool

    @property
    def channels(self) -> int:
        """The number of values of a pixel."""
        return 3 if self.kind in (3, 6) else 1

    @property
    def depth(self) -> str:
        """ "8-bit", or "16-bit" for an image whose values `data.pixel_range` scales."""
        return EIGHT_BITS if self.maximum <= WHITE else "16-bit"

    @property
    def row_bytes(self) -> int:
        """The bytes of a row of a binary file."""
        if self.kind == 4:
            return (self.width + 7) // 8
        return self.width * self.channels * (1 if self.maximum <= WHITE else 2)


def is_netpbm(content: bytes) -> bool:
    """Return whether a file begins like one of Netpbm."""
    return content[:2] in NETPBM_MAGIC and content[2:3] in (b" ", b"\t", b"\r", b"\n", b"#")


def read_netpbm_header(stream: BinaryIO) -> NetpbmHeader:
    """Read the header of a file.

    Args:
        stream: The file, at its beginning.

    Raises:
        UnusableFileError: The header is damaged.
    """
    head = stream.read(MAX_HEADER_BYTES)
    is_bitmap = head[:2] in (b"P1", b"P4")
    found = (_BITMAP_HEADER if is_bitmap else _HEADER).match(head)
    if not found:
        raise UnusableFileError("broken", "its header is damaged", RESAVE)
    width, height, maximum = (int(number) for number in (*found.groups(), b"1")[:3])
    if not width or not height or not 0 < maximum <= MAX_VALUE:
        raise UnusableFileError("broken", f"its header says {width} x {height} pixels up to {maximum}", RESAVE)
    header = NetpbmHeader(int(head[1:2]), width, height, maximum, found.end(), False)
    if header.kind < 4:
        return header
    stream.seek(header.offset + header.row_bytes * height)
    return header._replace(has_more_images=is_netpbm(stream.read(3)))


def decode_netpbm(content: bytes) -> np.ndarray:
    """Decode the first image of a file.

    Args:
        content: The content of the file.

    Returns:
        [height, width] (gray) or [height, width, 3] (RGB): uint8 with 255 as white where white is at most 255 in the
        file, else the values of the file as uint16.

    Raises:
        UnusableFileError: The file is damaged or incomplete.
    """
    values, white = read_netpbm_values(content)
    if white > WHITE:
        return values
    return values if white == WHITE else np.rint(values * (WHITE / white)).astype(np.uint8)


def read_netpbm_values(content: bytes) -> tuple[np.ndarray, int]:
    """Return the values of the first image of a file as they are, uint8 or uint16, and that of white.

    In a PBM, where they are 1 for black, they are exchanged.

    Raises:
        UnusableFileError: The file is damaged or incomplete.
    """
    header = read_netpbm_header(io.BytesIO(content))
    values = _text_values(content, header) if header.kind < 4 else _binary_values(content, header)
    if values.max() > header.maximum:
        reason = f"it has a value of {values.max()}, but its header says that {header.maximum} is white"
        raise UnusableFileError("broken", reason, RESAVE)
    if header.kind in (1, 4):
        values = 1 - values
    return values.astype(np.uint8 if header.maximum <= WHITE else np.uint16), header.maximum


def _binary_values(content: bytes, header: NetpbmHeader) -> np.ndarray:
    size = header.row_bytes * header.height
    pixels = content[header.offset : header.offset + size]
    if len(pixels) < size:
        raise UnusableFileError(*TRUNCATED)
    if header.kind == 4:
        rows = np.frombuffer(pixels, np.uint8).reshape(header.height, header.row_bytes)
        return np.unpackbits(rows, axis=1)[:, : header.width]
    return _shape(np.frombuffer(pixels, np.uint8 if header.maximum <= WHITE else ">u2"), header)


def _text_values(content: bytes, header: NetpbmHeader) -> np.ndarray:
    text = _COMMENT.sub(b"", content[header.offset :])
    count = header.width * header.height * header.channels
    # The digits of a bitmap need not be apart.
    words = re.findall(rb"[01]", text) if header.kind == 1 else text.split(maxsplit=count)[:count]
    if len(words) < count:
        raise UnusableFileError(*TRUNCATED)
    try:
        values = np.array([int(word) for word in words[:count]], np.int32)
    except (ValueError, OverflowError):
        raise UnusableFileError("broken", "one of its values is not a number", RESAVE) from None
    if values.min() < 0:
        raise UnusableFileError("broken", "one of its values is negative", RESAVE)
    return _shape(values, header)


def _shape(values: np.ndarray, header: NetpbmHeader) -> np.ndarray:
    shape = (header.height, header.width, 3) if header.channels == 3 else (header.height, header.width)
    return values.reshape(shape)
