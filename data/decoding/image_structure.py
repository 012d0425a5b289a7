"""The structure of files, where Pillow accepts more than TensorFlow's decoders and `retinue.data.decoding.exif`."""

import re
import struct
import zlib
from typing import BinaryIO

import numpy as np

from retinue.data.decoding.file_problem import RESAVE, TRUNCATED, UnusableFileError
from retinue.data.decoding.orientation import MAX_SEGMENTS

MAX_WEBP_CHUNKS = 64  # chunks that are searched for pixels; metadata and the color profile can come before them
MAX_WEBP_SIDE = 16384  # pixels; the largest side that a WebP without an animation can have
BMP_HEADER = 54  # bytes of the two headers that every usual BMP has
BMP_MIN_INFO_HEADER = 40  # bytes; the smaller one is that of OS/2
BMP_MAX_SIDE = 1 << 20  # pixels
BMP_COLOR_MASKS = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)  # of red, green and blue, in the usual order
JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")  # of a segment, or of the end of the image


def check_structure(content: bytes, image_format: str) -> None:
    """Check what Pillow tolerates and TensorFlow's decoder does not.

    Args:
        content: The content of an image file.
        image_format: Its format, as `format_of` returns it.

    Raises:
        UnusableFileError: If TensorFlow cannot decode the file.
    """
    if image_format == "JPEG":
        _check_jpeg(content)
    elif image_format == "PNG":
        _check_png(content)
    elif image_format == "GIF":
        _check_gif(content)
    elif image_format == "BMP":
        _check_bmp(content)
    elif image_format == "WebP":
        _check_webp(content)


def finds_exif(stream: BinaryIO, image_format: str) -> bool:
    """Return whether `retinue.data.decoding.exif` finds the EXIF data of a file, which it searches from its beginning.

    Args:
        stream: A file that has EXIF data. Its position is left as it is.
        image_format: Its format, as `format_of` returns it.
    """
    before = stream.tell()
    try:
        return _finds_exif(stream, image_format)
    finally:
        stream.seek(before)


def _finds_exif(stream: BinaryIO, image_format: str) -> bool:
    position = {"JPEG": 2, "PNG": 8, "WebP": 12}.get(image_format, 0)
    for _ in range(MAX_SEGMENTS):
        stream.seek(position)
        header = stream.read(10)
        if len(header) < 8:
            return False
        if image_format == "JPEG":
            if header[:2] == b"\xff\xff":  # additional bytes 0xFF may come before any marker
                position += 1
                continue
            if header[:2] == b"\xff\xe1" and header[4:] == b"Exif\0\0":
                return True
            if header[0] != 0xFF or header[1] in (0xC0, 0xC1, 0xC2, 0xD9, 0xDA):
                return False
            position += 2 + struct.unpack(">H", header[2:4])[0]
        elif image_format == "PNG":
            size, name = struct.unpack(">I4s", header[:8])
            if name in (b"eXIf", b"IDAT", b"IEND"):
                return bool(name == b"eXIf")
            position += 12 + size
        elif image_format == "WebP":
            name, size = struct.unpack("<4sI", header[:8])
            if name == b"EXIF":
                return True
            position += 8 + size + size % 2
        else:
            return False
    return False


def _check_jpeg(content: bytes) -> None:
    """Check that every segment is complete and that the image ends. See ITU T.81, annex B.

    Between two segments, compressed pixels and bytes without a meaning are passed over.
    """
    search, size, position = JPEG_MARKER.search, len(content), 2
    while found := search(content, position):
        position = found.end()
        if content[position - 1] == 0xD9:
            return
        if position + 1 < size:
            position += content[position] << 8 | content[position + 1]
    raise UnusableFileError(*TRUNCATED)


def _check_png(content: bytes) -> None:
    """Check that every chunk is complete, the checksums of critical chunks are right, and the last chunk is there.

    See the PNG specification, section 5.
    """
    position = 8
    while position + 12 <= len(content):
        length, name = struct.unpack(">I4s", content[position : position + 8])
        end = position + 12 + length
        if end > len(content):
            break
        if not name.isalpha():
            raise UnusableFileError("broken", f"no PNG chunk begins at byte {position:,}, where one must begin", RESAVE)
        is_critical = name[:1].isupper()
        if is_critical and struct.unpack(">I", content[end - 4 : end])[0] != zlib.crc32(
            content[position + 4 : end - 4]
        ):
            raise UnusableFileError("broken", f"the checksum of its chunk {name.decode()} is wrong", RESAVE)
        if name == b"IEND":
            return
        position = end
    raise UnusableFileError(*TRUNCATED)


def _check_gif(content: bytes) -> None:
    """Check that the first frame is complete. See the GIF89a specification, sections 18 to 25."""

    def skip_blocks(position: int) -> int:
        while content[position]:
            position += 1 + content[position]
        return position + 1

    def skip_colors(position: int, flags: int) -> int:
        return position + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)

    try:
        position = skip_colors(13, content[10])
        while content[position] == 0x21:  # extensions come before the frame
            position = skip_blocks(position + 2)
        if content[position] != 0x2C:
            raise UnusableFileError("broken", f"no GIF frame begins at byte {position:,}, where one must begin", RESAVE)
        canvas, frame = struct.unpack("<HH", content[6:10]), struct.unpack("<HH", content[position + 5 : position + 9])
        if frame != canvas:
            sizes = "{} x {} pixels, and the image has {} x {}".format(*frame, *canvas)
            raise UnusableFileError("unsupported", f"a GIF whose first frame does not fill it: {sizes}", RESAVE)
        skip_blocks(skip_colors(position + 10, content[position + 9]) + 1)
    except IndexError:
        raise UnusableFileError(*TRUNCATED) from None


def _check_bmp(content: bytes) -> None:
    """Check that the file has 24 or 32 bits and the size in its header, or a palette, and no special variant."""
    offset, header_size, width, height = struct.unpack("<IIii", content[10:26])
    bits, compression = struct.unpack("<HI", content[28:34])
    has_usual_masks = content[BMP_HEADER : BMP_HEADER + 12] == BMP_COLOR_MASKS
    is_usual = compression == 0 or (compression == 3 and bits > 8 and has_usual_masks)
    if header_size < BMP_MIN_INFO_HEADER or bits not in (1, 2, 4, 8, 24, 32) or not is_usual:
        raise UnusableFileError("unsupported", "a compressed, 16-bit or OS/2 variant of BMP", RESAVE)
    if max(width, abs(height)) > BMP_MAX_SIDE:
        raise UnusableFileError("too large", f"{width:,} x {abs(height):,} pixels", "make it smaller")
    size = offset + (width * bits + 31) // 32 * 4 * abs(height)
    if bits <= 8:
        if len(content) < size:
            raise UnusableFileError(*TRUNCATED)
        values = np.frombuffer(content[offset:size], np.uint8)
        used_colors = 1 + max(int((values >> shift & (1 << bits) - 1).max()) for shift in range(0, 8, bits))
        if used_colors > (offset - 14 - header_size) // 4:
            raise UnusableFileError("broken", "it uses more colors than its palette defines", RESAVE)
    elif len(content) != size:
        raise UnusableFileError("broken", f"it has {len(content):,} bytes, but its header requires {size:,}", RESAVE)


def _check_webp(content: bytes) -> None:
    """Check that the first frame of an animation is found and fits into the image, as `webp.decode_webp` needs it.

    Source: RFC 9649, section 2.
    """
    position = _find_webp_chunk(content, 12, (b"VP8 ", b"VP8L", b"ANMF"))
    if content[position : position + 4] != b"ANMF":
        return  # a still image, which Pillow has decoded
    left, top = (2 * int.from_bytes(content[at : at + 3], "little") for at in (position + 8, position + 11))
    position = _find_webp_chunk(content, position + 24, (b"VP8 ", b"VP8L"))
    name, pixels = content[position : position + 4], content[position + 8 : position + 18]
    if name == b"VP8 " and len(pixels) == 10:
        width, height = (int.from_bytes(pixels[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    elif name == b"VP8L" and len(pixels) == 10:
        sides = int.from_bytes(pixels[1:5], "little")
        width, height = 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    else:
        raise UnusableFileError("broken", "its first frame holds no pixels", RESAVE)
    canvas_width, canvas_height = width, height
    if content[12:16] == b"VP8X":
        canvas_width, canvas_height = (1 + int.from_bytes(content[at : at + 3], "little") for at in (24, 27))
    if left + width > canvas_width or top + height > canvas_height or max(canvas_width, canvas_height) > MAX_WEBP_SIDE:
        raise UnusableFileError("broken", "its first frame does not fit into the image", RESAVE)


def _find_webp_chunk(content: bytes, position: int, names: tuple[bytes, ...]) -> int:
    """Return the position of the first chunk with one of the names, or the end of the search."""
    for _ in range(MAX_WEBP_CHUNKS):
        if content[position : position + 4] in (*names, b""):
            break
        size = int.from_bytes(content[position + 4 : position + 8], "little")
        position += 8 + size + size % 2
    return position
