"""TFRecord files and the tf.Example messages in them, parsed without TensorFlow.

A record is its length (8 bytes, little endian), a checksum of the length, the content and a checksum of the content
(https://www.tensorflow.org/tutorials/load_data/tfrecord). The content is a message of protocol buffers,
`Example { Features features = 1 }`, where `Features { map<string, Feature> feature = 1 }` and a `Feature` is one of
`BytesList` (1), `FloatList` (2) and `Int64List` (3), each with its values in the field 1.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np

Values = list[bytes] | np.ndarray  # of one feature: bytes, float32 `[k]` or int64 `[k]`

MAX_LENGTH = 1 << 30  # bytes of a record
GZIP = b"\x1f\x8b"
CASTAGNOLI = 0x82F63B78  # the reversed polynomial of CRC-32C
VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers


def read_records(path: str) -> Iterator[bytes]:
    """Yield the content of each record of a TFRecord file, which may be compressed with gzip.

    The checksum of each length is verified, and so a file that is no TFRecord file is noticed at once.

    Raises:
        OSError: The file can't be read.
        ValueError: It is not a TFRecord file, or it ends early.
    """
    with open(path, "rb") as plain:
        is_compressed = plain.read(2) == GZIP
        plain.seek(0)
        stream: IO[bytes] = gzip.open(plain) if is_compressed else plain  # type: ignore[assignment]
        number = 0
        while True:
            number += 1
            try:
                header = stream.read(12)
                if not header:
                    return
                if len(header) < 12:
                    raise ValueError(f"it ends in the middle of record {number}")
                length, checksum = struct.unpack("<QI", header)
                if masked_crc32c(header[:8]) != checksum or length > MAX_LENGTH:
                    what = "is not a TFRecord file" if number == 1 else f"is damaged at record {number}"
                    raise ValueError(f"it {what} (the checksum of a length is wrong)")
                content = stream.read(length)
                if len(content) < length or len(stream.read(4)) < 4:
                    raise ValueError(f"it ends in the middle of record {number}")
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise ValueError(f"its compressed data is damaged at record {number} ({error})") from None
            yield content


def parse_example(content: bytes) -> dict[str, Values]:
    """Return the features of a tf.Example by name.

    Raises:
        ValueError: It is not one.
    """
    features: dict[str, Values] = {}
    for field, message in _fields(memoryview(content)):
        if field != 1 or not isinstance(message, memoryview):
            continue
        for inner_field, entry in _fields(message):
            if inner_field != 1 or not isinstance(entry, memoryview):
                continue
            name, values = "", None
            for part, value in _fields(entry):
                if part == 1 and isinstance(value, memoryview):
                    name = bytes(value).decode("utf-8")  # an error is a ValueError
                elif part == 2 and isinstance(value, memoryview):
                    values = _parse_feature(value)
            features[name] = [] if values is None else values
    return features


def masked_crc32c(content: bytes) -> int:
    """Return the checksum of TFRecord files: CRC-32C, rotated and with a constant added."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _parse_feature(message: memoryview) -> Values | None:
    """Return the values of a feature, None if it has no kind."""
    values: Values | None = None
    for kind, items in _fields(message):
        if not isinstance(items, memoryview):
            raise ValueError("a feature that is not a list")
        listed = [value for field, value in _fields(items) if field == 1]
        if kind == 1:
            values = [bytes(value) for value in listed if isinstance(value, memoryview)]
        elif kind == 2:
            parts = [value if isinstance(value, memoryview) else struct.pack("<I", value) for value in listed]
            values = np.frombuffer(b"".join(bytes(part) for part in parts), "<f4")
        elif kind == 3:
            numbers = [number for value in listed for number in _varints(value)]
            values = np.array(numbers, np.uint64).astype(np.int64)
    return values


def _varints(value: memoryview | int) -> Iterator[int]:
    """Yield the numbers of a packed list, or the one number."""
    if isinstance(value, int):
        yield value & 0xFFFFFFFFFFFFFFFF
        return
    position = 0
    while position < len(value):
        number, position = _read_varint(value, position)
        yield number & 0xFFFFFFFFFFFFFFFF


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield the number and the value of each field of a message: a number, or the bytes of what has a length.

    Raises:
        ValueError: It ends early or has an unknown wire type.
    """
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        field, wire_type = key >> 3, key & 7
        if wire_type == VARINT:
            number, position = _read_varint(message, position)
            yield field, number
            continue
        if wire_type == LENGTH_DELIMITED:
            length, position = _read_varint(message, position)
        elif wire_type in (FIXED32, FIXED64):
            length = 4 if wire_type == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire_type} is unknown")
        if length > len(message) - position:
            raise ValueError("a field ends after its message")
        value = message[position : position + length]
        position += length
        yield field, value if wire_type == LENGTH_DELIMITED else int.from_bytes(value, "little")


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return a number of 7 bits a byte, and the position after it."""
    number, shift = 0, 0
    while position < len(message) and shift < 70:
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
    raise ValueError("a number ends early")


def _make_crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (CASTAGNOLI if byte & 1 else 0)
        table.append(byte)
    return table


_CRC_TABLE = _make_crc_table()
