"""Recognizing image formats, and other content in place of an image, by the first bytes of a file."""

import struct

from retinue.data.decoding.file_problem import COPY_AGAIN, RESAVE, Problem

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

# Content that retinue cannot decode: position and bytes of the signature, and the problem.
OTHER_CONTENT = (
    (0, b"version https://git-lfs", Problem("not downloaded", "a Git LFS pointer, not the image", "run git lfs pull")),
    (4, b"ftypavi", Problem("unsupported", "an AVIF image", RESAVE)),
    (4, b"ftyphei", Problem("unsupported", "a HEIC image", RESAVE)),
    (4, b"ftyphev", Problem("unsupported", "a HEIC image", RESAVE)),
    (4, b"ftypmif1", Problem("unsupported", "a HEIC or AVIF image", RESAVE)),
    (4, b"ftypmsf1", Problem("unsupported", "a HEIC or AVIF image", RESAVE)),
    (4, b"ftypcrx", Problem("unsupported", "a raw image of a camera (CR3)", "convert it to JPEG or PNG")),
    (4, b"ftyp", Problem("not an image", "a video", "use it with the task video, or remove it")),
    (0, b"\xff\x0a", Problem("unsupported", "a JPEG XL image", RESAVE)),
    (4, b"JXL ", Problem("unsupported", "a JPEG XL image", RESAVE)),
    (4, b"jP  ", Problem("unsupported", "a JPEG 2000 image", RESAVE)),
    (0, b"\xff\x4f\xff\x51", Problem("unsupported", "a JPEG 2000 image", RESAVE)),
    (0, b"8BPS", Problem("unsupported", "a Photoshop file", RESAVE)),
    (0, b"\0\0\1\0", Problem("unsupported", "an icon (ICO)", RESAVE)),
    (0, b"%PDF", Problem("not an image", "a PDF", "save its pages as PNG")),
    (0, b"PK\3\4", Problem("not an image", "a zip archive", "extract it")),
)


def format_of(content: bytes) -> str:
    """Recognize an image format.

    Args:
        content: The content of a file, or at least its first 16 bytes.

    Returns:
        "JPEG", "PNG", "GIF", "WebP", "TIFF" or "BMP", or "" for content that retinue cannot decode.
    """
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


def describe_other_content(content: bytes) -> Problem:
    """Describe the content of a file that is not an image of a supported format.

    Args:
        content: The first bytes of the file, at most 4096.
    """
    for position, signature, problem in OTHER_CONTENT:
        if content[position : position + len(signature)] == signature:
            return problem
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return Problem("not an image", "a web page", "download the image again")
    if b"<svg" in start:
        return Problem("unsupported", "an SVG drawing", "save it as PNG")
    if content[:16].strip(b"\0") == b"":
        return Problem("broken", "the file begins with zeros, so it was not copied completely", COPY_AGAIN)
    try:
        content[:512].decode("utf-8")
        return Problem("not an image", "text instead of an image", "remove it, or download the image again")
    except UnicodeDecodeError:
        return Problem("not an image", "an unknown image format", RESAVE)
