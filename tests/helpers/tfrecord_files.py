"""TFRecord files, written without TensorFlow."""

import struct
from collections.abc import Sequence
from pathlib import Path

from retinue.data.readers.tfrecords.file import masked_crc32c


def example(**features: Sequence[bytes] | Sequence[int] | Sequence[float]) -> bytes:
    """Return a tf.Example; in the names of features, "__" stands for "/"."""
    content = b""
    for name, values in features.items():
        if all(isinstance(value, bytes) for value in values):
            feature = _field(1, b"".join(_field(1, value) for value in values))
        elif any(isinstance(value, float) for value in values):
            feature = _field(2, _field(1, struct.pack(f"<{len(values)}f", *values)))
        else:
            feature = _field(3, _field(1, b"".join(_varint(value) for value in values)))
        content += _field(1, _field(1, name.replace("__", "/").encode()) + _field(2, feature))
    return _field(1, content)


def save_records(path: Path, *examples: bytes) -> Path:
    """Save a file of records, whose checksums are right for the lengths and zero for the contents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        for content in examples:
            length = struct.pack("<Q", len(content))
            file.write(length + struct.pack("<I", masked_crc32c(length)) + content + bytes(4))
    return path


def _varint(number: int) -> bytes:
    content = b""
    while number > 127:
        content += bytes([number & 127 | 128])
        number >>= 7
    return content + bytes([number])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content
