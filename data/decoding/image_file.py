"""Inspecting image files without TensorFlow: format, size, orientation, and whether the file can be decoded.

A file is usable if `retinue.data.decoding.decode` can decode it. Pillow decodes the file here. Where it is more
tolerant than TensorFlow's decoders (a PNG or GIF without its end, some BMPs), the bytes are checked as well. TIFF,
AVIF, HEIC and Netpbm's formats are decoded by the same code in both cases.
"""

import io
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from retinue.configs.errors import first_line
from retinue.data.decoding.file_problem import COPY_AGAIN, RESAVE, TRUNCATED, Problem, UnusableFileError
from retinue.data.decoding.image_formats import FORMAT_OF_SUFFIX, HEAD_BYTES, describe_other_content, format_of
from retinue.data.decoding.image_structure import check_structure, finds_exif
from retinue.data.decoding.modern_formats import MODERN_FORMATS, open_modern
from retinue.data.decoding.netpbm import NetpbmHeader, decode_netpbm, read_netpbm_header
from retinue.data.decoding.orientation import ORIENTATION_TAG, upright_size
from retinue.data.decoding.pixel_range import EIGHT_BITS
from retinue.data.decoding.tiff_file import TiffHeader, decode_tiff, read_tiff_header, refuse_unsupported
from retinue.data.storage.content import content_id

# Pillow's classes are called directly, because Image.open would warn about, or reject, what max_pixels allows.
OPENERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
OpenedImage = ImageFile.ImageFile | TiffHeader | NetpbmHeader

SEVERAL_FRAMES = "several frames"  # kind of a remark
MIN_SIDE = 8  # pixels; a smaller image causes a remark
MAX_ASPECT_RATIO = 20  # a larger ratio of the sides causes a remark


class ImageHeader(NamedTuple):
    """What the header of an image file contains.

    Attributes:
        width: Width in pixels of the upright image.
        height: Height in pixels of the upright image.
        orientation: EXIF orientation of the stored image, 1 to 8.
        format: The format, as `format_of` returns it.
        depth: "8-bit", or the depth of an image whose values `data.pixel_range` scales, such as "16-bit".
    """

    width: int
    height: int
    orientation: int
    format: str
    depth: str


@dataclass(slots=True)
class ImageInfo:
    """What `probe` found out about an image file.

    Attributes:
        format: "JPEG", "PNG", "GIF", "BMP", "WebP", "TIFF", "AVIF", "HEIC", "Netpbm" or "".
        width: Width in pixels of the stored image, 0 if unknown.
        height: Height in pixels of the stored image, 0 if unknown.
        mode: Pillow's name of the channels, such as "RGB", "L" or "CMYK".
        orientation: EXIF orientation, 1 to 8. From 5 on, the upright image has height and width exchanged.
        depth: "8-bit", or the depth of an image whose values `data.pixel_range` scales, such as "16-bit" or "32-bit
            float".
        file_size: Size of the file in bytes.
        problem: Why the file cannot be used, or None.
        remarks: Kind and reason of each property that is unusual, but does not prevent using the file.
        content_id: Hash of the content (see `retinue.data.storage.content`). It is "" for a file that does not begin
            like an image, since only the beginning of such a file is read.
    """

    format: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    orientation: int = 1
    depth: str = EIGHT_BITS
    file_size: int = 0
    problem: Problem | None = None
    remarks: tuple[tuple[str, str], ...] = ()
    content_id: str = ""


def probe(path: str | os.PathLike[str], max_pixels: int = 200_000_000) -> ImageInfo:
    """Inspect an image file and decode it completely. No exception is raised for an invalid file.

    Args:
        path: The file.
        max_pixels: A larger image is rejected by its header, before it is decoded.

    Returns:
        What was found out. If the file is invalid, `problem` is set.
    """
    info = ImageInfo()
    try:
        _probe(os.fspath(path), max_pixels, info)
    except UnusableFileError as error:
        info.problem = error.problem
    except MemoryError:
        info.problem = Problem("too large", "it does not fit into memory", "make it smaller")
    except Exception as error:  # decoders raise exceptions of any class for damaged files
        info.problem = _decoder_problem(error)
    return info


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Read the width and height in pixels of the upright image from the header of its file.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the file is not an image, or its header is damaged.
    """
    header = read_header(path)
    return header.width, header.height


def read_header(path: str | os.PathLike[str]) -> ImageHeader:
    """Read the header of an image file.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the file is not an image, or its header is damaged.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a named pipe would block until a process writes to it
        raise ValueError("not a regular file")
    with open(path, "rb") as stream:
        info = ImageInfo(format=format_of(stream.read(HEAD_BYTES)))
        if not info.format:
            raise ValueError("an unknown image format")
        stream.seek(0)
        try:
            _open(stream, info)
        except UnusableFileError as error:
            raise ValueError(error.problem.reason) from error
        except Exception as error:  # decoders raise exceptions of any class for damaged files
            raise ValueError(_decoder_problem(error).reason) from error
    height, width = upright_size(info.height, info.width, info.orientation)
    return ImageHeader(width, height, info.orientation, info.format, info.depth)


def _probe(path: str, max_pixels: int, info: ImageInfo) -> None:
    """Fill in `info`, or raise an exception if the file is invalid."""
    if not _is_valid_unicode(path):
        raise UnusableFileError("file name", "its name is not valid UTF-8", "rename it")
    content = _read(path, info)
    info.format = format_of(content)
    if not info.format:
        raise UnusableFileError(*describe_other_content(content))
    info.content_id = content_id(content)
    if info.format == "WebP" and struct.unpack("<I", content[4:8])[0] + 8 > len(content):
        raise UnusableFileError(*TRUNCATED)  # Pillow's error would not name this cause
    image = _open(io.BytesIO(content), info)
    if info.width * info.height > max_pixels:
        reason = f"{info.width:,} x {info.height:,} pixels, more than data.max_pixels ({max_pixels:,})"
        raise UnusableFileError("too large", reason, "make it smaller, or increase data.max_pixels")
    if isinstance(image, TiffHeader):
        decode_tiff(content)
    elif isinstance(image, NetpbmHeader):
        decode_netpbm(content)
    else:
        if info.format == "JPEG":
            # Decoding at 1/8 of the size reads every byte as well, in a third of the time.
            image.draft(image.mode, (max(1, info.width // 8), max(1, info.height // 8)))
        image.load()
        check_structure(content, info.format)
    info.remarks = tuple(_remarks(path, image, info))


def _is_valid_unicode(path: str) -> bool:
    try:
        return bool(path.encode("utf-8"))
    except UnicodeEncodeError:
        return False


def _read(path: str, info: ImageInfo) -> bytes:
    """Read the whole file if it begins like an image, or else its first 4096 bytes."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        reason = "the target of the link does not exist" if os.path.islink(path) else "no such file"
        raise UnusableFileError("missing", reason, "correct the path, or remove it") from None
    except OSError as error:
        raise _unreadable(error) from None
    info.file_size = status.st_size
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFileError("not an image", "not a regular file", "remove it")
    if status.st_size == 0:
        raise UnusableFileError("empty", "0 bytes", COPY_AGAIN)
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
            return head + file.read() if format_of(head) else head
    except OSError as error:
        raise _unreadable(error) from None


def _unreadable(error: OSError) -> UnusableFileError:
    reason = f"the file cannot be read ({(error.strerror or str(error)).lower()})"
    return UnusableFileError("unreadable", reason, "check its permissions and the disk")


def _open(stream: BinaryIO, info: ImageInfo) -> OpenedImage:
    """Read the header into `info`. Returns Pillow's image, or the header of a format that Pillow does not decode."""
    if info.format == "Netpbm":
        netpbm = read_netpbm_header(stream)
        info.width, info.height, info.depth = netpbm.width, netpbm.height, netpbm.depth
        info.mode = f"{netpbm.channels} channels"
        return netpbm
    if info.format == "TIFF":
        header = read_tiff_header(stream)
        info.width, info.height, info.orientation = header.width, header.height, header.orientation
        info.mode, info.depth = f"{header.bands} channels", header.depth
        refuse_unsupported(header)
        return header
    image = open_modern(stream, info.format) if info.format in MODERN_FORMATS else OPENERS[info.format](stream)
    info.width, info.height, info.mode = image.width, image.height, image.mode
    if info.format == "PNG" and _png_bits(stream) == 16:
        info.depth = "16-bit"
    if "exif" in image.info:
        exif = Image.Exif()  # getexif would also read XMP, which retinue.data.decoding.exif does not
        try:
            exif.load(image.info["exif"])
            info.orientation = _orientation(exif)
        except Exception:  # the EXIF data is damaged: the image is taken as upright, as in retinue.data.decoding.exif
            pass
    if info.orientation != 1 and info.format not in MODERN_FORMATS and not finds_exif(stream, info.format):
        info.orientation = 1
    return image


def _png_bits(stream: BinaryIO) -> int:
    """Return the bits of a sample, and leave the position in the stream as it is."""
    position = stream.tell()
    stream.seek(24)
    bits = stream.read(1)
    stream.seek(position)
    return bits[0] if bits else 0


def _orientation(tags: Mapping[int, object]) -> int:
    value = tags.get(ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _remarks(path: str, image: OpenedImage, info: ImageInfo) -> Iterator[tuple[str, str]]:
    """Yield the kind and reason of each property that is unusual, but does not prevent using the file."""
    suffix = os.path.splitext(path)[1].lower()
    expected_format = FORMAT_OF_SUFFIX.get(suffix)
    if expected_format and expected_format != info.format:
        yield "wrong extension", f"{info.format} data in a file with the ending {suffix}"
    width, height = info.width, info.height
    if min(width, height) < MIN_SIDE:
        yield "very small", f"{width} x {height} pixels, which is too small for training"
    elif max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        yield "very long", f"{width} x {height} pixels, of which little is left in a square"
    if _has_several_frames(image):
        yield SEVERAL_FRAMES, "it has several frames, of which the first is used"
    if isinstance(image, TiffHeader) and image.num_unspecified:
        used = "3 are used as red, green and blue" if image.bands > 2 else "first is used"
        yield "bands", f"it has {image.bands} bands, of which the {'first ' if image.bands > 2 else ''}{used}"


def _has_several_frames(image: OpenedImage) -> bool:
    if isinstance(image, NetpbmHeader):
        return image.has_more_images
    if isinstance(image, TiffHeader):
        return image.has_more_pages
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # there is a second frame, but it is damaged
        return True


def _decoder_problem(error: Exception) -> Problem:
    text = first_line(error)
    if "truncated" in text.lower() or "requires a buffer" in text or isinstance(error, (EOFError, struct.error)):
        return TRUNCATED
    if isinstance(error, (KeyError, SyntaxError)):
        return Problem("broken", "its header is damaged", RESAVE)
    return Problem("broken", f"it cannot be decoded ({text})", RESAVE)
