"""What a file really is: its format, size and orientation, and whether it decodes, found without TensorFlow.

Usable means: `data.decode` can decode it. Pillow does the looking, and where it is more lenient than TensorFlow's
decoders (a PNG or GIF without its end, some BMPs) the bytes are looked at here. TIFF is decoded with OpenCV, as there.
"""

import io
import os
import stat
import struct
import zlib
from dataclasses import dataclass

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from retinue.data.decoding.opencv import opencv_quiet
from retinue.data.storage.content import content_id

# Pillow's classes are called directly: Image.open would warn of, or refuse, what max_pixels allows.
OPENERS = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
FORMAT_OF_SUFFIX = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".webp": "WebP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
BMP_HEADER_SIZES = [struct.pack("<H", size) for size in (12, 40, 52, 56, 64, 108, 124)]
SMALL = 8  # pixels; below it a picture is warned about
LONG = 20  # times; a picture longer than wide by this is warned about
ORIENTATION_TAG = 0x0112
RESAVE = "save it again as JPEG or PNG"
TRUNCATED = ("truncated", "the file ends before the picture does", "copy it again from where it came from")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """What `probe` found.

    format: "JPEG", "PNG", "GIF", "BMP", "WebP", "TIFF" or "". width, height: pixels as stored (0 when unknown);
    orientation: EXIF's, 1 to 8, from 5 on height and width swap when the picture is turned upright.
    bytes: the file's size. mode: Pillow's word for the channels ("RGB", "L", "CMYK", ...).
    bad: (kind, reason, cure) when it can't be used, else None. remarks: (kind, reason) of odd but usable things.
    content_id: of its bytes (see `data.content`); "" for what begins like no image, which is not read to its end.
    """

    format: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    orientation: int = 1
    bytes: int = 0
    bad: tuple = None
    remarks: tuple = ()
    content_id: str = ""


class _Unusable(Exception):
    """Carries (kind, reason, cure)."""


def probe(path, max_pixels=200_000_000):
    """Look at one file, decode it wholly, and tell what it is (`ImageFile`). Never raises for a bad file.

    max_pixels: a larger picture is refused by its header, before it is decoded.
    """
    found = {}
    try:
        _probe(os.fspath(path), max_pixels, found)
    except _Unusable as unusable:
        found["bad"] = unusable.args
    except MemoryError:
        found["bad"] = ("too large", "it does not fit into memory", "make it smaller")
    except Exception as error:  # decoders raise anything on broken bytes, and every one of them is a reason
        found["bad"] = _decoder_reason(error)
    return ImageFile(**found)


def _probe(path, max_pixels, found):
    if not _is_unicode(path):
        raise _Unusable("file name", "its name is not valid UTF-8", "rename it")
    content = _content(path, found)
    found["format"] = format_of(content)
    if not found["format"]:
        raise _Unusable(*_what_else(content))
    found["content_id"] = content_id(content)
    if found["format"] == "WebP" and struct.unpack("<I", content[4:8])[0] + 8 > len(content):
        raise _Unusable(*TRUNCATED)  # Pillow would not say why
    opened = _open(io.BytesIO(content), found)
    width, height = found["width"], found["height"]
    if width * height > max_pixels:
        reason = f"{width:,} x {height:,} pixels, more than max_pixels {max_pixels:,}"
        raise _Unusable("too large", reason, "make it smaller, or raise data.max_pixels")
    if found["format"] == "TIFF":
        _decode_tiff(content)
    else:
        if found["format"] == "JPEG":
            opened.draft(
                opened.mode, (max(1, width // 8), max(1, height // 8))
            )  # reads every byte, in a third of the time
        opened.load()
        if found["format"] == "WebP":
            _decode_frames(opened)
        _check_structure(content, found["format"])
    found["remarks"] = tuple(_remarks(path, opened, found))


def _is_unicode(path):
    try:
        return bool(path.encode("utf-8"))
    except UnicodeEncodeError:
        return False


def format_of(content):
    """The format by the first 16 bytes, "" for what retinue can't decode."""
    if content[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if content[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP"
    if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if content[:2] == b"BM" and content[14:16] in BMP_HEADER_SIZES:
        return "BMP"
    return ""


def _content(path, found):
    """All bytes of a file that begins like an image, else its first ones."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        why = "the link leads nowhere" if os.path.islink(path) else "no such file"
        raise _Unusable("missing", why, "correct the path, or take it out") from None
    except OSError as error:
        raise _Unusable("unreadable", _system_reason(error), "check its permissions and the disk") from None
    found["bytes"] = status.st_size
    if not stat.S_ISREG(status.st_mode):
        raise _Unusable("not an image", "not a regular file", "take it out")
    if status.st_size == 0:
        raise _Unusable("empty", "0 bytes", "copy it again from where it came from")
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
            return head + file.read() if format_of(head) else head
    except OSError as error:
        raise _Unusable("unreadable", _system_reason(error), "check its permissions and the disk") from None


def _system_reason(error):
    return f"can't be read ({(error.strerror or str(error)).lower()})"


def image_size(path):
    """(width, height) in pixels of an image file, upright by its EXIF, from its header alone.

    Raises OSError when it can't be read, ValueError when it is no image or its header is damaged.
    """
    return read_header(path)[:2]


def read_header(path):
    """(width, height, orientation, format): what `image_size` gives, the stored picture's EXIF orientation, 1 to 8, and
    the name that `format_of` gives."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for its writer
        raise ValueError("not a regular file")
    with open(path, "rb") as stream:
        found = {"format": format_of(stream.read(16))}
        if not found["format"]:
            raise ValueError("no image format that is known")
        stream.seek(0)
        try:
            _open(stream, found)
        except Exception as error:  # decoders raise anything on broken bytes
            raise ValueError(_decoder_reason(error)[1]) from error
    sides = (found["width"], found["height"])
    return (*(sides[::-1] if found["orientation"] >= 5 else sides), found["orientation"], found["format"])


def _open(stream, found):
    """Read the header: fills in width, height, mode and orientation; gives Pillow's image, None for TIFF."""
    if found["format"] == "TIFF":
        head = stream.read(16)
        directory = TiffImagePlugin.ImageFileDirectory_v2(head if 43 in head[2:4] else head[:8])  # 43 is BigTIFF
        stream.seek(directory.next)
        directory.load(stream)
        found.update(width=int(directory[256]), height=int(directory[257]), mode=f"{directory.get(277, 1)} channels")
        found["orientation"] = _orientation(directory)
        return None
    opened = OPENERS[found["format"]](stream)
    found.update(width=opened.width, height=opened.height, mode=opened.mode, orientation=1)
    if "exif" in opened.info:
        exif = Image.Exif()  # getexif would also look into XMP, which data.exif does not
        try:
            exif.load(opened.info["exif"])
            found["orientation"] = _orientation(exif)
        except Exception:  # broken EXIF: the picture itself is fine, and counts as upright, as in data.exif
            pass
    return opened


def _orientation(tags):
    value = tags.get(ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _decode_tiff(content):
    import cv2
    import numpy as np

    with opencv_quiet:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise _Unusable("broken", "this TIFF can't be decoded; it may be truncated", RESAVE)


def _decode_frames(opened):
    """TensorFlow decodes every frame of a WebP, though only the first is used."""
    for frame in range(1, opened.n_frames):
        opened.seek(frame)
        opened.load()


def _check_structure(content, form):
    """Raise for what Pillow forgives and TensorFlow's decoder does not."""
    if form == "PNG":
        _check_png(content)
    elif form == "GIF":
        _check_gif(content)
    elif form == "BMP":
        _check_bmp(content)


def _check_png(content):
    """Every chunk whole, the checksums of the needed ones right, an end. PNG specification, section 5."""
    position = 8
    while position + 12 <= len(content):
        length, name = struct.unpack(">I4s", content[position : position + 8])
        end = position + 12 + length
        if end > len(content):
            break
        if not name.isalpha():
            raise _Unusable("broken", f"byte {position:,} should begin a chunk of the PNG, and does not", RESAVE)
        is_needed = name[:1].isupper()
        if is_needed and struct.unpack(">I", content[end - 4 : end])[0] != zlib.crc32(content[position + 4 : end - 4]):
            raise _Unusable("broken", f"the checksum of its part {name.decode()} is wrong", RESAVE)
        if name == b"IEND":
            return
        position = end
    raise _Unusable(*TRUNCATED)


def _check_gif(content):
    """The first frame whole, up to the mark of its end. GIF89a specification, sections 18 to 25."""

    def after_blocks(position):
        while content[position]:
            position += 1 + content[position]
        return position + 1

    def after_colours(position, flags):
        return position + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)

    try:
        position = after_colours(13, content[10])
        while content[position] == 0x21:  # extensions before the frame
            position = after_blocks(position + 2)
        if content[position] != 0x2C:
            raise _Unusable("broken", f"byte {position:,} should begin a frame of the GIF, and does not", RESAVE)
        after_blocks(after_colours(position + 10, content[position + 9]) + 1)
    except IndexError:
        raise _Unusable(*TRUNCATED) from None


def _check_bmp(content):
    """24 or 32 bits of exactly the size that the header says, or a palette; nothing compressed, nothing of OS/2."""
    offset, header_size, width, height = struct.unpack("<IIii", content[10:26])
    bits, compression = struct.unpack("<HI", content[28:34])
    if header_size < 40 or bits not in (1, 2, 4, 8, 24, 32) or compression not in ((0, 3) if bits > 8 else (0,)):
        raise _Unusable("unsupported", "a compressed, 16-bit or OS/2 variant of BMP", RESAVE)
    size = offset + (width * bits + 31) // 32 * 4 * abs(height)
    if bits <= 8:
        if len(content) < size:
            raise _Unusable(*TRUNCATED)
        if bits == 8 and max(content[offset:size]) >= (offset - 14 - header_size) // 4:
            raise _Unusable("broken", "it uses more colours than it defines", RESAVE)
    elif len(content) != size:
        raise _Unusable("broken", f"{len(content):,} bytes, but its header says {size:,}", RESAVE)


def _remarks(path, opened, found):
    """(kind, reason) of what is odd and does not hinder."""
    suffix = os.path.splitext(path)[1].lower()
    named = FORMAT_OF_SUFFIX.get(suffix)
    if named and named != found["format"]:
        yield "wrong extension", f"{found['format']} data in a file named {suffix}"
    width, height = found["width"], found["height"]
    if min(width, height) < SMALL:
        yield "very small", f"{width} x {height} pixels: too small to learn from"
    elif max(width, height) > LONG * min(width, height):
        yield "very long", f"{width} x {height} pixels: little is left of it in a square"
    if _is_animated(opened):
        yield "animated", "several frames, of which the first is used"


def _is_animated(opened):
    try:
        return getattr(opened, "is_animated", False)
    except Exception:  # there is a second frame, and it is broken
        return True


# What else a file can be, by its first bytes: (where, bytes, kind, reason, cure).
OTHER_CONTENT = (
    (0, b"version https://git-lfs", "not downloaded", "a Git LFS pointer, not the picture", "run git lfs pull"),
    (4, b"ftypavi", "unsupported", "an AVIF picture", RESAVE),
    (4, b"ftyphei", "unsupported", "a HEIC picture", RESAVE),
    (4, b"ftyphev", "unsupported", "a HEIC picture", RESAVE),
    (4, b"ftypmif1", "unsupported", "a HEIC or AVIF picture", RESAVE),
    (4, b"ftypmsf1", "unsupported", "a HEIC or AVIF picture", RESAVE),
    (4, b"ftypcrx", "unsupported", "a raw photo (CR3)", "develop it to JPEG or PNG"),
    (4, b"ftyp", "not an image", "a video", "give it to the task video, or take it out"),
    (0, b"\xff\x0a", "unsupported", "a JPEG XL picture", RESAVE),
    (4, b"JXL ", "unsupported", "a JPEG XL picture", RESAVE),
    (4, b"jP  ", "unsupported", "a JPEG 2000 picture", RESAVE),
    (0, b"\xff\x4f\xff\x51", "unsupported", "a JPEG 2000 picture", RESAVE),
    (0, b"8BPS", "unsupported", "a Photoshop file", RESAVE),
    (0, b"\0\0\1\0", "unsupported", "an icon (ICO)", RESAVE),
    (0, b"%PDF", "not an image", "a PDF", "save its pages as PNG"),
    (0, b"PK\3\4", "not an image", "a zip archive", "unpack it"),
)


def _what_else(content):
    for position, signature, kind, reason, cure in OTHER_CONTENT:
        if content[position : position + len(signature)] == signature:
            return kind, reason, cure
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "not an image", "a web page", "download it again"
    if start.startswith(b"<svg") or b"<svg" in start:
        return "unsupported", "an SVG drawing", "save it as PNG"
    if content[:16].strip(b"\0") == b"":
        return "broken", "it begins with zeros: the copy was cut off", "copy it again from where it came from"
    try:
        content[:512].decode("utf-8")
        return "not an image", "text, not a picture", "take it out, or download it again"
    except UnicodeDecodeError:
        return "not an image", "no image format that is known", RESAVE


def _decoder_reason(error):
    text = str(error).split("\n")[0]
    if "truncated" in text.lower() or "requires a buffer" in text or isinstance(error, (EOFError, struct.error)):
        return TRUNCATED
    if isinstance(error, (KeyError, SyntaxError)):
        return "broken", "its header is damaged", RESAVE
    return "broken", f"can't be decoded ({text or type(error).__name__})", RESAVE
